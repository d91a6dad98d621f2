"""One session of the host, from start to stop, for torture.py: what is sent when, and which files
change meanwhile.

Its parts: start with nine plugins (one of them broken); calls of all kinds, kept results, lists, a
batch; figures and subscriptions; a reload that changes two plugins, one by overlap and one by
handover, with a call of each under way; one that is refused; one that repairs all, asked for with a
config that turns `watch` on, and the admin socket; a stop with one call under way and one that is
never finished.
"""
import json
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import harness  # noqa: E402

BROKEN = "manifold: 1\nid: x.broken\ntools: 17\n"
CONFIG = """manifold: 1
sources: [{ path: %(path)s/plugins, trust: true }]
data: %(path)s/data
admin: %(path)s/admin.sock
watch: %(watch)s
cache: { memory: 1MiB, namespace: torture }
plugins: { strict: { config: { more: set } } }
"""
PROMPTS = """manifold: 1
id: dev.manifold.texts
name: texts
description: Texts alone
prompts:
  - name: greet
    description: "Says \\"hello\\" to somebody"
    arguments: [{ name: who, description: Whom, required: true, complete: [ada, "a\\tb", bob] }]
    messages: [{ role: user, text: "Hello {{who}}." }]
"""
PATTERNS = """manifold: 1
id: dev.manifold.echo
name: strict
version: 1.0.0
library: echo.so
isolation: inproc
prefix: strict
instructions: "Be strict\\tand short."
config: { dir: "${data}/x", list: [1, two], deep: { text: "a\\tb" } }
config_schema: { type: object, properties: { dir: { type: string, pattern: "^/" }, more: { type: string } } }
tools:
  - name: echo
    description: Takes few messages
    inputSchema:
      type: object
      properties:
        message: { type: string, pattern: "^[a-z]+$", maxLength: 40 }
        list: { type: array, uniqueItems: true, items: { $ref: "#/$defs/item" } }
      required: [message]
      $defs: { item: { anyOf: [{ type: string }, { type: integer }] } }
  - { name: echo_structured, description: x, inputSchema: { type: object }, cache: { ttl: 1m } }
  - { name: sleep, description: x, inputSchema: { type: object } }
resources:
  - { name: greeting, uri: "strict://greeting" }
  - { name: shout, uriTemplate: "strict://shout{?text}" }
prompts:
  - { name: reply, description: x }
"""
STAMP = """manifold: 1
id: test.bad.stamp
name: %(name)s
version: 1.0.0
library: stamp.so
isolation: inproc
prefix: %(name)s
reload: %(reload)s
limits: { drain: 5s }
tools: [{ name: stamp, description: Answers what it was opened with in round %(stamp)d }]
config: { stamp: %(stamp)d, fail: %(fail)d, stuck: %(stuck)d, ms: %(ms)d }
"""
BATCH = {40, 41, 42, 43}
LISTS = {2, 3, 4, 5, 6, 29, 30, 31, 43, 64, 65}   # answers that name what is served
STATUS, METRICS = 26, 75
KEPT = {44, 45, 46}           # the same call, so one of them may be made for another
TOLD = {71, 72, 73, 74, 76}   # whatever the plugin made of it
UNDER_WAY = {52, 53}    # while a reload is made: of either generation
HANDED_OVER = {51, 55, 57, 62}
# Which reload must have made the answer what it is.
AFTER_RELOAD = {54: 1, 55: 1, 64: 1, 65: 1, 56: 1, 57: 1, 59: 3, 62: 3}
UNDER_WAY_AT_THE_END = {60}   # has GRACE seconds
GRACE = 0.1
NEVER = {61, 70}        # cancelled, and never finished; a subscription
RELOADS = 3


def tool(name, arguments, id, meta=None):
    return harness.modern("tools/call", {"name": name, "arguments": arguments}, id, meta)


class Files:
    """What the host reads, in a directory of one run; `common` has what no run changes."""

    @staticmethod
    def common(path, bundled, bad):
        os.mkdir(path)
        for name in (bundled + "/echo.so", bundled + "/echo.yaml", bad + "/stamp/stamp.so",
                     bad + "/tells/tells.so", bad + "/tells/tells.yaml",
                     bad + "/figures/figures.so", bad + "/figures/figures.yaml"):
            shutil.copy(name, path)
        return path

    def __init__(self, path, common):
        self.path = path
        os.makedirs(path + "/plugins")
        os.chmod(path + "/plugins", 0o755)
        for name in os.listdir(common):
            shutil.copy(os.path.join(common, name), path + "/plugins")
        for name, text in (("broken", BROKEN), ("texts", PROMPTS), ("strict", PATTERNS)):
            self.put(name, text)
        self.config("false")
        for name in ("over", "hand"):
            self.stamp(name, stamp=0)
        self.stamp("held", stuck=1)

    def write(self, name, text):
        """As an editor or a deployment does: written beside, then renamed."""
        with open(self.path + "/new", "w") as f:
            f.write(text)
        os.rename(self.path + "/new", os.path.join(self.path, name))

    def put(self, name, text):
        self.write("plugins/%s.yaml" % name, text)

    def config(self, watch):
        self.write("host.yaml", CONFIG % {"path": self.path, "watch": watch})

    def stamp(self, name, stamp=0, fail=0, stuck=0, ms=0):
        reload = "handover" if name == "hand" else "overlap"
        self.put(name, STAMP % locals())

    # --- one method a reload ---

    def change(self):
        self.stamp("over", stamp=1, ms=3)
        self.stamp("hand", stamp=1)

    def damage(self):
        self.stamp("over", stamp=2, fail=1)
        self.put("texts", "manifold: 1\nprompts: [")

    def repair(self):
        self.stamp("over", stamp=2)
        self.stamp("hand", stamp=2)
        self.put("texts", PROMPTS)
        self.config("true")


class Step:
    """Change files and ask for a reload, or not; send; close, or not; then wait for answers,
    reloads, or that the host serves."""

    def __init__(self, part, *messages, change=None, reloads=0, ask=False, close=False, late=(),
                 serves=False):
        self.part, self.change, self.reloads, self.serves = part, change, reloads, serves
        self.ask, self.close = ask, close
        self.data = "".join((x if isinstance(x, str) else json.dumps(x)) + "\n"
                            for x in messages).encode()
        self.ids = {x["id"] for m in messages if not isinstance(m, str)
                    for x in (m if isinstance(m, list) else [m]) if "id" in x}
        self.ids |= {int(n) for m in messages if isinstance(m, str)
                     for n in re.findall(r'"id":(\d+)', m)}
        self.ids -= NEVER
        self.awaited = self.ids - set(late)


def steps():
    m, old = harness.modern, harness.legacy
    long = "x" * 102400
    reload_call = [tool("over_stamp", {}, 52), tool("hand_stamp", {}, 53)]
    return [
        Step("start", serves=True),
        Step("calls",
             tool("echo", {"message": "early"}, 1),   # waits for the library
             m("tools/list", id=2), m("prompts/list", id=3),
             m("resources/list", id=4), m("resources/templates/list", id=5),
             m("server/discover", id=6)),
        Step("calls",
             tool("echo", {"message": "hi"}, 10),
             tool("echo", {"message": long}, 11),
             tool("echo_structured", {"message": "f\u00fcr \"alle\" " * 60}, 12),
             m("resources/read", {"uri": "echo://greeting"}, 13),
             m("resources/read", {"uri": "echo://shout/some%20words"}, 14),
             m("resources/read", {"uri": "echo://nowhere/" + "z" * 1000}, 15),
             m("prompts/get", {"name": "recite", "arguments": {"topic": "n\u00e4chte"}}, 16),
             m("prompts/get", {"name": "greet", "arguments": {"who": "ada"}}, 17),
             m("prompts/get", {"name": "reply", "arguments": {"style": "short"}}, 18),
             m("completion/complete", {"ref": {"type": "ref/resource", "uri": "echo://shout/{text}"},
                                       "argument": {"name": "text", "value": "he"}}, 19),
             m("completion/complete", {"ref": {"type": "ref/prompt", "name": "greet"},
                                       "argument": {"name": "who", "value": "a"}}, 20),
             tool("echo", {"message": 5}, 21),        # refused by the schema
             tool("strict_echo", {"message": "abc", "list": list(range(40))}, 22),
             tool("strict_echo", {"message": "ABC"}, 23),
             tool("strict_echo", {"message": "abc", "list": [1, 2, 1]}, 24),
             tool("sleep", {"ms": 5}, 25, {"progressToken": "p"}),
             m("resources/read", {"uri": "manifold://status"}, STATUS),
             m("tools/list", {"cursor": "none of ours"}, 27),
             m("no/such", id=28),
             '{"jsonrpc":"2.0","id":29,"method":"tools\\/list","params":%s}'
             % json.dumps(m("x")["params"]),
             m("resources/read", {"uri": "strict://shout?text=" + "y" * 3000}, 33),
             tool("echo_structured", {"message": "caf\u00e9 \t" * 400}, 34),
             old("initialize", {"protocolVersion": "2025-03-26", "capabilities": {},
                                "clientInfo": {"name": "torture", "version": "1"}}, 30),
             old("notifications/initialized"),
             old("tools/list", id=31), old("tools/call", {"name": "echo_structured",
                                                          "arguments": {"message": "old"}}, 32),
             [old("ping", id=40), old("tools/call", {"name": "echo", "arguments": {"message": "b"}}, 41),
              old("tools/call", {"name": "sleep", "arguments": {"ms": 5}}, 42),
              old("prompts/list", id=43)],
             tool("over_stamp", {}, 50), tool("hand_stamp", {}, 51),
             tool("strict_echo_structured", {"message": "kept"}, 44),
             tool("strict_echo_structured", {"message": "kept"}, 45),
             "no json"),
        Step("told",
             m("subscriptions/listen", {"notifications": {
                 "toolsListChanged": True, "resourceSubscriptions": ["tells://watched", "tells://item/1"]}}, 70),
             old("resources/subscribe", {"uri": "tells://watched"}, 76),
             tool("tells", {"uri": "tells://watched"}, 71),
             tool("tells", {"uri": "tells://item/", "many": 40, "threads": 1}, 72),
             tool("figures", {"kind": 1, "name": "jobs", "label": "queue", "value": "a", "op": "add"}, 73),
             tool("figures", {"kind": 3, "name": "took", "unit": "seconds", "op": "observe"}, 74),
             tool("strict_echo_structured", {"message": "kept"}, 46),
             m("resources/read", {"uri": "perf://metrics"}, METRICS)),
        Step("told", m("notifications/cancelled", {"requestId": 70}), old("ping", id=77)),
        Step("reload", *reload_call, change=Files.change, reloads=1),
        Step("reload", tool("over_stamp", {}, 54), tool("hand_stamp", {}, 55), m("tools/list", id=64),
             m("resources/templates/list", id=65)),
        Step("refused", change=Files.damage, reloads=2),
        Step("refused", tool("over_stamp", {}, 56), tool("hand_stamp", {}, 57),
             m("prompts/get", {"name": "greet", "arguments": {"who": "bob"}}, 58)),
        Step("repaired", change=Files.repair, reloads=RELOADS),
        Step("repaired", tool("over_stamp", {}, 59), tool("hand_stamp", {}, 62), ask=True),
        Step("stop", tool("held_stamp", {}, 61), tool("sleep", {"ms": 10}, 60),
             m("notifications/cancelled", {"requestId": 61}), tool("over_stamp", {}, 63), late=[60]),
        Step("stop", close=True),
    ]


def may_come(notification):
    """At any time once a plugin is served that was not."""
    return re.fullmatch("notifications/((tools|prompts|resources)/list_changed|resources/updated|"
                        "subscriptions/acknowledged)", notification["method"])


def comparable(id, answer):
    """What must be the same with and without a fault."""
    if "result" not in answer:
        return answer
    if id in (STATUS, METRICS):   # counters and times differ
        json.loads(answer["result"]["contents"][0]["text"])
        return "status"
    if id in TOLD:
        return "told"
    if id in KEPT:
        answer["result"].get("_meta", {}).pop("manifold/cached", None)
    stamp = stamp_of(answer)
    if not stamp:
        return answer
    if id in UNDER_WAY:
        return "of a generation"
    return stamp if id in HANDED_OVER else stamp[0]


def stamp_of(answer):
    """(stamp, calls so far) of an answer of the stamp plugin, or None."""
    content = answer.get("result", {}).get("content")
    found = re.fullmatch(r"stamp (\d+) \S+ (\d+)", content[0].get("text", "")) if content else None
    return found and (int(found[1]), int(found[2]))


def made_of(answer):
    """What a reload has made of an answer."""
    stamp = stamp_of(answer)
    return stamp[0] if stamp else answer
