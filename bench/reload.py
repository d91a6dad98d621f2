#!/usr/bin/env python3
"""bench/reload.py BUILD: does a call wait for a reload?

Fifty plugins, all loaded, and a client that calls them in turn, one call at a time and without
a pause.  A window is half a second; in a window with a reload the manifest and the library of one
plugin are replaced and SIGHUP is sent, so that library is copied, hashed, probed in a child and
opened meanwhile.  Each round has three windows in changing order: two without a reload (their
difference is the noise) and one with.  The figure is the longest call of a window; medians over the
rounds.  Exit status 1 when the longest call with a reload is over 5 ms longer than without."""

import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import many

ROUNDS, WINDOW, TARGET_MS = 11, 0.5, 5.0


class Host:
    def __init__(self, build, plugins):
        self.process = subprocess.Popen(
            [str(build / "manifold"), "serve", "--trust", "--plugins", str(plugins)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.id = 0

    def ask(self, method, params):
        self.id += 1
        line = {"jsonrpc": "2.0", "id": self.id, "method": method,
                "params": dict(params, _meta=many.MODERN)}
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if answer.get("id") != self.id or "result" not in answer or answer["result"].get("isError"):
            raise SystemExit(f"bench: {method}: {answer}")
        return answer["result"]

    def call(self, n):
        """Milliseconds."""
        began = time.perf_counter()
        result = self.ask("tools/call", {"name": f"tool_{n:02}", "arguments": {"message": "hi"}})
        took = (time.perf_counter() - began) * 1000
        if result["content"][0]["text"] != f"plugin {n:02}: hi":
            raise SystemExit(f"bench: tool_{n:02}: {result}")
        return took

    def status(self):
        r = self.ask("resources/read", {"uri": "manifold://status"})
        return json.loads(r["contents"][0]["text"])


def change(plugins, n, mark):
    """Another manifest and a library of other bytes, put in place by rename."""
    for name, data in ((f"many{n:02}.so", (plugins / f"many{n:02}.so").read_bytes() + b"\0"),
                       (f"many{n:02}.yaml", (many.manifest(n) + f"# {mark}\n" +
                                             f"config: {{ mark: {mark} }}\n").encode())):
        (plugins / "new.tmp").write_bytes(data)
        os.rename(plugins / "new.tmp", plugins / name)


def window(host, plugins, mark):
    """The longest call in ms, and how many there were; mark None: no reload."""
    took, began, at = [], time.perf_counter(), None
    if mark is not None:
        change(plugins, mark % many.COUNT, mark)
        at = began + WINDOW / 4
    while time.perf_counter() - began < WINDOW:
        if at and time.perf_counter() >= at:
            at = None
            host.process.send_signal(signal.SIGHUP)
        took.append(host.call(len(took) % many.COUNT))
    return max(took), len(took)


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    longest = {"none": [], "none again": [], "reload": []}
    calls = []
    with tempfile.TemporaryDirectory() as work:
        plugins = pathlib.Path(work)
        many.make(plugins)
        host = Host(build, plugins)
        for n in range(many.COUNT):
            host.call(n)
        for i in range(ROUNDS):
            arms = list(longest)
            random.shuffle(arms)
            for arm in arms:
                ms, n = window(host, plugins, i if arm == "reload" else None)
                longest[arm].append(ms)
                calls.append(n)
        status = host.status()
        done = [p["generation"] for p in status["plugins"]].count(2)
        host.process.stdin.close()
        if host.process.wait() or status["problems"] or done != ROUNDS:
            raise SystemExit(f"bench: {done} of {ROUNDS} reloads took place, {status['problems']}")
    median = {arm: statistics.median(v) for arm, v in longest.items()}
    extra = median["reload"] - median["none"]
    print(f"{ROUNDS} rounds, {many.COUNT} plugins, about {statistics.median(calls):.0f} calls a window; "
          f"longest call in ms, median (worst)")
    for arm, values in longest.items():
        print(f"  {arm:12} {median[arm]:6.2f} ({max(values):.2f})")
    print(f"noise, none against none: {median['none again'] - median['none']:+.2f} ms; "
          f"with a reload: {extra:+.2f} ms; target: at most +{TARGET_MS} ms")
    if extra > TARGET_MS:
        sys.exit(1)


if __name__ == "__main__":
    main()
