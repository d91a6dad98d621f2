"""100,000 malformed messages, and after each thousand a good call that the same process answers.

Seeded: MANIFOLD_SEED=N repeats a run.  MANIFOLD_MALFORMED=N sets the number of messages.  Memory is
measured on a build without sanitizers: MANIFOLD, or else MANIFOLD_CONTROLS."""

import json
import os
import random
import unittest

import harness
import support
from harness import Failure, MODERN_META, Server, legacy, modern

COUNT = int(os.environ.get("MANIFOLD_MALFORMED", 100000))
SEED = int(os.environ.get("MANIFOLD_SEED", 20260728))
STEP = 1000
GROWTH = 8 * 1024  # KiB from after the first thousand to the end

VALID = [
    modern("tools/call", {"name": "echo", "arguments": {"message": "a\u00e9\u20ac\U0001f600"}}, 1),
    modern("tools/call", {"name": "echo_structured", "arguments": {"message": "x"}}, "s"),
    modern("tools/call", {"name": "sleep", "arguments": {"ms": 1}}, 3, {"progressToken": "t"}),
    modern("tools/list", None, 4), modern("server/discover", None, 5),
    modern("resources/read", {"uri": "echo://shout/abc"}, 6),
    modern("resources/read", {"uri": "manifold://status"}, 7),
    modern("prompts/get", {"name": "recite", "arguments": {"topic": "t"}}, 8),
    modern("completion/complete", {"ref": {"type": "ref/prompt", "name": "reply"},
                                   "argument": {"name": "style", "value": "f"},
                                   "context": {"arguments": {}}}, 9),
    modern("notifications/cancelled", {"requestId": 3, "reason": "r"}),
    legacy("initialize", {"protocolVersion": "2025-03-26", "capabilities": {},
                          "clientInfo": {"name": "c", "version": "1"}}, 10),
    legacy("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                          "clientInfo": {"name": "c", "version": "1"}}, 11),
    legacy("notifications/initialized"), legacy("ping", id=12),
    legacy("tools/call", {"name": "echo", "arguments": {"message": "y"}}, 13),
    legacy("logging/setLevel", {"level": "debug"}, 14),
    legacy("prompts/list", {"cursor": "x"}, 15),
]
VALUES = [None, True, False, 0, -1, 1.5, "", "x", [], {}, [[]], {"a": {"b": []}}, 1 << 70,
          "\u0000", "{{topic}}", "a" * 3000, [0] * 500, {"_meta": {}}, "notifications/cancelled"]
NUMBERS = [b"1e999", b"-1e-999", b"0" * 40, b"9" * 400, b"01", b"-", b"1.", b".5", b"0x10", b"1e",
           b"-0", b"1E+5", b"NaN", b"Infinity", b"9007199254740993", b"1" + b"0" * 300]
STRINGS = [b'"\xff\xfe"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe2\x82"',
           b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u12"', b'"\\x"', b'"\x01"', b'"\x00"', b'"\t"',
           b'"\\u0000"', b'"' + b"\\" * 31 + b'"', b'"\xef\xbb\xbf"', b"'x'"]


def set_somewhere(r, value, depth=0):
    """A copy of a message with one value, at any depth, replaced, removed or doubled in type."""
    if isinstance(value, dict) and value and (depth == 0 or r.random() < 0.7):
        copy = dict(value)
        key = r.choice(list(copy))
        what = r.random()
        if what < 0.15:
            del copy[key]
        elif what < 0.3:
            copy[r.choice(["id", "method", "params", "_meta", "result", "error", "x", ""])] = \
                r.choice(VALUES)
        else:
            copy[key] = set_somewhere(r, copy[key], depth + 1)
        return copy
    return r.choice(VALUES)


def flip(r, text):
    data = bytearray(text)
    for _ in range(r.choice((1, 1, 1, 2, 8))):
        data[r.randrange(len(data))] ^= 1 << r.randrange(8)
    return bytes(data)


def truncate(r, text):
    return text[:r.randrange(len(text))]


def splice(r, text):
    """A part of it somewhere else in it."""
    a, b = sorted(r.randrange(len(text) + 1) for _ in range(2))
    at = r.randrange(len(text) + 1)
    return text[:at] + text[a:b] + text[at:]


def nest(r, text):
    n = r.choice((10, 63, 64, 65, 200, 20000))
    kind = r.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[", b""), (b'[{"a":', b"")))
    deep = kind[0] * n + b"1" + kind[1] * n
    return r.choice((deep, text[:-1] + b',"deep":' + deep + b"}"))


def number(r, text):
    return text.replace(b":1", b":" + r.choice(NUMBERS), 1) if b":1" in text else r.choice(NUMBERS)


def string(r, text):
    parts = text.split(b'"')
    if len(parts) < 5:
        return r.choice(STRINGS)
    at = r.randrange(1, len(parts) - 1, 2)
    return b'"'.join(parts[:at]) + r.choice(STRINGS) + b'"'.join(parts[at + 1:])


def duplicate(r, text):
    key = r.choice((b'"id":2', b'"method":"ping"', b'"jsonrpc":"2.0"', b'"params":{}', b'"i\\u0064":3'))
    return b"{" + key + b"," + text[1:]


def retype(r, text):
    return json.dumps(set_somewhere(r, r.choice(VALID))).encode()


def method(r, text):
    name = r.choice(("", "tools", "tools/", "/call", "tools/call\u0000", "TOOLS/CALL", "rpc.x",
                     "a" * 5000, "notifications/", "notifications/x", "initialize", "tools/call "))
    return json.dumps(dict(r.choice(VALID), method=name)).encode()


def batch(r, text):
    n = r.choice((0, 1, 2, 5, 300))
    return b"[" + b",".join(r.choice((text, b"1", b"null", b"[]", b"{}", truncate(r, text)))
                            for _ in range(n)) + r.choice((b"]", b"", b",]"))


def blank(r, text):
    return r.choice((b"", b" ", b"\r", b"\t \r", b"\xef\xbb\xbf" + text, text + b"\r", b" " + text,
                     text + b"\x00", b"\x00" + text, text + text, text + b",", b"\x1b[2J" + text))


def noise(r, text):
    return bytes(r.randrange(256) for _ in range(r.choice((1, 3, 40, 400)))).replace(b"\n", b"")


def long_line(r, text):
    """Over limits.message of the test's host (64 KiB)."""
    pad = b" " * (70 << 10)
    return r.choice((pad + text, text + pad, text[:-1] + b',"x":"' + b"x" * (70 << 10) + b'"}'))


KINDS = [flip] * 6 + [truncate] * 3 + [retype] * 6 + [splice, splice, nest, number, number, string,
         string, string, duplicate, method, batch, blank, noise]
RARE = [long_line]


def messages(seed, n):
    """n lines, each with the name of what was done to a valid one; the same for the same seed."""
    r = random.Random(seed)
    valid = [json.dumps(v, ensure_ascii=r.random() < 0.5).encode() for v in VALID]
    for i in range(n):
        kind = r.choice(RARE) if i % 500 == 7 else r.choice(KINDS)
        line = kind(r, r.choice(valid))
        yield kind.__name__, line.replace(b"\n", b" ")


class Malformed(unittest.TestCase):
    def setUp(self):
        self.files = support.Files()
        self.files.__enter__()
        self.addCleanup(self.files.__exit__)

    def config(self, plugins):
        return self.files.write("host.yaml", "manifold: 1\nsources: [{ path: %s, trust: true }]\n"
                                "limits: { message: 64KiB }\nlog: { level: error }\n" % plugins)

    def drain(self, s, seen, marker):
        """Reads up to the answer to `marker`; counts the others."""
        while True:
            m = s.recv()
            if m is None:
                raise Failure("the host is gone")
            for one in m if isinstance(m, list) else [m]:
                if one.get("id") == marker:
                    return one
                kind = ("notification" if "method" in one else
                        "result" if "result" in one else one["error"]["code"])
                seen[kind] = seen.get(kind, 0) + 1

    def run_messages(self, n, plugins, **kw):
        print("seed %d, %d messages" % (SEED, n), flush=True)
        seen, first, kinds = {}, None, {}
        with Server("--config", self.config(plugins), plugins=[], **kw) as s:
            pid = s.process.pid
            s.echo()
            lines = []
            for i, (kind, line) in enumerate(messages(SEED, n), 1):
                kinds[kind] = kinds.get(kind, 0) + 1
                lines.append(line)
                if i % STEP and i != n:
                    continue
                marker = "good %d" % i
                lines.append(json.dumps(modern("tools/call", {
                    "name": "echo", "arguments": {"message": marker}}, marker)).encode())
                s.send_bytes(b"\n".join(lines) + b"\n")
                lines = []
                text = self.drain(s, seen, marker)["result"]["content"][0]["text"]
                self.assertEqual(text, "Echo: " + marker)
                if first is None and i >= STEP:
                    first = s.memory_kib()
            grown = s.memory_kib() - first
            self.assertEqual(s.process.pid, pid)
            self.assertIsNone(s.process.poll())
            s.echo()
        print("answers %s\nmessages %s\nRSS after the first thousand %d KiB, at the end %+d KiB"
              % (seen, kinds, first, grown), flush=True)
        errors = sum(v for k, v in seen.items() if isinstance(k, int))
        self.assertEqual(set(k for k in seen if isinstance(k, int))
                         - {-32700, -32600, -32601, -32602, -32603, -32022, -32002}, set())
        for code in (-32700, -32600, -32601, -32602):
            self.assertGreater(seen.get(code, 0), n // 200, "hardly any %d" % code)
        self.assertGreater(errors, n // 2, "most of these deserve an answer")
        self.assertLess(errors + seen.get("result", 0), 3 * n)
        return grown

    def test_messages(self):
        grown = self.run_messages(COUNT, harness.PLUGINS)
        if not support.SANITIZE:
            self.assertLess(grown, GROWTH)

    @support.needs_controls
    @unittest.skipUnless(support.SANITIZE, "the other test has no sanitizer either")
    def test_memory_without_sanitizer(self):
        grown = self.run_messages(COUNT, support.controls_dir("plugins"), binary=support.CONTROLS)
        self.assertLess(grown, GROWTH)


if __name__ == "__main__":
    harness.main()
