"""The bundled plugin fetch on the real host, against a real nginx and a stub."""

import json
import unittest

import harness
from harness import Server
from http_support import Nginx, Stub, wait_for
from support import text_of

PAGE = ("<html><head><title>T</title></head><body><nav><a href=/>Home</a></nav><article><h1>Heading</h1>"
        + "<p>Some text, long enough to be content, with commas, and words, and more words than one would think "
          "are needed for it.</p>" * 3 + "</article></body></html>")
ROBOTS = b"User-agent: *\nDisallow: /private\n"


def pages(r):
    if r.path == "/robots.txt":
        r.answer(body=ROBOTS, headers=[("Content-Type", "text/plain")])
    elif r.path == "/page":
        r.answer(body=PAGE.encode(), headers=[("Content-Type", "text/html; charset=utf-8")])
    elif r.path == "/json":
        r.answer(body=b'{"n": 1}', headers=[("Content-Type", "application/json")])
    elif r.path == "/to-private":
        r.answer(302, headers=[("Location", "/private/x")])
    elif r.path == "/drop":
        return True
    else:
        r.answer(404, b"none", headers=[("Content-Type", "text/plain")])
    return False


class All(dict):
    """Every path is answered by pages()."""

    def get(self, key, default=None):
        return pages

    def __bool__(self):
        return True


def fetch_host(*args, **kw):
    """The bundled plugins, with fetch let loose on 127.0.0.1."""
    grants = [w for k in ("host=127.0.0.1", "private=true", "per_host=10") for w in ("--grant", "fetch.http.web." + k)]
    return Server(*grants, *args, **kw)


class Fetch(unittest.TestCase):
    def test_fetch(self):
        with Stub(All()) as s, fetch_host() as h:
            text = text_of(h.call("fetch", {"url": s.url + "/page"}))
            self.assertTrue(text.startswith("Contents of %s/page:\n## Heading\n\nSome text, " % s.url), text)
            self.assertNotIn("Home", text)
            text = text_of(h.call("fetch", {"url": s.url + "/page", "raw": True}))
            self.assertIn(PAGE, text)
            r = h.call("fetch", {"url": s.url + "/none"})
            self.assertTrue(r["isError"])
            self.assertEqual(text_of(r), "Failed to fetch %s/none - status code 404" % s.url)
            for path in "/private/x", "/to-private":
                r = h.call("fetch", {"url": s.url + path})
                self.assertTrue(r["isError"])
                self.assertIn("The sites robots.txt (%s/robots.txt), specifies" % s.url, text_of(r))
            self.assertFalse([x for x in s.requests if x.path.startswith("/private")])
            self.assertEqual(len([x for x in s.requests if x.path == "/robots.txt"]), 1)
            r = h.request("prompts/get", {"name": "fetch", "arguments": {"url": s.url + "/page"}})
            self.assertTrue(r["result"]["messages"][0]["content"]["text"].startswith("## Heading"))
            self.assertIn("User-Specified", s.requests[-1].header("user-agent"))

    def test_what_may_not_be_reached(self):
        with Stub(All()) as s:
            with Server() as h:  # trusted: any public host
                r = h.call("fetch", {"url": s.url + "/page"})
                self.assertTrue(r["isError"])
                self.assertIn("plugin fetch may not connect to 127.0.0.1 (loopback)", text_of(r))
                self.assertIn("private: true", text_of(r))
            with Server(plugins=[harness.PLUGINS]) as h:  # not trusted: nothing
                r = h.call("fetch", {"url": s.url + "/page"})
                self.assertTrue(r["isError"])
                self.assertIn("--grant fetch.http.web", text_of(r))
            self.assertEqual(s.connections, 0)

    def test_many(self):
        with Stub(All()) as s, fetch_host() as h:
            urls = [s.url + p for p in ("/json", "/page", "/none", "/private/x", "/drop")]
            urls += ["http://127.0.0.1:1/", "http://localhost/", "nonsense", "ftp://a/"]
            r = h.call("fetch_many", {"urls": urls, "max_length": 12})
            self.assertFalse(r.get("isError"))
            out = r["structuredContent"]
            self.assertEqual(json.loads(text_of(r)), out)
            one = out["results"]
            self.assertEqual(len(one), len(urls))
            self.assertEqual([x["success"] for x in one], [True, True] + [False] * 7)
            self.assertEqual((one[0]["data"], one[0]["status"]), ({"n": 1}, 200))
            self.assertEqual((one[1]["text"], one[1]["truncated"]), ("## Heading\n\n", True))
            self.assertEqual((one[2]["status"], one[2]["text"]), (404, "none"))
            self.assertTrue(all(x["error"] for x in one[3:]))
            self.assertTrue(all(x["response_time"] >= 0 for x in one))
            self.assertEqual((out["succeeded"], out["failed"]), (2, 7))

    def test_a_thousand_over_ten_connections(self):
        with Nginx() as n, fetch_host() as h:
            r = h.call("fetch_many", {"urls": [n.url + "/small?%d" % i for i in range(1000)],
                                      "max_concurrent": 100, "timeout": 60}, timeout=120)
            self.assertEqual(r["structuredContent"]["succeeded"], 1000)
            log = n.log()
            self.assertEqual(len([x for x in log if x["uri"].startswith("/small")]), 1000)
            self.assertLessEqual(n.connections(), 10)
            self.assertGreater(max(x["nth"] for x in log), 50)  # they were kept

    def test_cancel_and_stop(self):
        gone = []

        def hang(r):
            if r.path == "/robots.txt":
                return r.answer(404)
            gone.append(r.wait_closed())
            return True

        class Hang(All):
            def get(self, key, default=None):
                return hang

        with Stub(Hang()) as s, fetch_host() as h:
            i = h.new_id()
            h.send(harness.modern("tools/call", {"name": "fetch_many", "arguments": {
                "urls": [s.url + "/%d" % k for k in range(40)], "timeout": 100}}, i))
            wait_for("ten requests", lambda: len(s.requests) >= 11)
            h.send(harness.modern("notifications/cancelled", {"requestId": i}))
            wait_for("all of them closed", lambda: len(gone) >= 10 and all(gone))
            h.echo()
            h.send(harness.modern("tools/call", {"name": "fetch", "arguments": {"url": s.url + "/last"}}, h.new_id()))
            wait_for("one more", lambda: s.requests[-1].path == "/last")
            h.close_stdin()


if __name__ == "__main__":
    harness.main()
