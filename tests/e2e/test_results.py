"""Results that are kept and calls that share a run, in the real host: `cache:` of tools and
resources.  What a protection is for is also shown on the build with controls, without it."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
import unittest

import harness
import support
from harness import Failure, modern
from support import CONTROLS, Files, needs_controls, serve, status

NAME = "manifold/cached"
LIMITS = "limits: { concurrency: 1024, timeout: 10m, result: 8MiB }"
SLEEP = "title: Sleep\n"
ECHO = "title: Echo\n    description: Echoes back the input string\n    annotations"
GREETING = "title: Greeting\n    description: A fixed text\n    uri"


def must(ok, *what):
    if not ok:
        raise Failure(" ".join(str(w)[:2000] for w in what))


def kept(result):
    """What the reply says of the cache; None: nothing."""
    return result.get("_meta", {}).get(NAME)


def entry(s, name, plugin="echo"):
    p = next(p for p in status(s)["plugins"] if p["name"] == plugin)
    return next(e for e in p["entries"] if e["name"] == name)


def wait_ms(ms):
    """Time itself is what is waited for."""
    select.poll().poll(ms)


class Host(Files):
    """echo, whose tools and resources are kept.  control: that protection is off, in that build."""

    def __init__(self, ttl="60s", limits=LIMITS, control=None):
        self.ttl, self.limits, self.control = ttl, limits, control

    def __enter__(self):
        super().__enter__()
        self.write_echo()
        return self

    def write_echo(self, **more):
        cache = "cache: { ttl: %s }\n    " % self.ttl
        edits = {LIMITS: self.limits, SLEEP: SLEEP + "    " + cache.rstrip(" "),
                 ECHO: cache + ECHO, GREETING: cache + GREETING}
        edits.update(more.get("edits", {}))
        self.echo("p", edits=edits)
        if self.control:
            shutil.copy(os.path.join(support.controls_dir("plugins"), "echo.so"), self.at("p/echo.so"))

    def serve(self, **kw):
        if self.control:
            return serve(self.at("p"), binary=CONTROLS, env={"MANIFOLD_WITHOUT": self.control},
                         quiet=True, **kw)
        return serve(self.at("p"), **kw)


class Keeping(unittest.TestCase):
    def test_the_second_is_a_hit(self):
        with Host() as f, f.serve() as s:
            first = s.call("echo", {"message": "hi"})
            self.assertEqual(kept(first), {"hit": False})
            # Spelled differently, and of the other era.
            r = s.request("tools/call", {"name": "echo", "arguments": {"message": "hi"}},
                          meta={"progressToken": 7, "com.example/trace": "x"})["result"]
            must(kept(r)["hit"] is True and 0 <= kept(r)["ageMs"] <= 60000, r)
            self.assertEqual(kept(r)["ageMs"] + kept(r)["ttlMs"], 60000)
            self.assertEqual(r["content"], first["content"])
            s.send_bytes(b'{"jsonrpc":"2.0","id":"e","method":"tools/call","params":{"_meta":%s,'
                         b'"arguments":{"message":"\\u0068i"},"name":"echo"}}\n'
                         % json.dumps(harness.MODERN_META).encode())
            must(kept(s.answer("e")["result"])["hit"], "another spelling is another request")
            s.initialize("2024-11-05")
            r = s.legacy_request("tools/call", {"name": "echo", "arguments": {"message": "hi"}})
            must(kept(r["result"])["hit"], r)
            self.assertEqual(kept(s.call("echo", {"message": "ho"})), {"hit": False})
            self.assertIsNone(kept(s.call("echo_structured", {"message": "hi"})))
            e = entry(s, "echo")
            self.assertEqual((e["hits"], e["misses"], e["calls"]), (3, 2, 2))

    def test_ttl(self):
        with Host(ttl="150ms") as f, f.serve() as s:
            s.call("echo", {"message": "loaded"})
            begin = time.monotonic()
            s.call("echo", {"message": "hi"})
            r = s.call("echo", {"message": "hi"})
            must(kept(r)["hit"] or time.monotonic() - begin > 0.15, r)
            wait_ms(151)
            self.assertEqual(kept(s.call("echo", {"message": "hi"})), {"hit": False})

    def test_a_resource_says_how_long_it_is_good(self):
        with Host() as f, f.serve() as s:
            read = {"uri": "echo://greeting"}
            first = s.request("resources/read", read)["result"]
            self.assertEqual((first["ttlMs"], first["cacheScope"]), (60000, "private"))
            self.assertEqual(kept(first), {"hit": False})
            wait_ms(20)
            r = s.request("resources/read", read)["result"]
            must(kept(r)["hit"] and r["ttlMs"] == kept(r)["ttlMs"] <= 59980, r)
            self.assertEqual(r["contents"], first["contents"])

    def test_what_does_not_fit_is_no_call_at_all(self):
        with Host() as f, f.serve() as s:
            for _ in range(2):
                r = s.call("echo", {"message": 3})
                must(r.get("isError") and kept(r) is None, r)
            e = entry(s, "echo")
            self.assertEqual((e["hits"], e["misses"]), (0, 0))

    def changed(self, control=None):
        """After each change of the plugin its old results are gone."""
        with Host(control=control) as f:
            config = os.path.join(f.path, "m.yaml")

            def write(more):
                with open(config, "w") as out:
                    out.write("manifold: 1\nadmin: none\nsources: [{ path: %s, trust: true }]\n%s"
                              % (json.dumps(f.at("p")), more))

            def ask(s):
                r = s.call("echo", {"message": "hi"})
                self.assertFalse(kept(r)["hit"], "a result of what the plugin was before")
                r = s.call("echo", {"message": "hi"})
                self.assertTrue(kept(r)["hit"])

            def reload(s, generation):
                s.signal(1)
                deadline = time.monotonic() + harness.TIMEOUT
                while status(s)["plugins"][0]["generation"] < generation:
                    must(time.monotonic() < deadline, "no reload:", s.log())

            write("")
            env = {"MANIFOLD_WITHOUT": control} if control else {}
            with harness.Server("--config", config, plugins=[], env=env, quiet=bool(control),
                                binary=CONTROLS if control else None) as s:
                ask(s)
                library = f.at("p/echo.so")
                with open(library, "rb") as old:
                    data = old.read()
                with open(library + ".new", "wb") as new:
                    new.write(data + b"\n")  # behind the sections: another hash, the same code
                os.chmod(library + ".new", 0o644)
                os.rename(library + ".new", library)
                reload(s, 2)
                ask(s)
                f.write_echo(edits={"title: Echo\ndescription": "title: Echoes\ndescription"})
                reload(s, 3)
                ask(s)
                write("plugins: { echo: { config: { units: metric } } }\n")
                reload(s, 4)
                ask(s)
                # A limit is nothing a result depends on.
                write("plugins: { echo: { config: { units: metric }, limits: { queue: 7 } } }\n")
                reload(s, 5)
                self.assertTrue(kept(s.call("echo", {"message": "hi"}))["hit"])

    def test_a_changed_plugin_has_no_old_results(self):
        self.changed()

    @needs_controls
    def test_without_the_version(self):
        with self.assertRaisesRegex(AssertionError, "what the plugin was before"):
            self.changed(control="version")


class Sharing(unittest.TestCase):
    COUNT = 40

    def ask_many(self, s, ms):
        """So many equal requests in one write; their ids."""
        ids = list(range(100, 100 + self.COUNT))
        s.send(*(modern("tools/call", {"name": "sleep", "arguments": {"ms": ms}}, id) for id in ids))
        return ids

    def shared(self, control=None):
        """More than may run and wait, and all of them are answered by one run."""
        with Host(limits="limits: { concurrency: 1, queue: 1, timeout: 10m }", control=control) as f, \
                f.serve() as s:
            s.call("echo", {"message": "loaded"})
            told = [s.answer(id)["result"] for id in self.ask_many(s, 300)]
            for r in told:
                must(not r.get("isError"), "one was refused:", r)
                self.assertEqual(r["content"][0]["text"], "Slept 300 ms")
            self.assertEqual(sum(kept(r) == {"hit": False} for r in told), 1)
            self.assertEqual(sum(kept(r) == {"hit": False, "shared": True} for r in told),
                             self.COUNT - 1)
            e = entry(s, "sleep")
            self.assertEqual((e["calls"], e["misses"], e["shared"]), (1, 1, self.COUNT - 1))
            must(kept(s.call("sleep", {"ms": 300}))["hit"], "the run was not kept")

    def test_equal_calls_share_a_run(self):
        self.shared()

    @needs_controls
    def test_without_sharing(self):
        with self.assertRaisesRegex(Failure, "one was refused.*limits.queue"):
            self.shared(control="coalesce")

    def test_cancelled_ones_do_not_take_the_others_along(self):
        with Host() as f, f.serve() as s:
            s.call("echo", {"message": "loaded"})
            ids = self.ask_many(s, 500)
            for id in ids[::2]:  # the first one is among them
                s.send(modern("notifications/cancelled", {"requestId": id}))
            for id in ids[1::2]:
                self.assertEqual(s.answer(id)["result"]["content"][0]["text"], "Slept 500 ms")
            e = entry(s, "sleep")
            self.assertEqual((e["calls"], e["cancelled"]), (1, 0))
            must(not any(m.get("id") in ids for m in s.other), "a cancelled one was answered")
            # And when all are gone the run ends.
            ids = self.ask_many(s, 600000)
            for id in ids:
                s.send(modern("notifications/cancelled", {"requestId": id}))
            deadline = time.monotonic() + harness.TIMEOUT
            while entry(s, "sleep")["running"]:
                must(time.monotonic() < deadline, "the run goes on for nobody")
            self.assertEqual(entry(s, "sleep")["cancelled"], 1)

    def test_progress_goes_to_all_who_asked(self):
        with Host() as f, f.serve() as s:
            s.call("echo", {"message": "loaded"})
            call = {"name": "sleep", "arguments": {"ms": 400}}
            s.send(modern("tools/call", call, 1, meta={"progressToken": "a"}),
                   modern("tools/call", call, 2),
                   modern("tools/call", call, 3, meta={"progressToken": 9}))
            for id in (1, 2, 3):
                s.answer(id)
            told = {}
            for m in s.other:
                if m.get("method") == "notifications/progress":
                    told.setdefault(m["params"]["progressToken"], []).append(m["params"]["progress"])
            self.assertEqual(set(told), {"a", 9})
            self.assertEqual(told["a"], told[9])
            self.assertEqual(told["a"], sorted(set(told["a"])))
            must(len(told["a"]) >= 2, told)

    def test_a_timeout_ends_all_and_is_not_kept(self):
        with Host(limits="limits: { concurrency: 4, timeout: 300ms }") as f:
            f.write_echo(edits={"limits: { timeout: 10s }": "limits: { timeout: 300ms }"})
            with f.serve() as s:
                s.call("echo", {"message": "loaded"})
                for id in self.ask_many(s, 60000):
                    r = s.answer(id)["result"]
                    self.assertEqual(r["_meta"]["manifold/refused"]["reason"], "timeout", r)
                e = entry(s, "sleep")
                self.assertEqual((e["calls"], e["timeouts"]), (1, 1))
                r = s.call("sleep", {"ms": 60000})
                self.assertEqual(r["_meta"]["manifold/refused"]["reason"], "timeout", r)

    def test_the_end_of_the_input_ends_what_waits(self):
        with Host() as f, f.serve() as s:
            s.call("echo", {"message": "loaded"})
            self.ask_many(s, 600000)
            entry(s, "sleep")


class Redis:
    """A server of this test alone, on a socket in `directory`."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "redis.sock")
        self.directory = directory

    def __enter__(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", self.directory,
             "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + harness.TIMEOUT
        while True:
            try:
                return self if self.ask("PING") == b"PONG" else None
            except OSError:
                must(time.monotonic() < deadline and self.process.poll() is None, "no redis-server")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def ask(self, *words):
        """One command; its reply, lists as lists."""
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(harness.TIMEOUT)
            s.connect(self.path)
            s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w)
                                                        for w in words))
            return self.read(s.makefile("rb"))

    def read(self, f):
        line = f.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else f.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read(f) for _ in range(int(rest))]
        must(kind != b"-", rest)
        return rest

    def has(self, message):
        """Does it have the result of echo with this message?"""
        return any(json.dumps(message).encode() in key for key in self.ask("KEYS", "*:r:*"))

    def wait_for(self, message):
        deadline = time.monotonic() + harness.TIMEOUT
        while not self.has(message):
            must(time.monotonic() < deadline, "the result did not reach Redis:", message)


@unittest.skipUnless(shutil.which("redis-server"), "there is no redis-server")
class Behind(unittest.TestCase):
    """Several hosts and one Redis."""

    def host(self, f, redis):
        config = f.write("m.yaml", "manifold: 1\nadmin: none\nsources: [{ path: %s, trust: true }]\n"
                         "cache: { redis: %s, timeout: 2s }\n"
                         % (json.dumps(f.at("p")), json.dumps("unix:" + redis.path)))
        s = harness.Server("--config", config, plugins=[])
        return s

    def connected(self, s, redis):
        """Until its library was read and Redis has answered, it asks and tells Redis nothing."""
        deadline = time.monotonic() + harness.TIMEOUT
        tries = 0
        while not any(redis.has("%d %d" % (s.process.pid, i)) for i in range(tries)):
            s.call("echo", {"message": "%d %d" % (s.process.pid, tries)})
            tries += 1
            must(time.monotonic() < deadline, "nothing reaches Redis")
            wait_ms(10)

    def test_another_host_has_the_hit(self):
        with Host() as f, Redis(f.path) as redis:
            with self.host(f, redis) as a, self.host(f, redis) as b:
                self.connected(a, redis)
                self.connected(b, redis)
                self.assertEqual(kept(a.call("echo", {"message": "hi"})), {"hit": False})
                redis.wait_for("hi")
                r = b.call("echo", {"message": "hi"})
                must(kept(r)["hit"], r)
                self.assertEqual(r["content"][0]["text"], "Echo: hi")
                # From here on it has it in memory.
                redis.process.send_signal(signal.SIGSTOP)
                must(kept(b.call("echo", {"message": "hi"}))["hit"], "not in memory")
                redis.process.send_signal(signal.SIGCONT)
            # It outlives its host.
            with self.host(f, redis) as c:
                self.connected(c, redis)
                must(kept(c.call("echo", {"message": "hi"}))["hit"], "gone with its host")

    def test_equal_requests_ask_redis_once(self):
        with Host() as f, Redis(f.path) as redis, self.host(f, redis) as s:
            self.connected(s, redis)
            redis.process.send_signal(signal.SIGSTOP)  # so that all of them wait for it
            ids = list(range(100, 150))
            s.send(*(modern("tools/call", {"name": "sleep", "arguments": {"ms": 50}}, id)
                     for id in ids))
            for id in ids[10:20]:
                s.send(modern("notifications/cancelled", {"requestId": id}))
            s.call("echo_structured", {"message": "all of them have been read"})
            redis.process.send_signal(signal.SIGCONT)
            for id in ids[:10] + ids[20:]:
                self.assertEqual(s.answer(id)["result"]["content"][0]["text"], "Slept 50 ms")
            e = entry(s, "sleep")
            self.assertEqual((e["calls"], e["shared"]), (1, 39))

    def test_garbage_in_redis_is_a_miss(self):
        with Host() as f, Redis(f.path) as redis, self.host(f, redis) as a, \
                self.host(f, redis) as b:
            self.connected(a, redis)
            self.connected(b, redis)
            a.call("echo", {"message": "hi"})
            redis.wait_for("hi")
            for key in redis.ask("KEYS", "*:r:*"):
                good = redis.ask("GET", key)
                at = good.index(b'"text"')
                redis.ask("SET", key, good[:at] + b'"te\nt"' + good[at + 6:])
            r = b.call("echo", {"message": "hi"})
            self.assertEqual((r["content"][0]["text"], kept(r)), ("Echo: hi", {"hit": False}))
            must(kept(b.call("echo", {"message": "hi"}))["hit"], "the new one was not kept")

    def test_without_redis_calls_go_on(self):
        with Host() as f, Redis(f.path) as redis, self.host(f, redis) as s:
            self.connected(s, redis)
            redis.process.kill()
            for i in range(50):
                r = s.call("echo", {"message": "m%d" % (i // 2)})
                must(not r.get("isError") and kept(r)["hit"] == bool(i % 2), i, r)


if __name__ == "__main__":
    harness.main()
