"""Every kind of message the host writes, held against the published JSON Schema of its revision.

The schemas come inside a pinned npm package, the conformance suite, and the validator by pip, both into
$MANIFOLD_CACHE (default: .cache/ in the repository); nothing of them is part of this repository.
Skipped where they can't be reached."""

import hashlib
import os
import re
import subprocess
import tarfile
import tempfile
import unittest

import harness
from harness import Server, legacy, modern
from support import BAD, CACHE, Files, from_pip, quietly, serve

PACKAGE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
TARBALL = "modelcontextprotocol-conformance-0.2.0-alpha.12.tgz"
SHA256 = "6cd489231fe6a90de07ce940b1945ffef7d11063d17558b0a4c12a00f0e6f41f"
VALIDATOR = "jsonschema==4.26.0"
REVISIONS = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]

RESULT = {
    "initialize": "InitializeResult", "server/discover": "DiscoverResult", "ping": "EmptyResult",
    "tools/list": "ListToolsResult", "tools/call": "CallToolResult",
    "resources/list": "ListResourcesResult", "resources/read": "ReadResourceResult",
    "resources/templates/list": "ListResourceTemplatesResult", "prompts/list": "ListPromptsResult",
    "prompts/get": "GetPromptResult", "completion/complete": "CompleteResult",
    "logging/setLevel": "EmptyResult",
}
NOTIFICATION = {"notifications/progress": "ProgressNotification",
                "notifications/message": "LoggingMessageNotification"}
REPLY = {"type": "ref/prompt", "name": "reply"}
REQUESTS = [
    ("tools/list", {}), ("resources/list", {}), ("resources/templates/list", {}), ("prompts/list", {}),
    ("tools/call", {"name": "echo", "arguments": {"message": "m"}}),
    ("tools/call", {"name": "echo", "arguments": {}}),                         # isError
    ("tools/call", {"name": "echo_structured", "arguments": {"message": "m"}}),
    ("tools/call", {"name": "raw_newlines"}),
    ("tools/call", {"name": "never_finishes"}),                                # refused
    ("resources/read", {"uri": "echo://greeting"}), ("resources/read", {"uri": "echo://shout/a"}),
    ("resources/read", {"uri": "manifold://status"}), ("resources/read", {"uri": "perf://metrics"}),
    ("prompts/get", {"name": "recite", "arguments": {"topic": "t"}}), ("prompts/get", {"name": "reply"}),
    ("completion/complete", {"ref": REPLY, "argument": {"name": "style", "value": ""}}),
    ("completion/complete", {"ref": {"type": "ref/resource", "uri": "echo://shout/{text}"},
                             "argument": {"name": "text", "value": "h"}}),
]
WRONG = [("tools/call", {"name": "none"}), ("resources/read", {"uri": "none://"}), ("no/such", {}),
         ("tools/list", {"cursor": "none"}), ("prompts/get", {"name": "recite"})]


class JavaScript:
    """Reads an object literal of a minified bundle: bare keys, backticks, !0 and !1."""

    TOKEN = re.compile(r"`((?:[^`\\]|\\.)*)`|\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|(![01])|"
                       r"(-?[0-9.]+(?:e[0-9]+)?)|([A-Za-z_$][\w$]*)|([{}\[\]:,])", re.S)

    def __init__(self, text, at):
        self.text, self.at = text, at

    def next(self):
        m = self.TOKEN.match(self.text, self.at)
        self.at = m.end()
        for kind in (1, 2, 3):
            if m.group(kind) is not None:
                return "text", re.sub(r"\\(.)", lambda e: {"n": "\n", "t": "\t"}.get(e[1], e[1]),
                                      m.group(kind), flags=re.S)
        if m.group(4):
            return "value", m.group(4) == "!0"
        if m.group(5):
            return "value", float(m.group(5)) if "." in m.group(5) else int(float(m.group(5)))
        return ("text", m.group(6)) if m.group(6) else ("mark", m.group(7))

    def value(self):
        kind, token = self.next()
        if kind != "mark":
            return token
        made = {} if token == "{" else []
        while self.text[self.at] not in "}]":
            if token == "{":
                key = self.next()[1]
                self.next()
                made[key] = self.value()
            else:
                made.append(self.value())
            if self.text[self.at] == ",":
                self.at += 1
        self.at += 1
        return made


def is_whole(path):
    try:
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest() == SHA256
    except OSError:
        return False


def fetch_schemas():
    folder = os.path.join(CACHE, "npm-pack")
    path = os.path.join(folder, TARBALL)
    if not is_whole(path):
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            quietly(["npm", "pack", "--silent", PACKAGE], scratch)
            if not is_whole(os.path.join(scratch, TARBALL)):
                raise AssertionError(PACKAGE + " is not what was pinned")
            os.replace(os.path.join(scratch, TARBALL), path)
    with tarfile.open(path) as t:
        text = t.extractfile("package/dist/index.js").read().decode()
    names = re.search(r'\{"2025-03-26":(\w+),"2025-06-18":(\w+),"2025-11-25":(\w+),\[\w+\]:(\w+)\}', text)
    found = {}
    for revision, name in zip(REVISIONS, names.groups()):
        at = re.search(r"\b%s=(?=\{\$schema:)" % name, text).end()
        found[revision] = JavaScript(text, at).value()
    return found


class Wire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.schemas = fetch_schemas()
        except (OSError, subprocess.SubprocessError) as e:
            raise unittest.SkipTest("%s can't be fetched: %s" % (PACKAGE, e))
        from_pip(VALIDATOR)
        import jsonschema
        cls.jsonschema = jsonschema

    def check(self, revision, definition, message):
        schema = self.schemas[revision]
        where = "definitions" if "definitions" in schema else "$defs"
        if definition not in schema[where]:
            self.assertTrue(definition.startswith("JSONRPC"), definition)
            definition = {"JSONRPCErrorResponse": "JSONRPCError"}[definition]
        kind = self.jsonschema.validators.validator_for(schema)
        whole = dict({where: schema[where], "$schema": schema["$schema"]},
                     **{"allOf": [{"$ref": "#/%s/%s" % (where, definition)}]})
        error = self.jsonschema.exceptions.best_match(kind(whole).iter_errors(message))
        if error:
            self.fail("%s, %s: %s at %s in %r" % (revision, definition, error.message,
                                                 list(error.absolute_path), message))
        self.checked.setdefault(revision, set()).add(definition)

    def exchange(self, s, revision, make, requests, wrong=False):
        for id, (method, params) in enumerate(requests):
            params = dict(params)
            meta = {"progressToken": "p%d" % id}
            if make is modern:
                if method == "tools/call":
                    meta["io.modelcontextprotocol/logLevel"] = "debug"
                s.send(modern(method, params, id, meta))
            else:
                s.send(legacy(method, dict(params, _meta=meta), id))
            answer = s.answer(id)
            for m in s.other[:3]:
                self.check(revision, NOTIFICATION[m["method"]], m)
                self.check(revision, "JSONRPCMessage", m)
            s.other.clear()
            self.check(revision, "JSONRPCMessage", answer)
            self.assertEqual("error" in answer, wrong, answer)
            if wrong:
                self.check(revision, "JSONRPCErrorResponse", answer)
            else:
                self.check(revision, RESULT[method], answer["result"])

    UNASKED = {"resources/updated": "ResourceUpdatedNotification",
               "tools/list_changed": "ToolListChangedNotification",
               "resources/list_changed": "ResourceListChangedNotification",
               "prompts/list_changed": "PromptListChangedNotification",
               "subscriptions/acknowledged": "SubscriptionsAcknowledgedNotification"}

    def unasked(self, s, revision, kinds):
        """Whatever order they come in; lists are told after a while."""
        wanted = set(kinds)
        while wanted:
            m = s.other.pop(0) if s.other else s.recv()
            kind = m["method"][len("notifications/"):]
            self.check(revision, self.UNASKED[kind], m)
            self.check(revision, "JSONRPCMessage", m)
            wanted.discard(kind)

    def test_subscriptions(self):
        type(self).checked = {}
        told = ["resources/updated", "tools/list_changed", "resources/list_changed", "prompts/list_changed"]
        for revision in REVISIONS:
            with serve(BAD + "/tells") as s:
                if revision == "2026-07-28":
                    s.send(modern("subscriptions/listen", {"notifications": {
                        "toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True,
                        "resourceSubscriptions": ["tells://watched"]}}, "l"))
                    self.unasked(s, revision, ["subscriptions/acknowledged"])
                    self.check(revision, "DiscoverResult", s.request("server/discover")["result"])
                else:
                    self.check(revision, "InitializeResult", s.initialize(revision))
                    for method in ("resources/subscribe", "resources/unsubscribe", "resources/subscribe"):
                        r = s.legacy_request(method, {"uri": "tells://watched"})
                        self.check(revision, "EmptyResult", r["result"])
                    r = s.legacy_request("resources/subscribe", {"uri": "tells://quiet"})
                    self.check(revision, "JSONRPCErrorResponse", r)
                for kind in (1, 2, 3):
                    s.call("tells", {"changed": kind})
                s.call("tells", {"uri": "tells://watched"})
                self.unasked(s, revision, told)
                if revision == "2026-07-28":
                    s.close_stdin()
                    m = s.recv()
                    self.check(revision, "SubscriptionsListenResult", m["result"])
                    self.check(revision, "JSONRPCMessage", m)

    def test_messages(self):
        type(self).checked = {}
        with Files() as f:
            icon = "[{ src: \"https://example.org/i.png\", mimeType: image/png, sizes: [any], theme: dark }]"
            f.echo("d", edits={
                "library:": "instructions: Use it.\nlibrary:",
                "title: Greeting\n": "title: Greeting\n    icons: %s\n    size: 7\n    annotations: "
                "{ audience: [user], priority: 1, lastModified: \"2026-01-01T00:00:00Z\" }\n" % icon,
                "title: Recite\n": "title: Recite\n    icons: %s\n    _meta: { a.b/c: 1 }\n" % icon,
                "title: Sleep\n": "title: Sleep\n    icons: %s\n    _meta: { a.b/c: 1 }\n" % icon})
            bad = [BAD + "/" + n for n in ("raw_newlines", "never_finishes", "log_flood")]
            chatty = [("tools/call", {"name": "sleep", "arguments": {"ms": 30}}),
                      ("tools/call", {"name": "log_flood"})]
            with serve(f.path + "/d", *bad, args=("--set", "log_flood.limits.log=1000000/s")) as s:
                self.exchange(s, "2026-07-28", modern, REQUESTS + chatty + [("server/discover", {})])
                self.exchange(s, "2026-07-28", modern, WRONG, wrong=True)
                m = s.request("tools/list", meta={"io.modelcontextprotocol/protocolVersion": "v9"})
                self.check("2026-07-28", "UnsupportedProtocolVersionError", m)
                s.send_bytes(b"{broken\n")
                self.check("2026-07-28", "JSONRPCErrorResponse", s.recv())
                for revision in REVISIONS[:3]:
                    hello = {"protocolVersion": revision, "capabilities": {},
                             "clientInfo": {"name": "c", "version": "1"}}
                    self.exchange(s, revision, legacy, [("initialize", hello), ("ping", {}),
                                                        ("logging/setLevel", {"level": "debug"})])
                    self.exchange(s, revision, legacy, REQUESTS + chatty)
                    self.exchange(s, revision, legacy, WRONG, wrong=True)
        for revision in REVISIONS:  # and it is a schema that can say no
            with self.assertRaises(AssertionError):
                self.check(revision, "ListToolsResult", {"tools": [{"name": 7}]})
        for revision, names in sorted(self.checked.items()):
            print("%s: %s" % (revision, ", ".join(sorted(names))), flush=True)


if __name__ == "__main__":
    harness.main()
