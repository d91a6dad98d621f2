"""What shows that the measured path is the whole one: after each run the same
process must have counted every call, refuse a bad argument, and end a call in time."""

import json
import re

from many import MODERN

TIMEOUT = "100ms"


def hasten(manifest):
    """The manifest of echo, with a short limit on its tool `sleep`."""
    limit = f"limits: {{ timeout: {TIMEOUT} }}"
    out, count = re.subn(r"^(\s*)- name: sleep\b.*\n", lambda m: f"{m[0]}{m[1]}  {limit}\n", manifest, flags=re.M)
    if count != 1:
        raise SystemExit("bench: echo.yaml has no line '- name: sleep'")
    return out


def script(path, era):
    """Status, a bad argument, a call that takes too long, status; returns the path."""
    status = ("resources/read", {"uri": "manifold://status"})
    lines = []
    for n, (method, params) in enumerate([
            status,
            ("tools/call", {"name": "echo", "arguments": {"message": 5}}),
            ("tools/call", {"name": "sleep", "arguments": {"ms": 10000}}),
            status]):
        if era == "modern":
            params = dict(params, _meta=MODERN)
        lines.append(json.dumps({"jsonrpc": "2.0", "id": n + 1, "method": method, "params": params}))
    path.write_text("\n".join(lines) + "\n")
    return path


def plugin(answer, name):
    """The object of plugin `name` in an answer of manifold://status."""
    status = json.loads(answer["result"]["contents"][0]["text"])
    return next(p for p in status["plugins"] if p["name"] == name)


def check(run):
    """What is wrong with the path, as sentences; `run` is what the generator printed."""
    first, refused, late, last = run["script"]["answers"]
    wrong = []
    counted, sent = plugin(first, "echo")["calls"], run["sent"]
    if counted != sent:
        wrong.append(f"{sent} calls were sent, manifold://status counts {counted}")
    if refused.get("result", {}).get("isError") is not True:
        wrong.append(f"a message that is no string was not refused: {json.dumps(refused)[:300]}")
    reason = late.get("result", {}).get("_meta", {}).get("manifold/refused", {}).get("reason")
    if late.get("result", {}).get("isError") is not True or reason != "timeout":
        wrong.append(f"a call of 10 s with a limit of {TIMEOUT} did not time out: {json.dumps(late)[:300]}")
    if plugin(last, "echo").get("timeouts") != 1:
        wrong.append("the timeout was not counted")
    if run["exit"] != 0:
        wrong.append(f"the server's exit status was {run['exit']}")
    return wrong
