"""manifold.http/1 on the real host, against a real nginx and against a server that misbehaves: what is
kept open, what is bounded, what is refused, and where secrets go."""

import base64
import gzip
import json
import os
import random
import struct
import threading
import time
import unittest
import zlib

import harness
from harness import Failure
from http_support import (ECANCELED, EDENIED, EINVAL, EIO, ELIMIT, ETIMEDOUT, OK, Host, Nginx, Stub,
                          free_port, redirect, wait_for)
from support import CONTROLS, SANITIZE, needs_controls, plain_only

TEXT = b"hello, encoded world"
MIB = 1 << 20


def local(port, *more, methods=("GET", "POST", "PUT", "HEAD"), **given):
    """Permissions and grants for 127.0.0.1 at these ports, private addresses allowed."""
    return {"permissions": [{"name": "local", "host": "127.0.0.1", "ports": [port, *more],
                             "methods": list(methods)}],
            "grants": {"local": dict({"private": True}, **given)}}


class Answers(unittest.TestCase):
    def test_an_answer(self):
        with Nginx() as n, Host(**local(n.port)) as h:
            n.write("a.txt", b"x" * 5000)
            a = h.ask(n.url + "/a.txt?q=1#part")
            self.assertEqual((a["status"], a["code"], a["length"]), (OK, 200, 5000))
            self.assertEqual(a["url"], n.url + "/a.txt?q=1")
            self.assertEqual(a["headers"]["content-type"], "text/plain")
            self.assertEqual(h.ask(n.url + "/none")["code"], 404)
            a = h.ask(n.url + "/a.txt", method="HEAD")
            self.assertEqual((a["status"], a["code"], a["length"]), (OK, 200, 0))
            self.assertEqual(n.log()[0]["agent"], "manifold/0.1.0")

    def test_bodies_and_methods(self):
        with Stub() as s, Host(**local(s.port)) as h:
            for method, body in (("POST", "some body"), ("PUT", ""), ("POST", "")):
                a = h.ask(s.url + "/", method=method, body=body, headers=[["X-Own", "1"], ["X-Empty", ""]])
                came = json.loads(a["body"])
                self.assertEqual((came["method"], came["body"]), (method, body))
                headers = {n.lower(): v for n, v in came["headers"]}
                self.assertEqual(headers["x-own"], "1")
                self.assertEqual(headers["x-empty"], "")
                self.assertEqual(headers["content-length"], str(len(body)))
                self.assertNotIn("content-type", headers)
                self.assertNotIn("expect", headers)

    def test_encodings(self):
        raw = zlib.compressobj(wbits=-15)
        bodies = {
            "gzip": gzip.compress(TEXT), "x-gzip": gzip.compress(TEXT[:7]) + gzip.compress(TEXT[7:]),
            "GZIP": gzip.compress(TEXT) + b"\0" * 9, "deflate": zlib.compress(TEXT),
            "br": base64.b64decode("oZgAwC9dhsb2pgZppUQAqdRJAw=="), "identity": TEXT,
            "zstd": base64.b64decode("KLUv/SQUoQAAaGVsbG8sIGVuY29kZWQgd29ybGSVrYi9"),
            "raw": raw.compress(TEXT) + raw.flush()}

        def encoded(r):
            name = r.query["as"]
            body = bodies[name][:len(bodies[name]) - int(r.query.get("cut", 0))]
            r.answer(body=body, headers=[("Content-Encoding", "deflate" if name == "raw" else name)])

        def twice(r):
            r.answer(body=bodies["gzip"], headers=[("Content-Encoding", "gzip")] * 2)

        def other(r):
            r.answer(body=TEXT, headers=[("Content-Encoding", "compress, gzip")])

        def transfer(r):
            r.answer(body=b"14\r\n" + gzip.compress(TEXT)[:20] + b"\r\n0\r\n\r\n", length=False,
                     headers=[("Transfer-Encoding", "gzip, chunked")])

        with Stub({"/encoded": encoded, "/twice": twice, "/other": other, "/te": transfer}) as s, \
                Host(**local(s.port)) as h:
            for name in bodies:
                for tool in "request", "stream":
                    a = h.ask(s.url + "/encoded?as=" + name, tool=tool)
                    self.assertEqual((a["status"], a["body"]), (OK, TEXT.decode()), (name, a))
            self.assertEqual(s.requests[0].header("accept-encoding"), "gzip, deflate, br, zstd")
            for name in "gzip", "deflate", "br", "zstd":
                a = h.ask(s.url + "/encoded?as=%s&cut=3" % name)
                self.assertEqual(a["status"], EIO, (name, a))
            for path in "/twice", "/other", "/te":
                a = h.ask(s.url + path)
                self.assertEqual(a["status"], EIO, a)
                self.assertIn("not asked for", a["why"])

    def test_trace_context_goes_on(self):
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        with Stub() as s, Host(**local(s.port)) as h:
            for meta in {"traceparent": parent, "tracestate": "a=1"}, {"traceparent": "bad\r\nX: y"}, {}:
                r = h.request("tools/call", {"name": "request", "arguments": {"url": s.url}}, meta=meta)
                self.assertIn("result", r)
            self.assertEqual([r.header("traceparent") for r in s.requests], [parent, "", ""])
            self.assertEqual([r.header("tracestate") for r in s.requests], ["a=1", "", ""])

    def test_what_is_no_request_is_refused(self):
        with Stub() as s, Host(**local(s.port, methods=["GET"])) as h:
            for name in ("Host", "authorization", "Cookie", "Proxy-Authorization", "Connection", "Te",
                         "Content-Length", "Transfer-Encoding", "Upgrade", "Expect", "Traceparent",
                         "Bad name", "", "Bad:name"):
                self.assertEqual(h.ask(s.url, headers=[[name, "x"]]), "refused", name)
            for value in "a\r\nX: y", "a\nb", "\x01", "\x7f":
                self.assertEqual(h.ask(s.url, headers=[["X-A", value]]), "refused", repr(value))
            self.assertEqual(h.ask(s.url, headers=[["X-A", "x"]] * 65), "refused")
            self.assertEqual(h.ask(s.url, method="TRACE"), "refused")
            self.assertEqual(h.ask(s.url, method="GET /x"), "refused")
            self.assertEqual(h.ask(s.url + "/a\r\nX: y"), "refused")
            self.assertEqual(h.ask(s.url + "/" + "a" * 9000), "refused")
            for url in ("", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "/path", "127.0.0.1",
                        "http://", "http://u:p@127.0.0.1:%d/" % s.port, "http://127.0.0.1:99999/",
                        "http://a b/", "dict://127.0.0.1:%d/" % s.port):
                a = h.ask(url)
                self.assertIn("refused" if a == "refused" else a["status"], ("refused", EINVAL), (url, a))
            self.assertEqual(s.requests, [])


class Connections(unittest.TestCase):
    def test_they_are_kept(self):
        with Nginx() as n, Host(**local(n.port)) as h:
            for _ in range(30):
                self.assertEqual(h.ask(n.url + "/small")["code"], 200)
            self.assertEqual((n.connections(), len(n.log())), (1, 30))

    def test_per_host(self):
        for most, given in ((6, {}), (2, {"per_host": 2}), (10, {"per_host": 10})):
            with Nginx() as n, Host(**local(n.port, **given)) as h:
                a = h.ask(n.url + "/small", times=300)
                self.assertEqual((a["ok"], a["failed"]), (300, 0))
                self.assertEqual(len(n.log()), 300)
                self.assertLessEqual(n.connections(), most)
                self.assertGreater(n.connections(), 1)

    def test_total_and_nobody_waits_for_another_plugin(self):
        release = threading.Event()

        def held(r):
            release.wait(harness.TIMEOUT)
            r.answer(body=b"held")

        with Stub({"/held": held}) as s, Stub({"/held": held}) as s2, \
                Host(**local(s.port, s2.port),
                     more={"second": ([{"name": "local", "host": "127.0.0.1", "ports": [s.port]}],
                                      {"local": {"private": True}})},
                     config="http_client: { total: 3, per_host: 2 }\n") as h:
            ids = []
            for stub in s, s2:
                ids.append(h.new_id())
                h.send(harness.modern("tools/call", {"name": "request", "arguments":
                                                     {"url": stub.url + "/held", "times": 5}}, ids[-1]))
            wait_for("three requests", lambda: len(s.requests) + len(s2.requests) == 3)
            # The other plugin has its own: total is spent by the first.
            a = json.loads(h.call("second_request", {"url": s.url + "/free"})["content"][0]["text"])
            self.assertEqual((a["status"], a["code"]), (OK, 200))
            self.assertEqual(len([r for r in s.requests + s2.requests if r.path == "/held"]), 3)
            release.set()
            for i in ids:
                self.assertEqual(json.loads(h.answer(i)["result"]["content"][0]["text"])["ok"], 5)

    def test_idle_ones_are_closed(self):
        closed = threading.Event()

        def once(r):
            r.answer(body=b"x")
            if r.wait_closed():
                closed.set()
            return True

        with Stub({"/": once}) as s, Host(**local(s.port), config="http_client: { idle: 1s }\n") as h:
            self.assertEqual(h.ask(s.url + "/")["code"], 200)
            self.assertTrue(closed.wait(harness.TIMEOUT))

    def test_http2_and_certificates(self):
        with Nginx(tls=True) as n:
            with Host(**local(n.port, per_host=10), env={"SSL_CERT_FILE": n.certificate}) as h:
                a = h.ask(n.url + "/small", times=100)
                self.assertEqual((a["ok"], a["code"]), (100, 200), a)
                wait_for("a hundred lines", lambda: len(n.log()) == 100)  # nginx writes after it answers
                self.assertEqual({r["protocol"] for r in n.log()}, {"HTTP/2.0"})
                self.assertEqual(n.connections(), 1)
                a = h.ask(n.url + "/small", tool="stream")
                self.assertEqual((a["status"], a["body"]), (OK, "small"))
                wait_for("one more", lambda: len(n.log()) == 101)
                self.assertEqual(n.log()[-1]["protocol"], "HTTP/1.1")
            with Host(**local(n.port)) as h:
                a = h.ask(n.url + "/small")
                self.assertEqual(a["status"], EIO, a)
                self.assertIn("certificate", a["why"])
            self.assertEqual(len(n.log()), 101)

    def test_a_private_connection_is_not_lent(self):
        """What one plugin may reach is not reached by another through a connection that is open."""
        with Nginx() as n:
            asked = [{"name": "local", "host": "127.0.0.1", "ports": [n.port]}]
            with Host(**local(n.port), more={"other": (asked, {"local": {}})}) as h:
                self.assertEqual(h.ask(n.url + "/small")["code"], 200)
                a = json.loads(h.call("other_request", {"url": n.url + "/small"})["content"][0]["text"])
                self.assertEqual(a["status"], EDENIED, a)
            self.assertEqual(len(n.log()), 1)


class Bounds(unittest.TestCase):
    BR = ("z///fwAkAOKxQHLv//n//w+ABEAcFoDu/T////8BkACIwwLQvf/n//8/ABIAcVgAuvf//P//B0ACIA4LQPf+n////wBIAMRh"
          "Aeje//P//x8ACYA4LADd+3/+//8DIAEQhwWge//P//9/ACQA4rAAdO//+f//D4AEQBwWgO79P////wGQAIjDAtC9/+f//z8A"
          "EgBxWAC69//8//8HQAIgDgtA9/6f////AEgAxGEB6N7/8///HwAJgDgsAN37f/7//wMgARCHBaB7/z8=")

    @staticmethod
    def zstd_bomb(mib):
        """One byte, 128 KiB of it a block."""
        block = struct.pack("<I", 131072 << 3 | 2)[:3] + b"\0"
        return b"\x28\xb5\x2f\xfd\x00\x50" + block * (mib * 8)

    def bombs(self):
        member = gzip.compress(bytes(100 * MIB), 9)
        return {"gzip": (member, 103, "gzip"), "br": (base64.b64decode(self.BR), 1, "br"),
                "zstd": (self.zstd_bomb(1024), 1, "zstd")}

    def test_a_bomb_is_cut_at_the_cap(self):
        bombs = self.bombs()

        def bomb(r):
            body, times, name = bombs[r.query["as"]]
            r.answer(headers=[("Content-Encoding", name), ("Content-Length", str(len(body) * times))],
                     length=False)
            for _ in range(times):
                r.socket.sendall(body)

        with Stub({"/bomb": bomb}) as s, Host(**local(s.port, response="3MiB")) as h:
            h.ask(s.url + "/")
            before = h.memory_kib("VmHWM")
            for name in bombs:
                for tool in "request", "stream":
                    a = h.ask(s.url + "/bomb?as=" + name, tool=tool)
                    self.assertEqual((a["status"], a["length"]), (ELIMIT, 3 * MIB), (name, a["why"]))
                    self.assertIn("longer than 3145728 bytes", a["why"])
                a = h.ask(s.url + "/bomb?as=" + name, body_max=1000)
                self.assertEqual((a["status"], a["length"]), (ELIMIT, 1000))
            if not SANITIZE:
                self.assertLess(h.memory_kib("VmHWM") - before, 24 * 1024)

    def test_a_paused_bomb_costs_no_more_than_what_is_kept(self):
        bombs = self.bombs()
        sent = []

        def bomb(r):
            body, times, name = bombs[r.query["as"]]
            r.answer(headers=[("Content-Encoding", name)], length=False)
            for _ in range(times):
                r.socket.sendall(body)
                sent.append(len(body))
            return True

        with Stub({"/bomb": bomb}) as s, Host(**local(s.port, response="1GiB")) as h:
            h.ask(s.url + "/")
            before = h.memory_kib("VmRSS")
            ids = {}
            for name in bombs:
                ids[name] = h.new_id()
                h.send(harness.modern("tools/call", {"name": "stream", "arguments":
                                                     {"url": s.url + "/bomb?as=" + name, "pause": 1}}, ids[name]))
            wait_for("three bombs", lambda: len(s.requests) == 4)
            wait_for("three pauses", lambda: h.call("request", {"url": s.url})["content"] and len(sent) >= 2)
            if not SANITIZE:
                self.assertLess(h.memory_kib("VmRSS") - before, 24 * 1024)
            h.call("abort")
            for i in ids.values():
                self.assertEqual(json.loads(h.answer(i)["result"]["content"][0]["text"])["status"], ECANCELED)

    def test_headers(self):
        def lines(r):
            r.answer(body=b"x", headers=[("X-%d" % i, "v" * int(r.query["size"]))
                                         for i in range(int(r.query["count"]))])

        with Stub({"/h": lines}) as s, Host(**local(s.port)) as h:
            self.assertEqual(h.ask(s.url + "/h?count=200&size=10")["code"], 200)
            for count, size in ((300, 1), (40, 2000)):
                a = h.ask(s.url + "/h?count=%d&size=%d" % (count, size))
                self.assertEqual(a["status"], ELIMIT, a["why"])
            self.assertLess(h.ask(s.url + "/h?count=1&size=200000")["status"], 0)
            self.assertEqual(h.ask(s.url + "/")["code"], 200)

    def test_time(self):
        gone = []

        def hang(r):
            gone.append(r.wait_closed())
            return True

        def slow(r):
            r.answer(headers=[("Content-Length", "100")], length=False)
            r.socket.sendall(b"x")
            return hang(r)

        with Stub({"/hang": hang, "/slow": slow}) as s, Host(**local(s.port)) as h:
            h.ask(s.url + "/")
            for path, words in (("/hang", "no answer came in time"), ("/slow", "the answer did not end in time")):
                begin = time.monotonic()
                a = h.ask(s.url + path, timeout_ms=200)
                took = time.monotonic() - begin
                self.assertEqual(a["status"], ETIMEDOUT, a)
                self.assertIn(words, a["why"])
                self.assertGreaterEqual(took, 0.2)
                self.assertLess(took, 2 if SANITIZE else 0.4)
            wait_for("both connections closed", lambda: gone == [True, True])
        with Stub({"/hang": hang}) as s, Host(**local(s.port, timeout="150ms")) as h:
            self.assertEqual(h.ask(s.url + "/hang", timeout_ms=60000)["status"], ETIMEDOUT)

    def test_backpressure(self):
        total, sent = 64 * MIB, [0]

        def big(r):
            r.answer(headers=[("Content-Length", str(total))], length=False)
            piece = bytes(MIB)
            while sent[0] < total:
                r.socket.sendall(piece)
                sent[0] += MIB

        def still():
            before = sent[0]
            h.call("request", {"url": s.url, "times": 20})
            return before == sent[0] and before > 0

        with Stub({"/big": big}) as s, Host(**local(s.port, response="1GiB")) as h:
            i = h.new_id()
            h.send(harness.modern("tools/call", {"name": "stream", "arguments":
                                                 {"url": s.url + "/big", "pause": 100000}}, i))
            wait_for("the pause", still)
            self.assertLess(sent[0], total - 8 * MIB)  # what is not read lies in the sockets' buffers
            self.assertEqual(h.call("resume")["content"][0]["text"], "1")
            a = json.loads(h.answer(i)["result"]["content"][0]["text"])
            self.assertEqual((a["status"], a["length"], a["heads"]), (OK, total, 1))


class Redirects(unittest.TestCase):
    def test_they_are_followed_one_by_one(self):
        def loop(r):
            n = int(r.query.get("n", 0))
            r.answer(302, headers=[("Location", "/loop?n=%d" % (n + 1))])

        handlers = {"/r": redirect, "/loop": loop}
        with Stub(handlers) as s, Stub(handlers) as other, Host(**local(s.port)) as h:
            a = h.ask(s.url + "/r?to=/there%3Fx")
            self.assertEqual((a["code"], a["redirects"], a["url"]), (200, 1, s.url + "/there?x"))
            self.assertEqual(s.connections, 1)
            a = h.ask(s.url + "/r?to=/there", tool="stream")
            self.assertEqual((a["code"], a["redirects"], a["heads"]), (200, 1, 1))
            a = h.ask(s.url + "/r?to=/there", no_redirect=True)
            self.assertEqual((a["code"], a["redirects"], a["body"]), (302, 0, "moved"))
            self.assertEqual(a["location"], s.url + "/there")
            self.assertEqual(h.ask(s.url + "/r?to=ftp://x/", no_redirect=True)["location"], "")
            before = len(s.requests)
            a = h.ask(s.url + "/loop")
            self.assertEqual(a["status"], ELIMIT, a)
            self.assertIn("more than 5 redirects", a["why"])
            self.assertEqual(len(s.requests) - before, 6)
            a = h.ask(s.url + "/r?to=" + other.url + "/x")
            self.assertEqual(a["status"], EDENIED, a)
            self.assertIn("redirected to GET %s/x: plugin http_probe is granted http" % other.url, a["why"])
            self.assertEqual(other.requests, [])
            for to in "file:///etc/passwd", "http://", "gopher://127.0.0.1:%d/" % s.port, "http://u:p@127.0.0.1/":
                a = h.ask(s.url + "/r?to=" + to)
                self.assertEqual(a["status"], EIO, a)

    def test_methods(self):
        rows = [("POST", 301, "GET", ""), ("POST", 302, "GET", ""), ("POST", 303, "GET", ""), ("PUT", 303, "GET", ""),
                ("POST", 307, "POST", "b"), ("POST", 308, "POST", "b"), ("PUT", 301, "PUT", "b"), ("GET", 303, "GET", "")]
        with Stub({"/r": redirect}) as s, Host(**local(s.port)) as h:
            for method, code, then, body in rows:
                a = h.ask(s.url + "/r?to=/x&code=%d" % code, method=method, body="" if method == "GET" else "b",
                          headers=[["Content-Type", "text/x"]])
                came = json.loads(a["body"])
                self.assertEqual((came["method"], came["body"]), (then, body), (method, code))
                typed = [v for n, v in came["headers"] if n.lower() == "content-type"]
                self.assertEqual(typed, ["text/x"] if body or method == "GET" else [])
        with Stub({"/r": redirect}) as s, Host(**local(s.port, methods=["POST"])) as h:
            a = h.ask(s.url + "/r?to=/x&code=303", method="POST")
            self.assertEqual(a["status"], EDENIED)
            self.assertIn('does not cover method "GET"', a["why"])


class Secrets(unittest.TestCase):
    KEY = "s3cret-value-that-nobody-sees"

    def test_the_host_adds_it_and_only_there(self):
        with Stub({"/r": redirect}) as s, Stub() as other, \
                Host(**local(s.port, other.port, inject={"header": "X-Api-Key", "secret": "KEY"}),
                     secrets={"KEY": "${env:TEST_KEY}"}, env={"TEST_KEY": self.KEY}) as h:
            a = h.ask(s.url + "/r?to=/end", headers=[["x-api-key", "mine"], ["X-Own", "1"]])
            self.assertEqual(a["code"], 200)
            self.assertEqual([r.header("X-Api-Key") for r in s.requests], [self.KEY] * 2)
            # To another port of the same host, which the same right covers: neither it nor what the
            # plugin wrote for the first one.
            h.ask(s.url + "/r?to=" + other.url + "/x", headers=[["X-Own", "1"], ["Accept", "text/x"]])
            self.assertEqual([other.requests[0].header(n) for n in ("X-Api-Key", "X-Own", "Accept")], ["", "", "text/x"])
            # And back again: what has left stays without.
            h.ask(s.url + "/r?to=" + other.url + "/r")
            back = s.url + "/back"
            other.handlers["/r"] = lambda r: r.answer(302, headers=[("Location", back)])
            h.ask(s.url + "/r?to=" + other.url + "/r")
            self.assertEqual(s.requests[-1].path, "/back")
            self.assertEqual(s.requests[-1].header("X-Api-Key"), "")
            # Not when it fails, either.
            s.handlers["/drop"] = lambda r: True
            for a in (h.ask(s.url + "/drop"), h.ask(s.url + "/r?to=http://127.0.0.1:1/")):
                self.assertLess(a["status"], 0)
                self.assertNotIn(self.KEY, json.dumps(a))
            self.assertNotIn(self.KEY, h.log())

    def test_nothing_comes_from_the_environment(self):
        with Stub() as s, Stub() as proxy:
            env = {n: proxy.url for n in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy", "https_proxy")}
            with Host(**local(s.port), env=dict(env, HOME="/nonexistent-home")) as h:
                with open(h.files.at(".netrc"), "w") as f:
                    f.write("machine 127.0.0.1 login me password you\n")
            env["HOME"] = os.path.dirname(s.url)
            with Host(**local(s.port), env=env) as h:
                with open(h.files.at(".netrc"), "w") as f:
                    f.write("machine 127.0.0.1 login me password you\n")
                s.handlers["/c"] = lambda r: r.answer(headers=[("Set-Cookie", "a=b; Path=/")])
                h.ask(s.url + "/c")
                a = h.ask(s.url + "/after")
                came = {n.lower() for n, _ in json.loads(a["body"])["headers"]}
                self.assertFalse(came & {"cookie", "authorization", "proxy-authorization"})
            self.assertEqual(proxy.connections, 0)


class Failures(unittest.TestCase):
    def test_cancelling_closes_the_connection(self):
        gone = threading.Event()

        def hang(r):
            if r.wait_closed():
                gone.set()
            return True

        with Stub({"/hang": hang}) as s, Host(**local(s.port)) as h:
            for tool in "request", "stream":
                gone.clear()
                i = h.new_id()
                h.send(harness.modern("tools/call", {"name": tool, "arguments": {"url": s.url + "/hang"}}, i))
                wait_for("the request", lambda: s.requests and s.requests.pop())
                h.send(harness.modern("notifications/cancelled", {"requestId": i}))
                self.assertTrue(gone.wait(harness.TIMEOUT))
            self.assertEqual(h.ask(s.url + "/")["code"], 200)

    def test_the_host_stops_with_requests_under_way(self):
        with Stub({"/hang": lambda r: r.wait_closed()}) as s, Host(**local(s.port)) as h:
            for tool in "request", "stream":
                h.send(harness.modern("tools/call", {"name": tool, "arguments":
                                                     {"url": s.url + "/hang", "times": 40}}, h.new_id()))
            wait_for("requests", lambda: len(s.requests) >= 6)
            h.close_stdin()
        # While the module is being mapped.
        with Stub() as s, Host(**local(s.port)) as h:
            h.send(harness.modern("tools/call", {"name": "request", "arguments": {"url": s.url}}, h.new_id()))
            h.wait_log("loaded http_probe.so")
            h.close_stdin()

    def test_retries(self):
        tries = {}

        def flaky(r):
            tries[r.path] = tries.get(r.path, 0) + 1
            if tries[r.path] % 3:
                return True
            r.answer(body=b"at last")

        with Stub({"/a": flaky, "/b": flaky, "/c": flaky}) as s, Host(**local(s.port)) as h:
            a = h.ask(s.url + "/a", method="POST", retry=True)
            self.assertEqual((a["status"], a["body"], tries["/a"]), (OK, "at last", 3))
            self.assertEqual((h.ask(s.url + "/b", method="POST")["status"], tries["/b"]), (EIO, 1))
            # An answer is an answer.
            s.handlers["/503"] = lambda r: r.answer(503)
            before = len(s.requests)
            self.assertEqual(h.ask(s.url + "/503", retry=True)["code"], 503)
            self.assertEqual(len(s.requests), before + 1)
            # A tenth of all requests and a first ten, no more.
            s.handlers["/never"] = lambda r: True
            before = len(s.requests)
            h.ask(s.url + "/never", retry=True, times=100)
            self.assertLessEqual(len(s.requests) - before, 100 + 10 + 12)
            self.assertGreater(len(s.requests) - before, 105)

    def test_a_post_is_not_sent_twice_unasked(self):
        """A kept connection that ends while the request is on its way."""
        def first(r):
            r.answer(body=b"1")

        def second(r):
            return True

        with Stub({"/1": first, "/2": second}) as s, Host(**local(s.port)) as h:
            h.ask(s.url + "/1")
            a = h.ask(s.url + "/2", method="POST", body="x")
            self.assertEqual(a["status"], EIO, a)
            self.assertEqual([r.path for r in s.requests], ["/1", "/2"])
            self.assertIn("closed before an answer", a["why"])

    def test_a_host_that_can_not_be_reached_is_left_alone(self):
        port = free_port()
        with Host(**local(port)) as h:
            url = "http://127.0.0.1:%d/" % port
            for _ in range(5):
                a = h.ask(url)
                self.assertEqual(a["status"], EIO)
                self.assertIn("connect", a["why"])
            with Stub(port=port) as s:
                a = h.ask(url)
                self.assertEqual(a["status"], EIO)
                self.assertIn("not tried, since 5 connections to that host in a row have failed", a["why"])
                self.assertEqual(s.connections, 0)

    @needs_controls
    def test_without_the_breaker_it_is_tried(self):
        port = free_port()
        with Host(**local(port), binary=CONTROLS, env={"MANIFOLD_WITHOUT": "http_breaker"}) as h:
            url = "http://127.0.0.1:%d/" % port
            for _ in range(6):
                self.assertNotIn("not tried", h.ask(url)["why"])

    def test_garbage(self):
        rng = random.Random(7)
        shapes = [b"", b"\r\n\r\n", b"HTTP/1.1 200\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/9.9 200 X\r\n\r\n",
                  b"HTTP/1.1 200 X\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\nab",
                  b"HTTP/1.1 200 X\r\nContent-Length: 99999999999999999999\r\n\r\nab", b"just text",
                  b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                  b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
                  b"HTTP/1.1 302 X\r\nLocation: \r\n\r\n", b"HTTP/1.1 302 X\r\n\r\n",
                  b"HTTP/1.1 100 X\r\n\r\n" * 50 + b"HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\nx",
                  b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nabc", b"HTTP/1.1 200 X\r\n: nameless\r\n a\r\n\r\n",
                  b"HTTP/1.1 200 X\r\nContent-Encoding: br\r\n\r\n\xff\xff\xff\xff",
                  b"HTTP/1.1 200 X\r\nA\0B: x\r\n\r\n"]
        body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 999)
        for _ in range(60):
            damaged = bytearray(body)
            for _ in range(rng.randrange(1, 6)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            shapes.append(bytes(damaged))

        def garbage(r):
            r.socket.sendall(shapes[int(r.query["i"])])
            return True

        with Stub({"/g": garbage}) as s, Host(**local(s.port)) as h:
            for i in range(len(shapes)):
                for tool in "request", "stream":
                    a = h.ask(s.url + "/g?i=%d" % i, tool=tool, timeout_ms=2000)
                    self.assertIn(a["status"], (OK, EIO, ETIMEDOUT, ELIMIT, EINVAL, EDENIED), shapes[i])
            self.assertEqual(h.ask(s.url + "/")["code"], 200)


class Rights(unittest.TestCase):
    def test_what_is_not_granted_is_said(self):
        with Stub() as s:
            asked = [{"name": "web", "host": "*", "methods": ["GET"]}]
            with Host(asked, grants={}) as h:
                a = h.ask(s.url)
                self.assertEqual(a["status"], EDENIED)
                for part in ('plugin http_probe asks for http "web"', "which is not granted",
                             "--grant http_probe.http.web"):
                    self.assertIn(part, a["why"])
                self.assertEqual(h.ask(s.url, grant="other")["status"], EDENIED)
                self.assertNotIn("libcurl", h.maps())
                self.assertNotIn("manifold-http.so", h.maps())
            with Host([], grants={}) as h:
                self.assertEqual(h.ask(s.url)["status"], EDENIED)
            with Host(**local(s.port)) as h:
                self.assertNotIn("libcurl", h.maps())  # not before the plugin is loaded
                self.assertEqual(h.ask(s.url)["code"], 200)
                self.assertIn("manifold-http.so", h.maps())
                self.assertEqual(h.ask(s.url, grant="local")["code"], 200)
                for change, words in ((dict(url=s.url.replace("127.0.0.1", "localhost")), 'host "localhost"'),
                                      (dict(url="http://127.0.0.1/"), "port 80"),
                                      (dict(url=s.url, method="DELETE"), 'method "DELETE"')):
                    a = h.ask(**change)
                    self.assertEqual(a["status"], EDENIED)
                    self.assertIn("does not cover " + words, a["why"])
            self.assertEqual(len(s.requests), 2)

    # Every way to write an address that is not public: docs/internals/http.md.
    LOOPBACK = ["127.0.0.1", "127.1", "127.0.1", "0x7f.0.0.1", "0x7f000001", "0x7f.1", "2130706433", "0177.0.0.1",
                "0177.0.0.01", "127.0.0.2", "0.0.0.0", "0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
                "[0:0:0:0:0:ffff:7f00:0001]", "localhost", "LOCALHOST", "a.localhost",
                "127\u30020\u30020\u30021", "\uff11\uff12\uff17.0.0.1", "0x7f\u30021", "%31%32%37.0.0.1"]
    # Whether these are names depends on the machine's resolver.
    DOTTED = ["127.0.0.1.", "localhost.", "a.localhost."]
    OTHERS = ["[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[fe80::1]", "[fe80::1%25lo]", "[fec0::1]",
              "[fc00::1]", "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]",
              "[2002:7f00:1::]", "[2001::1]", "[2001:db8::1]", "[100::1]", "[ff02::1]", "169.254.169.254",
              "0xa9fea9fe", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "192.0.0.1",
              "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"]

    def rights(self, port):
        return {"permissions": [{"name": "web", "host": "*", "ports": [port], "methods": ["GET"]}]}

    def test_private_addresses_are_refused_where_they_are_dialled(self):
        with Stub({"/r": redirect}) as s:
            with Host(**self.rights(s.port)) as h:
                for name in self.LOOPBACK + self.OTHERS:
                    a = h.ask("http://%s:%d/" % (name, s.port))
                    self.assertLess(a["status"], 0, (name, a))
                    self.assertIn("may not connect to", a["why"], (name, a))
                    self.assertEqual(a["status"], EDENIED, (name, a))
                for name in self.DOTTED:
                    self.assertIn(h.ask("http://%s:%d/" % (name, s.port))["status"], (EDENIED, EIO), name)
                self.assertEqual(s.connections, 0)
        # The same where a redirect leads there, from a host that may be private.
        with Stub({"/r": redirect}) as s, Stub() as inner:
            asked = self.rights(inner.port)["permissions"] + local(s.port)["permissions"]
            with Host(asked, grants={"web": {}, "local": {"private": True}}) as h:
                for name in self.LOOPBACK[:10] + self.OTHERS[:10]:
                    a = h.ask(s.url + "/r?to=http://%s:%d/" % (name, inner.port))
                    self.assertEqual(a["status"], EDENIED, (name, a))
                self.assertEqual(inner.connections, 0)

    @needs_controls
    def test_without_the_check_they_are_reached(self):
        with Stub(address="0.0.0.0") as s:
            with Host(**self.rights(s.port), binary=CONTROLS, env={"MANIFOLD_WITHOUT": "private"}) as h:
                for name in self.LOOPBACK:
                    a = h.ask("http://%s:%d/" % (name, s.port))
                    self.assertEqual(a["code"], 200, (name, a))
            self.assertEqual(len(s.requests), len(self.LOOPBACK))


if __name__ == "__main__":
    harness.main()
