"""The protocol over the wire, both eras: dispatch, envelope, errors with their ids, lists and pages,
caching hints, what older revisions get, progress, cancellation, logging, batches and refusals."""

import json
import os
import unittest

import harness
import support
from harness import MODERN, MODERN_META, Failure, Server, legacy, modern
from support import BAD, Files, serve, text_of

P = "io.modelcontextprotocol/"
LEGACY = ["2024-10-07", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
CACHED = ["server/discover", "tools/list", "prompts/list", "resources/list",
          "resources/templates/list"]

# Everything of an entry that only travels.
ICONS = [{"src": "https://example.org/i.png", "mimeType": "image/png", "sizes": ["48x48"]}]
META = {"org.example/x": {"deep": [1, 2.50, None]}}
DECORATED = {
    "  - name: echo_structured\n    title: Echo, structured\n":
        "  - name: echo_structured\n    title: \"T\\u00eft\\\"le\"\n    icons: %s\n    _meta: %s\n"
        % (json.dumps(ICONS), json.dumps(META)),
    "  - name: greeting\n    title: Greeting\n":
        "  - name: greeting\n    title: Greeting\n    icons: %s\n    annotations: "
        "{ audience: [user], priority: 0.5 }\n    _meta: %s\n    size: 7\n"
        % (json.dumps(ICONS), json.dumps(META)),
    "  - name: recite\n    title: Recite\n":
        "  - name: recite\n    title: Recite\n    icons: %s\n    _meta: %s\n"
        % (json.dumps(ICONS), json.dumps(META)),
}


def ask(s, text):
    """One raw line; the raw line that comes back."""
    s.send_bytes(text if isinstance(text, bytes) else text.encode())
    s.send_bytes(b"\n")
    return s.recv_line()


def error_of(line):
    m = harness.parse_line(line)
    if "error" not in m:
        raise Failure("expected an error, found %r" % line[:300])
    return m["error"]


def raw(method, params="", id="1", meta=True):
    """A modern request as text, so that the id is the very token."""
    return '{"jsonrpc":"2.0","id":%s,"method":"%s","params":{%s%s"_meta":%s}}' % (
        id, method, params, "," if params else "", json.dumps(MODERN_META) if meta else "{}")


class Case(unittest.TestCase):
    def error(self, m, code, *texts):
        self.assertIn("error", m)
        self.assertEqual(m["error"]["code"], code, m)
        for text in texts:
            self.assertIn(text, m["error"]["message"])
        return m["error"]

    def silent(self, s, *lines):
        """None of these is answered; the next request is."""
        for line in lines:
            s.send_bytes((line if isinstance(line, bytes) else line.encode()) + b"\n")
        s.send(modern("tools/list", None, "after"))
        self.assertEqual(s.recv()["id"], "after", lines)


class Dispatch(Case):
    """The rules of docs/internals/protocol.md, message by message."""

    def test_modern_first_line(self):
        for method in ("tools/list", "server/discover"):
            with Server() as s:
                self.assertEqual(s.request(method)["result"]["resultType"], "complete")

    def test_envelope(self):
        with Server() as s:
            for meta, missing in (
                    ({}, P + "protocolVersion"),
                    ({P + "clientCapabilities": {}}, P + "protocolVersion"),
                    ({P + "protocolVersion": MODERN}, P + "clientCapabilities"),
                    ({P + "protocolVersion": MODERN, P + "clientCapabilities": []},
                     P + "clientCapabilities"),
                    ({P + "protocolVersion": MODERN, P + "clientCapabilities": None},
                     P + "clientCapabilities"),
                    ({P + "protocolVersion": 20260728, P + "clientCapabilities": {}},
                     P + "protocolVersion")):
                for method in ("tools/list", "server/discover", "tools/call"):
                    s.send(legacy(method, {"_meta": meta}, 5))
                    self.error(s.answer(5), -32602, missing)
            s.echo()

    def test_no_meta_and_no_session(self):
        with Server() as s:
            for method in ("tools/list", "tools/call", "server/discover", "logging/setLevel",
                           "no/such"):
                for params in (None, {}, {"_meta": {"progressToken": 1}}):
                    self.error(s.legacy_request(method, params), -32602,
                               P + "protocolVersion", P + "clientCapabilities")
            self.assertEqual(ask(s, '{"jsonrpc":"2.0","id":9,"method":"ping"}'),
                             b'{"jsonrpc":"2.0","id":9,"result":{}}')

    def test_versions(self):
        with Server() as s:
            served = s.request("server/discover")["result"]["supportedVersions"]
            self.assertEqual(served, [MODERN])
            for version in ("v999.0.0", "1900-01-01", "2025-11-25", "", "2026-07-28 ", "\u00e4\"\\"):
                for method in ("tools/list", "server/discover", "initialize", "no/such"):
                    m = s.request(method, meta={P + "protocolVersion": version})
                    data = self.error(m, -32022)["data"]
                    self.assertEqual(data, {"supported": served, "requested": version})

    def test_methods_of_the_other_era(self):
        with Server() as s:
            for session in (False, True):
                for method in ("initialize", "ping", "logging/setLevel", "resources/subscribe",
                               "resources/unsubscribe", "no/such", "notifications/cancelled", ""):
                    m = s.request(method, {"protocolVersion": "2025-11-25", "level": "info",
                                           "uri": "echo://greeting", "capabilities": {}})
                    self.error(m, -32601, '"%s"' % method)
                s.initialize()
            for method in ("no/such", "resources/subscribe", "notifications/initialized", "Tools/list"):
                self.error(s.legacy_request(method), -32601, method)
            self.error(s.legacy_request("server/discover"), -32602, P + "protocolVersion")

    def test_eras_side_by_side(self):
        """Discover, then initialize on the same pipe; each message is of its own era."""
        with Server() as s:
            s.request("server/discover")
            for version in LEGACY:
                r = s.initialize(version)
                self.assertEqual(r["protocolVersion"], version)
                self.assertNotIn("resultType", s.legacy_request("tools/list")["result"])
                self.assertIn("resultType", s.request("tools/list")["result"])
                self.assertNotIn("resultType", s.legacy_request("tools/list")["result"])

    def test_initialize_negotiates(self):
        with Server() as s:
            for asked in ("2026-07-28", "2099-01-01", "1.0", ""):
                self.assertEqual(s.initialize(asked)["protocolVersion"], "2025-11-25")
            self.error(s.legacy_request("initialize", {}), -32602, "protocolVersion")
            self.error(s.legacy_request("initialize", {"protocolVersion": 7}), -32602)
            r = s.initialize()
            self.assertEqual(set(r), {"protocolVersion", "capabilities", "serverInfo"})
            self.assertEqual(set(r["serverInfo"]), {"name", "version"})

    def test_restart_of_the_session_forgets(self):
        """What the first session has set is not the second's."""
        with serve(BAD + "/log_flood") as s:
            s.initialize()
            s.legacy_request("logging/setLevel", {"level": "debug"})
            s.initialize()
            s.legacy_request("tools/call", {"name": "log_flood"})
            self.assertEqual(s.other, [])

    def test_responses_are_dropped(self):
        with Server() as s:
            self.silent(s, '{"jsonrpc":"2.0","id":1,"result":{}}',
                        '{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":"m"}}',
                        '{"jsonrpc":"2.0","result":{}}')


class Envelope(Case):
    IDS = ["0", "-1", "1", "1234567890123", "9007199254740992", "9007199254740993",
           "9223372036854775807", '""', '"a"', '"0"', '"a\\u00e9\\n\\"\\\\\\/"', '"\u00e4\u20ac"',
           '"' + "i" * 1000 + '"']

    def test_ids_are_echoed_as_they_were_written(self):
        with Server() as s:
            s.initialize()
            for id in self.IDS:
                want = b'"id":' + id.encode() + b","
                for line in (raw("tools/list", id=id),                                # result
                             raw("tools/call", '"name":"none"', id=id),               # -32602
                             raw("no/such", id=id),                                   # -32601
                             raw("tools/call", '"name":"echo"', id=id),               # isError
                             raw("tools/call", '"name":"echo","arguments":{"message":"x"}', id=id),
                             raw("resources/read", '"uri":"echo://greeting"', id=id),
                             raw("tools/list", id=id).replace(MODERN, "v9"),          # -32022
                             '{"jsonrpc":"2.0","id":%s,"method":"ping"}' % id,
                             '{"jsonrpc":"2.0","id":%s,"method":7}' % id,             # -32600
                             '{"jsonrpc":"1.0","id":%s,"method":"ping"}' % id,
                             '{"jsonrpc":"2.0","id":%s,"method":"ping","params":[]}' % id):
                    answer = ask(s, line)
                    self.assertIn(want, answer, line)
                    self.assertEqual(answer.count(b'"id":'), 1)

    def test_ids_that_can_not_be_echoed(self):
        """No `id` in the answer: null is not allowed there."""
        with Server() as s:
            for id in ("null", "1.5", "true", "{}", "[]", "[1]", '"' + "x" * 2000 + '"'):
                m = harness.parse_line(ask(s, raw("tools/list", id=id)))
                self.assertNotIn("id", m)
                self.error(m, -32600, "id")
            s.echo()

    def test_broken_envelopes(self):
        with Server() as s:
            for line, code in (
                    ('{"id":1,"method":"ping"}', -32600),
                    ('{"jsonrpc":2.0,"id":1,"method":"ping"}', -32600),
                    ('{"jsonrpc":"2.0","id":1}', -32600),
                    ('{"jsonrpc":"2.0","id":1,"method":null}', -32600),
                    ('{"jsonrpc":"2.0","id":1,"method":["ping"]}', -32600),
                    ('{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32602),
                    ('{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}', -32602),
                    ('{"jsonrpc":"2.0","id":1,"method":"ping"', -32700),
                    ('{"jsonrpc":"2.0","id":1,"method":"ping"}}', -32700),
                    ('{"jsonrpc":"2.0","id":1,"method":"ping","a":tru}', -32700),
                    ('{"jsonrpc":"2.0","id":1,"method":"p\\u12"}', -32700)):
                m = harness.parse_line(ask(s, line))
                self.error(m, code)
                self.assertEqual(m.get("id"), 1, line)
            for line, code in (("1", -32600), ('"x"', -32600), ("null", -32600), ("true", -32600),
                               ("{}", -32600), ("[]", -32600), ("x", -32700), ("{", -32700),
                               ('{"jsonrpc":"2.0"}', -32600)):
                m = harness.parse_line(ask(s, line))
                self.error(m, code)
                self.assertNotIn("id", m, line)
            s.echo()

    def test_limits_of_a_message(self):
        """-32600 with the id, wherever it stands."""
        with Server() as s:
            head = '{"jsonrpc":"2.0","method":"ping","params":{"x":%s},"id":"behind"}'
            for value in ("[" * 100 + "]" * 100, "[" + "0," * 100001 + "0]",
                          '{"a":1,"a":2}', '"' + "y" * (5 << 20) + '"'):
                m = harness.parse_line(ask(s, head % value))
                self.error(m, -32600)
                self.assertEqual(m["id"], "behind", value[:20])
            s.echo()

    def test_unknown_members_do_no_harm(self):
        with Server() as s:
            s.send({"trace": {"id": 7}, "jsonrpc": "2.0", "x": None, "id": 1, "method": "tools/call",
                    "extra": [1], "params": {
                        "name": "echo", "unknown": {"_meta": 1}, "arguments": {"message": "m"},
                        "task": {"ttl": 1}, "inputResponses": {},
                        "_meta": dict(MODERN_META, **{"traceparent": "00-x", "org.example/a": {},
                                                      P + "clientInfo": "odd", P + "later": 1})}})
            self.assertEqual(text_of(s.answer(1)["result"]), "Echo: m")

    def test_notifications_are_never_answered(self):
        with Server() as s:
            for _ in range(2):
                self.silent(s, '{"jsonrpc":"2.0","method":"notifications/initialized"}',
                            '{"jsonrpc":"2.0","method":"no/such","params":{}}',
                            '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"none"}}',
                            '{"jsonrpc":"2.0","method":"tools/list","params":[]}',
                            '{"jsonrpc":"2.0","method":"ping"}',
                            '{"jsonrpc":"2.0","method":"server/discover"}',
                            json.dumps(modern("tools/list")), json.dumps(modern("no/such")),
                            json.dumps(modern("tools/list", meta={P + "protocolVersion": "v9"})),
                            '{"jsonrpc":"2.0","method":"notifications/cancelled","params":'
                            '{"requestId":"nobody"}}',
                            '{"jsonrpc":"2.0","method":"notifications/cancelled"}',
                            '{"jsonrpc":"2.0","method":"notifications/cancelled","params":'
                            '{"requestId":{}}}')
                s.initialize()

    def test_arguments_null_or_absent(self):
        with serve(BAD + "/plain", harness.PLUGINS) as s:
            for params in ({"name": "plain"}, {"name": "plain", "arguments": None},
                           {"name": "plain", "arguments": {}}):
                self.assertEqual(text_of(s.request("tools/call", params)["result"]), "plain answers")
            r = s.request("tools/call", {"name": "echo", "arguments": None})["result"]
            self.assertTrue(r["isError"])
            self.assertIn("message", text_of(r))
            for bad in ([], "x", 1, True):
                m = s.request("tools/call", {"name": "plain", "arguments": bad})
                self.error(m, -32602, "arguments")
            self.assertIn("result", s.request("prompts/get", {"name": "reply", "arguments": None}))

    def test_escaped_keys_are_the_same_keys(self):
        with Server() as s:
            line = raw("tools/call", '"n\\u0061me":"\\u0065cho","\\u0061rguments":{"mess\\u0061ge":"k"}')
            self.assertIn(b"Echo: k", ask(s, line))

    def test_id_in_flight(self):
        with Server() as s:
            s.send(modern("tools/call", {"name": "sleep", "arguments": {"ms": 400}}, 7),
                   modern("tools/call", {"name": "echo", "arguments": {"message": "x"}}, 7),
                   modern("tools/list", None, 7))
            self.error(s.recv(), -32600, "in flight")
            self.error(s.recv(), -32600, "in flight")
            self.assertIn("Slept", text_of(s.answer(7)["result"]))
            s.send(modern("tools/list", None, 7))
            self.assertIn("result", s.answer(7))
            # The string "7" is another id than the number.
            s.send(modern("tools/call", {"name": "sleep", "arguments": {"ms": 100}}, 7),
                   modern("tools/call", {"name": "sleep", "arguments": {"ms": 100}}, "7"))
            self.assertEqual({s.recv()["id"], s.recv()["id"]}, {7, "7"})


class Results(Case):
    def test_server_info_and_type_in_every_modern_result(self):
        with Server() as s:
            for method, params in (
                    ("server/discover", {}), ("tools/list", {}), ("resources/list", {}),
                    ("resources/templates/list", {}), ("prompts/list", {}),
                    ("tools/call", {"name": "echo", "arguments": {"message": "x"}}),
                    ("tools/call", {"name": "echo", "arguments": {}}),
                    ("tools/call", {"name": "echo_structured", "arguments": {"message": "x"}}),
                    ("resources/read", {"uri": "echo://greeting"}),
                    ("resources/read", {"uri": "echo://shout/a"}),
                    ("resources/read", {"uri": "manifold://status"}),
                    ("prompts/get", {"name": "recite", "arguments": {"topic": "x"}}),
                    ("prompts/get", {"name": "reply"}),
                    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "reply"},
                                             "argument": {"name": "style", "value": ""}})):
                r = s.request(method, params)["result"]
                self.assertEqual(r["resultType"], "complete", method)
                info = r["_meta"][P + "serverInfo"]
                self.assertEqual(info["name"], "manifold")
                self.assertTrue(info["version"])
                caches = method in CACHED or method == "resources/read"
                self.assertEqual("ttlMs" in r, caches, method)
                self.assertEqual("cacheScope" in r, caches, method)

    def test_legacy_results_are_bare(self):
        with Server() as s:
            for version in LEGACY:
                s.initialize(version)
                for line in ('{"jsonrpc":"2.0","id":1,"method":"ping"}',
                             '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{}}}',
                             '{"jsonrpc":"2.0","id":1,"method":"logging/setLevel",'
                             '"params":{"level":"error"}}'):
                    self.assertEqual(ask(s, line), b'{"jsonrpc":"2.0","id":1,"result":{}}')
                for method, params, keys in (
                        ("tools/list", {}, {"tools"}), ("resources/list", {}, {"resources"}),
                        ("resources/templates/list", {}, {"resourceTemplates"}),
                        ("prompts/list", {}, {"prompts"}),
                        ("tools/call", {"name": "echo", "arguments": {"message": "x"}}, {"content"}),
                        ("resources/read", {"uri": "echo://greeting"}, {"contents"}),
                        ("resources/read", {"uri": "manifold://status"}, {"contents"}),
                        ("prompts/get", {"name": "reply"}, {"messages", "description"}),
                        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "reply"},
                                                 "argument": {"name": "style", "value": ""}},
                         {"completion"})):
                    self.assertEqual(set(s.legacy_request(method, params)["result"]), keys, method)

    def test_capabilities(self):
        """Only what is there: no subscribe where no resource tells of its updates."""
        with Server() as s:
            c = s.request("server/discover")["result"]["capabilities"]
            listed = {"listChanged": True}
            self.assertEqual(c, {"tools": listed, "resources": listed, "prompts": listed,
                                 "completions": {}, "logging": {}})
            self.assertNotIn("completions", s.initialize("2024-11-05")["capabilities"])
            self.assertEqual(s.initialize("2025-11-25")["capabilities"], c)

    def test_instructions_are_merged(self):
        with Files() as f:
            f.echo("a", "one", edits={"library:": "instructions: First use one.\nprefix: a\nlibrary:"})
            f.echo("b", "two", edits={"library:": "instructions: Then use two.\nprefix: b\nlibrary:"})
            config = f.write("host.yaml", "manifold: 1\nserver: { name: me, instructions: Hello. }\n"
                             "sources: [{ path: %s/a, trust: true }, { path: %s/b, trust: true }]\n"
                             % (f.path, f.path))
            with Server("--config", config, plugins=[]) as s:
                text = s.request("server/discover")["result"]["instructions"]
                self.assertEqual(text, "Hello.\n\none: First use one.\n\ntwo: Then use two.")
                r = s.initialize()
                self.assertEqual(r["instructions"], text)
                self.assertEqual(r["serverInfo"]["name"], "me")

    def test_ttl_and_scope_of_lists(self):
        """The shortest and the narrowest of all manifests, on every list alike."""
        catalogue = "catalogue: { ttl: %s, scope: %s }\nprefix: %s\nlibrary:"
        with Files() as f:
            for one, two, ttl, scope in (
                    (("30s", "public"), ("5s", "private"), 5000, "private"),
                    (("250ms", "public"), ("1h", "public"), 250, "public"),
                    (("1h", "private"), ("2h", "public"), 3600000, "private")):
                f.echo("d", "one", edits={"library:": catalogue % (*one, "p")})
                f.echo("d", "two", edits={"library:": catalogue % (*two, "q")})
                with serve(f.path + "/d") as s:
                    for method in CACHED:
                        r = s.request(method)["result"]
                        self.assertEqual((r["ttlMs"], r["cacheScope"]), (ttl, scope), method)
                    r = s.request("resources/read", {"uri": "manifold://status"})["result"]
                    self.assertEqual((r["ttlMs"], r["cacheScope"]), (0, "private"))

    def test_ttl_of_a_resource(self):
        with Files() as f:
            f.echo("d", edits={"mimeType: text/plain\n\n  - name: shout":
                               "mimeType: text/plain\n    cache: { ttl: 5m, scope: public }\n\n"
                               "  - name: shout"})
            with serve(f.path + "/d") as s:
                r = s.request("resources/read", {"uri": "echo://greeting"})["result"]
                self.assertEqual((r["ttlMs"], r["cacheScope"]), (300000, "public"))


class Lists(Case):
    def entry(self, s, method, key, name, request=None):
        r = (request or s.request)(method)["result"][key]
        return [e for e in r if e["name"] == name][0]

    def test_modern_entries_are_verbatim(self):
        with Files() as f:
            f.echo("d", edits=DECORATED)
            with serve(f.path + "/d") as s:
                e = self.entry(s, "tools/list", "tools", "echo_structured")
                self.assertEqual(e["title"], "T\u00eft\"le")
                self.assertEqual((e["icons"], e["_meta"]), (ICONS, META))
                self.assertEqual(e["annotations"], {"readOnlyHint": True, "destructiveHint": False,
                                                    "idempotentHint": True, "openWorldHint": False})
                self.assertEqual(e["outputSchema"]["required"], ["echo", "length"])
                self.assertIs(e["inputSchema"]["additionalProperties"], False)
                e = self.entry(s, "resources/list", "resources", "greeting")
                self.assertEqual(e["annotations"], {"audience": ["user"], "priority": 0.5})
                self.assertEqual((e["icons"], e["_meta"], e["size"]), (ICONS, META, 7))
                e = self.entry(s, "prompts/list", "prompts", "recite")
                self.assertEqual((e["icons"], e["_meta"]), (ICONS, META))
                self.assertEqual(e["arguments"], [{"name": "topic", "required": True,
                                                   "description": "What the poem is about"}])
                e = self.entry(s, "resources/templates/list", "resourceTemplates", "shout")
                self.assertEqual(e["uriTemplate"], "echo://shout/{text}")
                self.assertNotIn("complete", e)

    def test_older_revisions_get_what_they_know(self):
        """schema.ts of each revision: a member appears from the revision on that defines it."""
        since = {"annotations": "2025-03-26", "title": "2025-06-18", "outputSchema": "2025-06-18",
                 "_meta": "2025-06-18", "icons": "2025-11-25"}
        with Files() as f:
            f.echo("d", edits=DECORATED)
            with serve(f.path + "/d") as s:
                for version in LEGACY:
                    s.initialize(version)
                    e = self.entry(s, "tools/list", "tools", "echo_structured", s.legacy_request)
                    self.assertEqual({k for k in since if k in e},
                                     {k for k, v in since.items() if version >= v}, version)
                    e = self.entry(s, "prompts/list", "prompts", "recite", s.legacy_request)
                    self.assertEqual("icons" in e, version >= "2025-11-25")
                    self.assertEqual("title" in e, version >= "2025-06-18")
                    e = self.entry(s, "resources/list", "resources", "greeting", s.legacy_request)
                    self.assertEqual("icons" in e, version >= "2025-11-25")
                    self.assertIn("annotations", e)

    def pages(self, s, method, key, request):
        names, cursor, pages = [], None, 0
        while True:
            r = request(method, {} if cursor is None else {"cursor": cursor})["result"]
            names += [e["name"] for e in r[key]]
            pages += 1
            self.assertLess(pages, 20)
            cursor = r.get("nextCursor")
            if cursor is None:
                return names, pages
            self.assertIsInstance(cursor, str)

    def test_pages(self):
        """600 tools: every one once, in the manifest's order, the same for both eras."""
        want = ["tool_%03d" % i for i in range(600)]
        with Files() as f:
            f.echo("d")
            many = "manifold: 1\nid: dev.manifold.echo\nlibrary: echo.so\nisolation: inproc\ntools:\n"
            f.write("d/echo.yaml", many + "".join("  - { name: %s, description: d }\n" % n
                                                  for n in want))
            with serve(f.path + "/d") as s:
                s.initialize()
                for request in (s.request, s.legacy_request):
                    names, pages = self.pages(s, "tools/list", "tools", request)
                    self.assertEqual(names, want)
                    self.assertGreater(pages, 1)
                    self.assertEqual(self.pages(s, "prompts/list", "prompts", request)[1], 1)
                first = s.request("tools/list")["result"]
                second = s.request("tools/list", {"cursor": first["nextCursor"]})["result"]
                self.assertEqual((first["ttlMs"], first["cacheScope"]),
                                 (second["ttlMs"], second["cacheScope"]))
                cursor = first["nextCursor"]
                for wrong in ("", "x", cursor + "0", cursor[:-1], cursor.upper() + "!", 7, [], {}):
                    self.error(s.request("tools/list", {"cursor": wrong}), -32602, "cursor")
                    self.error(s.legacy_request("tools/list", {"cursor": wrong}), -32602, "cursor")
                for method in CACHED[2:]:
                    self.error(s.request(method, {"cursor": cursor}), -32602, "cursor")

    def test_a_cursor_of_another_catalogue_is_refused(self):
        head = "manifold: 1\nid: dev.manifold.echo\nlibrary: echo.so\nisolation: inproc\ntools:\n"
        cursors = []
        for text in ("d", "other"):
            with Files() as f:
                f.echo("d")
                f.write("d/echo.yaml", head + "".join("  - { name: t%d, description: %s }\n"
                                                      % (i, text) for i in range(300)))
                with serve(f.path + "/d") as s:
                    if cursors:
                        self.error(s.request("tools/list", {"cursor": cursors[0]}), -32602)
                    cursors.append(s.request("tools/list")["result"]["nextCursor"])

    def test_lists_load_no_library(self):
        with Server() as s:
            for method in CACHED:
                s.request(method)
            p = [p for p in support.status(s)["plugins"] if p["name"] == "echo"][0]
            self.assertEqual((p["state"], p["loads"]), ("unloaded", 0))


class Calls(Case):
    def test_schema_misfit(self):
        """isError with path, expected and found, in every revision; the plugin never sees it."""
        with Server() as s:
            for arguments, texts in (({"message": 7}, ("arguments/message", "string", "number")),
                                     ({}, ("message",))):
                r = s.call("echo", arguments)
                self.assertTrue(r["isError"])
                for text in texts:
                    self.assertIn(text, text_of(r))
            self.assertIn("ms", text_of(s.call("sleep", {"ms": -1})))
            self.assertIn("extra", text_of(s.call("sleep", {"ms": 1, "extra": 1})))
            for version in LEGACY:
                s.initialize(version)
                r = s.legacy_request("tools/call", {"name": "echo", "arguments": {"message": []}})
                self.assertTrue(r["result"]["isError"])
            p = [p for p in support.status(s)["plugins"] if p["name"] == "echo"][0]
            self.assertEqual((p["state"], p["loads"]), ("unloaded", 0))

    def test_unknown_names(self):
        with Server() as s:
            s.initialize()
            for request in (s.request, s.legacy_request):
                self.error(request("tools/call", {"name": "none"}), -32602, '"none"')
                self.error(request("prompts/get", {"name": "none"}), -32602, '"none"')
                for method in ("tools/call", "prompts/get"):
                    self.error(request(method, {}), -32602, "name")
                    self.error(request(method, {"name": 1}), -32602, "name")
                self.error(request("resources/read", {}), -32602, "uri")
                for ref in ({"type": "ref/prompt", "name": "none"}, {"type": "ref/prompt"},
                            {"type": "ref/resource", "uri": "none://x"}, {"type": "ref/x"}, {}, 1):
                    self.error(request("completion/complete", {
                        "ref": ref, "argument": {"name": "a", "value": ""}}), -32602)

    def test_structured(self):
        with Server() as s:
            want = {"echo": "\u00e4b", "length": 2}
            r = s.call("echo_structured", {"message": "\u00e4b"})
            self.assertEqual(r["structuredContent"], want)
            self.assertEqual(json.loads(text_of(r)), want)
            for version in LEGACY:
                s.initialize(version)
                r = s.legacy_request("tools/call", {"name": "echo_structured",
                                                    "arguments": {"message": "\u00e4b"}})["result"]
                self.assertEqual(r.get("structuredContent"), want if version >= "2025-06-18" else None)
                self.assertEqual(json.loads(text_of(r)), want)

    def test_schema_that_is_no_object_is_wrapped_for_older_revisions(self):
        with Files() as f:
            f.echo("d", edits={"    outputSchema:\n      type: object\n":
                               "    outputSchema:\n"})
            with serve(f.path + "/d") as s:
                def both(request):
                    tool = [t for t in request("tools/list")["result"]["tools"]
                            if t["name"] == "echo_structured"][0]
                    r = request("tools/call", {"name": "echo_structured",
                                               "arguments": {"message": "m"}})["result"]
                    return tool["outputSchema"], r["structuredContent"]
                schema, value = both(s.request)
                self.assertNotIn("type", schema)
                self.assertEqual(value, {"echo": "m", "length": 1})
                for version in ("2025-06-18", "2025-11-25"):
                    s.initialize(version)
                    schema, value = both(s.legacy_request)
                    self.assertEqual((schema["type"], schema["required"]), ("object", ["result"]))
                    self.assertIn("length", schema["properties"]["result"]["properties"])
                    self.assertEqual(value, {"result": {"echo": "m", "length": 1}})

    def test_resources(self):
        with Server() as s:
            r = s.request("resources/read", {"uri": "echo://greeting"})["result"]["contents"]
            self.assertEqual((r[0]["uri"], r[0]["mimeType"]), ("echo://greeting", "text/plain"))
            self.assertTrue(r[0]["text"])
            r = s.request("resources/read", {"uri": "echo://shout/a%20b"})["result"]["contents"][0]
            self.assertEqual((r["uri"], r["text"]), ("echo://shout/a%20b", "A B"))
            s.initialize()
            for request, code in ((s.request, -32602), (s.legacy_request, -32002)):
                for uri in ("echo://none", "", "nonsense", "echo://shout/a/b", "ECHO://greeting",
                            "nobody:///etc/passwd", "echo://\u00e4\"\\", "manifold://status/"):
                    m = request("resources/read", {"uri": uri})
                    self.assertEqual(self.error(m, code)["data"], {"uri": uri})
            for version in LEGACY:
                s.initialize(version)
                self.error(s.legacy_request("resources/read", {"uri": "echo://none"}), -32002)

    def test_prompts(self):
        with Server() as s:
            r = s.request("prompts/get", {"name": "recite", "arguments": {"topic": "rain"}})["result"]
            self.assertEqual(r["messages"], [{"role": "user", "content": {
                "type": "text", "text": "Recite a short poem about rain."}}])
            self.assertTrue(r["description"])
            for arguments in ({}, None, {"topic": 7}, {"topic": None}):
                self.error(s.request("prompts/get", {"name": "recite", "arguments": arguments}),
                           -32602, "topic")
            self.error(s.request("prompts/get", {"name": "recite", "arguments": []}), -32602)
            said = {json.dumps(s.request("prompts/get", {"name": "reply", "arguments": a})["result"])
                    for a in ({}, {"style": "formal"}, {"style": "short"})}
            self.assertEqual(len(said), 3, "the library did not get the arguments")

    def test_values_of_prompts_are_not_read_again(self):
        with Files() as f:
            f.write("d/p.yaml", "manifold: 1\nid: org.example.p\nprompts:\n  - name: two\n"
                    "    arguments: [{ name: a, required: true }, { name: b }]\n    messages:\n"
                    "      - { role: user, text: \"{{a}}|{{ b }}|{{c}}|{{a}}\" }\n"
                    "      - { role: assistant, text: \"fixed \\\"{{b}}\\\"\" }\n")
            with serve(f.path + "/d") as s:
                def say(a, b):
                    r = s.request("prompts/get", {"name": "two", "arguments": {"a": a, "b": b}})
                    return [m["content"]["text"] for m in r["result"]["messages"]]
                for a, b in (("{{b}}", "{{a}}"), ("{{", "}}"), ("\"}],\"x\":[{\"", "\\"), ("", ""),
                             ("\u0000\n\u2028", "\U0001f600"), ("$& %s {0}", "\\u0041")):
                    self.assertEqual(say(a, b), ["%s|%s|{{c}}|%s" % (a, b, a), "fixed \"%s\"" % b])

    def test_completion(self):
        with Server() as s:
            def complete(ref, name, value, **more):
                r = s.request("completion/complete", dict({
                    "ref": ref, "argument": {"name": name, "value": value}}, **more))
                return r["result"]["completion"]
            reply = {"type": "ref/prompt", "name": "reply"}
            self.assertEqual(complete(reply, "style", ""), {"values": ["formal", "short"], "total": 2,
                                                            "hasMore": False})
            self.assertEqual(complete(reply, "style", "f")["values"], ["formal"])
            self.assertEqual(complete(reply, "style", "x")["values"], [])
            self.assertEqual(complete(reply, "nothing", "")["values"], [])
            shout = {"type": "ref/resource", "uri": "echo://shout/{text}"}
            values = complete(shout, "text", "he", context={"arguments": {"other": "x"}})["values"]
            self.assertEqual(values, ["hello", "hey"])
            for argument in (None, {}, {"name": "style"}, {"value": ""}, {"name": 1, "value": ""}, []):
                self.error(s.request("completion/complete", {"ref": reply, "argument": argument}),
                           -32602)


class Flow(Case):
    def progress(self, s, **kw):
        return [m for m in s.other if m.get("method") == "notifications/progress"]

    def test_progress(self):
        with Server() as s:
            for token in ("t", "", 0, -5, 1 << 53, 12345678901234):
                s.other.clear()
                s.call("sleep", {"ms": 50}, meta={"progressToken": token})
                steps = [m["params"] for m in s.other]
                self.assertEqual([m for m in s.other if m["method"] != "notifications/progress"], [])
                self.assertTrue(steps)
                self.assertEqual({type(p["progressToken"]) for p in steps}, {type(token)})
                self.assertEqual({p["progressToken"] for p in steps}, {token})
                values = [p["progress"] for p in steps]
                self.assertEqual(values, sorted(set(values)), "progress must rise")
            for token in (None, 1.5, {}, [], True):
                s.other.clear()
                s.call("sleep", {"ms": 20}, meta={"progressToken": token})
                self.assertEqual(s.other, [], token)
            s.other.clear()
            s.call("sleep", {"ms": 20})
            self.assertEqual(s.other, [])

    def test_progress_of_legacy_requests(self):
        with Server() as s:
            for version in LEGACY:
                s.initialize(version)
                s.other.clear()
                s.legacy_request("tools/call", {"name": "sleep", "arguments": {"ms": 30},
                                                "_meta": {"progressToken": "old"}})
                steps = self.progress(s)
                self.assertTrue(steps)
                if version < "2025-03-26":
                    self.assertFalse([m for m in steps if "message" in m["params"]])

    def test_cancel(self):
        """Nothing further is sent for it, whatever the kind of the id, and its slot is free."""
        with Server("--set", "echo.limits.concurrency=1") as s:
            s.initialize()
            for id in ("gone", 0, -1, 1 << 53):
                for cancel in (modern, legacy):
                    s.other.clear()
                    s.send(modern("tools/call", {"name": "sleep", "arguments": {"ms": 60000}}, id,
                                  meta={"progressToken": "of the cancelled"}),
                           modern("tools/list", None, "there"))
                    s.answer("there")
                    s.send(cancel("notifications/cancelled", {"requestId": id, "reason": "enough"}),
                           modern("tools/list", None, "seen"))
                    s.answer("seen")
                    s.other.clear()
                    s.call("sleep", {"ms": 30})  # gets the slot, and is longer than a step of progress
                    self.assertEqual(s.other, [])
            p = [p for p in support.status(s)["plugins"] if p["name"] == "echo"][0]
            self.assertEqual((p["cancelled"], p["running"], p["queued"]), (8, 0, 0))

    def test_cancel_of_a_waiting_call(self):
        with Server("--set", "echo.limits.concurrency=1") as s:
            s.send(modern("tools/call", {"name": "sleep", "arguments": {"ms": 300}}, 1),
                   modern("tools/call", {"name": "sleep", "arguments": {"ms": 1}}, 2),
                   modern("tools/call", {"name": "sleep", "arguments": {"ms": 1}}, 3),
                   modern("notifications/cancelled", {"requestId": 2}))
            self.assertEqual([s.recv()["id"], s.recv()["id"]], [1, 3])
            s.send(modern("tools/list", None, 2))
            s.answer(2)
            self.assertEqual(s.other, [])

    def test_cancel_after_the_answer(self):
        with Server() as s:
            for i in range(50):
                s.send(modern("tools/call", {"name": "echo", "arguments": {"message": "x"}}, i),
                       modern("notifications/cancelled", {"requestId": i}),
                       modern("tools/list", None, "n%d" % i))
                s.answer("n%d" % i)
            ids = [m["id"] for m in s.other]
            self.assertEqual(len(ids), len(set(ids)))

    def test_logging_levels(self):
        """Nothing unless asked for; only the asked level and above; only where the call is."""
        with serve(BAD + "/log_flood", args=("--set", "log_flood.limits.log=1000000/s",
                                             "--log-level", "error")) as s:
            def messages(**kw):
                s.other.clear()
                s.call("log_flood", **kw)
                return [m["params"] for m in s.other if m["method"] == "notifications/message"]
            self.assertEqual(messages(), [])
            self.assertEqual(messages(meta={P + "logLevel": "error"}), [])
            got = messages(meta={P + "logLevel": "warning"})
            self.assertTrue(got)
            for m in got:
                self.assertEqual((m["level"], m["logger"]), ("warning", "log_flood"))
                self.assertIn("flood line", m["data"])
            for level in ("loud", "", 3, None):
                m = s.request("tools/call", {"name": "log_flood"}, meta={P + "logLevel": level})
                self.error(m, -32602, "logLevel")
            s.initialize()
            for level in ("loud", "", 3, None):
                self.error(s.legacy_request("logging/setLevel", {"level": level}), -32602, "level")
            self.error(s.legacy_request("logging/setLevel"), -32602, "level")
            for level in ("debug", "info", "notice", "warning", "error", "critical", "alert",
                          "emergency"):
                self.assertEqual(s.legacy_request("logging/setLevel", {"level": level})["result"], {})

    def test_messages_reach_the_client(self):
        """Of both eras, when the level says so."""
        with serve(BAD + "/log_flood") as s:
            s.call("log_flood", meta={P + "logLevel": "debug"})
            self.assertTrue([m for m in s.other if m["method"] == "notifications/message"])
        with serve(BAD + "/log_flood") as s:
            s.initialize()
            s.legacy_request("logging/setLevel", {"level": "warning"})
            s.legacy_request("tools/call", {"name": "log_flood"})
            self.assertTrue([m for m in s.other if m["method"] == "notifications/message"])
            s.other.clear()
            s.call("log_flood")  # a modern request does not inherit the level of the session
            self.assertEqual(s.other, [])


class Batches(Case):
    CALL = legacy("tools/call", {"name": "echo", "arguments": {"message": "b"}}, 1)

    def send(self, s, *elements):
        s.send_bytes(json.dumps(elements).encode() + b"\n")

    def test_batch(self):
        with Server() as s:
            s.initialize("2025-03-26")
            self.send(s, self.CALL, legacy("ping", id="p"), legacy("no/such", id=2),
                      legacy("notifications/initialized"), legacy("tools/call", {
                          "name": "sleep", "arguments": {"ms": 50}}, 3), 7,
                      legacy("tools/list", id=4))
            m = s.recv()
            self.assertIsInstance(m, list)
            by_id = {x.get("id"): x for x in m}
            self.assertEqual(set(by_id), {1, "p", 2, 3, 4, None})
            self.assertEqual(len(m), 6)
            self.assertEqual(by_id["p"]["result"], {})
            self.assertEqual(by_id[2]["error"]["code"], -32601)
            self.assertEqual(by_id[None]["error"]["code"], -32600)
            self.assertIn("Slept", text_of(by_id[3]["result"]))
            s.echo()

    def test_batch_of_notifications(self):
        with Server() as s:
            s.initialize("2025-03-26")
            self.send(s, legacy("notifications/initialized"), legacy("no/such"))
            s.echo()
            self.assertEqual(s.other, [])

    def test_what_may_not_be_in_a_batch(self):
        with Server() as s:
            s.initialize("2025-03-26")
            self.send(s, legacy("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                               "clientInfo": {}}, 1))
            self.error(s.recv()[0], -32600, "initialize")
            self.send(s, modern("tools/list", None, 2), [legacy("ping", id=3)])
            m = s.recv()
            self.error(m[0], -32600)
            self.error(m[1], -32600)
            self.send(s, legacy("ping", id=4), legacy("tools/call", self.CALL["params"], 4),
                      self.CALL, self.CALL)
            ids = [(x["id"], "error" in x) for x in s.recv()]
            self.assertIn((4, False), ids)
            self.assertEqual(len(ids), 4)
            for line in ("[]", "[" + ",".join(['{"jsonrpc":"2.0","id":1,"method":"ping"}'] * 300)
                         + "]"):
                self.assertEqual(error_of(ask(s, line))["code"], -32600)
            s.echo()

    def test_only_at_its_revision(self):
        with Server() as s:
            self.send(s, legacy("ping", id=1))
            self.error(s.recv(), -32600, "2025-03-26")
            for version in LEGACY:
                s.initialize(version)
                self.send(s, legacy("ping", id=1))
                m = s.recv()
                if version == "2025-03-26":
                    self.assertEqual(m, [{"jsonrpc": "2.0", "id": 1, "result": {}}])
                else:
                    self.error(m, -32600)

    def test_cancel_within_a_batch(self):
        """The rest is still answered, in one array."""
        with Server() as s:
            s.initialize("2025-03-26")
            self.send(s, legacy("tools/call", {"name": "sleep", "arguments": {"ms": 60000}}, 1),
                      legacy("ping", id=2), legacy("notifications/cancelled", {"requestId": 1}))
            self.assertEqual([x["id"] for x in s.recv()], [2])


class Refusals(Case):
    """docs/operators.md, Limits, and what a client sees."""

    def refused(self, result, reason, limit, *texts):
        self.assertTrue(result["isError"])
        r = result["_meta"]["manifold/refused"]
        self.assertEqual((r["reason"], r.get("limit")), (reason, limit))
        for text in texts + ((limit,) if limit else ()):
            self.assertIn(text, text_of(result))
        return r

    def refused_read(self, m, reason, limit):
        data = self.error(m, -32603)["data"]
        self.assertEqual((data["reason"], data.get("limit")), (reason, limit))
        return data

    def sleep(self, ms, id):
        return modern("tools/call", {"name": "sleep", "arguments": {"ms": ms}}, id)

    def test_queue_full(self):
        with Server("--set", "echo.limits.concurrency=1", "--set", "echo.limits.queue=1") as s:
            s.echo()
            s.send(self.sleep(300, 1), self.sleep(1, 2), self.sleep(1, 3))
            r = self.refused(s.answer(3)["result"], "queue", "limits.queue", "1")
            self.assertGreater(r["retryAfterMs"], 0)
            s.send(modern("resources/read", {"uri": "echo://greeting"}, 4),
                   modern("prompts/get", {"name": "reply"}, 5))
            for id in (4, 5):
                self.assertGreater(self.refused_read(s.answer(id), "queue", "limits.queue")
                                   ["retryAfterMs"], 0)
            s.answer(1), s.answer(2)
            s.echo()

    def test_queue_wait(self):
        with Server("--set", "echo.limits.concurrency=1", "--set", "echo.limits.queue_wait=50ms") as s:
            s.echo()
            s.send(self.sleep(500, 1), self.sleep(1, 2))
            r = self.refused(s.recv()["result"], "queue_wait", "limits.queue_wait", "50 ms")
            self.assertGreater(r["retryAfterMs"], 0)
            s.answer(1)
            s.echo()

    def test_timeout(self):
        with Server("--set", "echo.limits.timeout=100ms") as s:
            self.refused(s.call("sleep", {"ms": 60000}), "timeout", "limits.timeout", "100 ms")
            s.echo()

    def test_fault(self):
        with serve(BAD + "/unknown_how", harness.PLUGINS) as s:
            self.refused(s.call("unknown_how"), "fault", None)
            s.echo()

    def test_result_too_large(self):
        with serve(BAD + "/oversized", harness.PLUGINS) as s:
            self.refused(s.call("oversized"), "result", "limits.result", "65536")
        with Server("--set", "echo.limits.result=1KiB") as s:
            s.echo("x" * 900)
            self.refused(s.call("echo", {"message": "x" * 1100}), "result", "limits.result", "1024")
            self.refused_read(s.request("resources/read", {"uri": "echo://shout/" + "x" * 1100}),
                              "result", "limits.result")
            s.echo()

    def test_request_too_large(self):
        with Server("--set", "echo.limits.request=1KiB") as s:
            self.refused(s.call("echo", {"message": "x" * 1100}), "request", "limits.request", "1024")
            self.refused_read(s.request("resources/read", {"uri": "echo://shout/" + "x" * 1100}),
                              "request", "limits.request")
            s.echo()

    def test_load(self):
        with Files() as f:
            f.echo("d", edits={"id: dev.manifold.echo": "id: dev.manifold.another"})
            with serve(f.path + "/d") as s:
                self.refused(s.call("echo", {"message": "x"}), "load", None, "can't be used")
                data = self.refused_read(s.request("resources/read", {"uri": "echo://greeting"}),
                                         "load", None)
                self.assertNotIn("retryAfterMs", data)
                r = s.request("prompts/get", {"name": "recite", "arguments": {"topic": "x"}})
                self.assertIn("result", r, "its text stands in the manifest alone")

    def test_calls_of_the_host(self):
        with Files() as f:
            config = f.write("host.yaml", "manifold: 1\nsources: [{ path: %s, trust: true }]\n"
                             "limits: { calls: 2 }\n" % harness.PLUGINS)
            with Server("--config", config, plugins=[]) as s:
                s.echo()
                s.send(self.sleep(300, 1), self.sleep(300, 2), self.sleep(300, 3))
                r = self.refused(s.recv()["result"], "calls", "limits.calls")
                self.assertGreater(r["retryAfterMs"], 0)

    def test_message_over_the_limit(self):
        with Files() as f:
            config = f.write("host.yaml", "manifold: 1\nsources: [{ path: %s, trust: true }]\n"
                             "limits: { message: 64KiB }\n" % harness.PLUGINS)
            with Server("--config", config, plugins=[]) as s:
                for id in ("1", '"late"'):
                    line = '{"jsonrpc":"2.0","params":{"x":"%s"},"method":"ping","id":%s}' % (
                        "x" * 70000, id)
                    answer = ask(s, line)
                    self.assertEqual(error_of(answer)["code"], -32600)
                    self.assertIn(b'"id":' + id.encode(), answer)
                    self.assertIn("limits.message", error_of(answer)["message"])
                s.echo("x" * 60000)


if __name__ == "__main__":
    harness.main()
