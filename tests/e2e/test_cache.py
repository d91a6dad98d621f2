"""The cache of plugins (manifold.cache/1): in memory alone, and with a real Redis that two hosts share,
that stops, dies, refuses, or is none."""

import json
import os
import time
import unittest

import harness
from harness import Server
from redis_support import Garbage, Redis, needs_redis
from support import BAD, CONTROLS, Files, controls_dir, needs_controls, scaled, status, text_of

SECRET = "sesame-open-up"


def caches(s, op, tool="caches", **arguments):
    result = s.call(tool, dict(arguments, op=op))
    if result.get("isError"):
        raise harness.Failure("caches %s: %r" % (op, result))
    return text_of(result)


def wait_until(condition, what, timeout=10):
    """How long it took; asks again and again, since nobody tells."""
    start = time.monotonic()
    while time.monotonic() - start < timeout:
        if condition():
            return time.monotonic() - start
    raise harness.Failure("not within %g s: %s" % (timeout, what))


def link(s):
    return status(s)["cache"]["redis"]["state"]


def connected(s, timeout=10):
    """Until Redis is there and has confirmed all that it was told."""
    def ready():
        r = status(s)["cache"]["redis"]
        return r["state"] == "connected" and r["pending"] == 0 and r["owed"] == 0
    return wait_until(ready, "connected, and all confirmed", timeout)


def joined(*hosts):
    """Redis is asked for when the first plugin uses the cache."""
    for s in hosts:
        caches(s, "get", key="nothing")
        connected(s)


class Base(unittest.TestCase):
    def setUp(self):
        self.f = Files()
        self.f.__enter__()
        self.addCleanup(self.f.__exit__)
        self.hosts = 0

    def host(self, cache, plugin=BAD + "/caches", **kw):
        self.hosts += 1
        path = self.f.write("host%d.yaml" % self.hosts,
                            "manifold: 1\nsources: [{ path: %s, trust: true }]\nadmin: none\n"
                            "cache: %s\n" % (json.dumps(plugin), cache))
        return Server("--config", path, plugins=[], **kw)

    def with_redis(self, redis, **kw):
        s = self.host("{ redis: %s }" % json.dumps("unix:" + redis.path), **kw)
        return s

    def two_names(self, bad=BAD):
        """The plugin twice, as `one` and `two`."""
        for name in ("one", "two"):
            self.f.bad("caches", "pair", bad=bad)
        manifest = self.f.at("pair/caches.yaml")
        with open(manifest) as f:
            text = f.read()
        os.unlink(manifest)
        for name in ("one", "two"):
            self.f.write("pair/%s.yaml" % name,
                         text + "name: %s\nlibrary: caches.so\nprefix: %s\n" % (name, name))
        return self.f.path + "/pair"


class Memory(Base):
    def test_a_value_is_there_until_it_is_not(self):
        with self.host("{ memory: 1MiB }") as s:
            self.assertEqual(caches(s, "get", key="k"), "miss")
            self.assertEqual(caches(s, "set", key="k", value="v"), "0")
            self.assertEqual(caches(s, "get", key="k"), "hit v")
            self.assertEqual(caches(s, "drop", key="k"), "0")
            self.assertEqual(caches(s, "get", key="k"), "miss")
            for k in ("a:1", "a:2", "b:1"):
                caches(s, "set", key=k, value=k)
            self.assertEqual(caches(s, "drop_prefix", key="a:"), "0")
            self.assertEqual([caches(s, "get", key=k) for k in ("a:1", "a:2", "b:1")],
                             ["miss", "miss", "hit b:1"])
            caches(s, "set", key="brief", value="v", ttl=30)
            wait_until(lambda: caches(s, "get", key="brief") == "miss", "the end of 30 ms", 1)
            c = status(s)["cache"]
            self.assertEqual((c["memory"], c["redis"]["state"]), (1 << 20, "none"))
            self.assertEqual((c["sets"], c["deletes"], c["prefixDeletes"]), (5, 1, 1))

    def test_the_edges(self):
        with self.host("{}") as s:
            self.assertEqual(caches(s, "edges"), "0 -8 0 -8 -1 -8 -8 0 0 0")

    def test_the_memory_is_bounded(self):
        with self.host("{ memory: 1MiB }") as s:
            self.assertEqual(caches(s, "flood", key="k" * 500, times=20000), "0")
            c = status(s)["cache"]
            self.assertLessEqual(c["bytes"], 1 << 20)
            self.assertGreater(c["evictions"], 15000)
            self.assertEqual(caches(s, "set", key="k", value="v"), "0")
            self.assertEqual(caches(s, "get", key="k"), "hit v")

    def test_threads_find_what_they_have_set(self):
        with self.host("{}") as s:
            self.assertEqual(caches(s, "threads", key="t", times=scaled(2000)), "0")
            self.assertEqual(status(s)["cache"]["deletes"], 4 * scaled(2000))

    def test_one_of_many_sets_what_all_have_missed(self):
        with self.host("{}") as s:
            def ask(**arguments):
                id = s.new_id()
                s.send(harness.modern("tools/call", {"name": "caches",
                                                     "arguments": dict(arguments, op="lease", key="k")}, id))
                return id
            ids = [ask(after=100, value="v") for _ in range(6)]
            texts = [text_of(s.answer(i)["result"]) for i in ids]
            self.assertEqual(sorted(texts), ["hit v"] * 5 + ["set v"])
            # The first gives up: the next one sets it.
            caches(s, "drop", key="k")
            first = ask(after=50)
            rest = [ask(after=0, value="w") for _ in range(4)]
            self.assertEqual(text_of(s.answer(first)["result"]), "gave up")
            texts = [text_of(s.answer(i)["result"]) for i in rest]
            self.assertEqual(sorted(texts), ["hit w"] * 3 + ["set w"])
            # Its client goes away.
            caches(s, "drop", key="k")
            first = ask(after=-1)
            second = ask(after=0, value="x")
            s.send(harness.legacy("notifications/cancelled", {"requestId": first}))
            self.assertEqual(text_of(s.answer(second)["result"]), "set x")

    def test_what_is_dropped_while_it_is_made_is_not_kept(self):
        with self.host("{}") as s:
            id = s.new_id()
            s.send(harness.modern("tools/call", {"name": "caches", "arguments": {
                "op": "lease", "key": "k", "after": 200, "value": "old"}}, id))
            caches(s, "drop", key="k")
            self.assertEqual(text_of(s.answer(id)["result"]), "set old")
            self.assertEqual(caches(s, "get", key="k"), "miss")

    def names_are_apart(self, plugin, **kw):
        with self.host("{}", plugin=plugin, **kw) as s:
            caches(s, "set", tool="one_caches", key="k", value="of one")
            caches(s, "set", tool="two_caches", key="k", value="of two")
            return (caches(s, "get", tool="one_caches", key="k"),
                    caches(s, "get", tool="two_caches", key="k"))

    def test_instances_do_not_see_each_other(self):
        self.assertEqual(self.names_are_apart(self.two_names()), ("hit of one", "hit of two"))

    @needs_controls
    def test_without_names_they_do(self):
        seen = self.names_are_apart(self.two_names(bad=controls_dir("bad")), binary=CONTROLS,
                                    env={"MANIFOLD_WITHOUT": "cache_names"})
        self.assertEqual(seen, ("hit of two", "hit of two"))

    def test_reload_keeps_what_is_set_up_once(self):
        with self.host("{ memory: 2MiB }") as s:
            caches(s, "set", key="k", value="v")
            path = self.f.path + "/host1.yaml"
            with open(path) as f:
                text = f.read()
            self.f.write("host1.yaml", text.replace("2MiB", "3MiB"))
            s.signal(harness.signal.SIGHUP)
            s.wait_log("cache can't change while the host runs")
            self.assertEqual(status(s)["cache"]["memory"], 2 << 20)
            self.assertEqual(caches(s, "get", key="k"), "hit v")


@needs_redis
class Shared(Base):
    def test_a_second_host_gets_the_hit(self):
        with Redis(self.f.path) as redis, self.with_redis(redis) as a, self.with_redis(redis) as b:
            joined(a, b)
            before = redis.calls()
            caches(a, "set", key="k", value="from a")
            connected(a)
            self.assertEqual(caches(b, "get", key="k"), "hit from a")
            after = redis.calls()
            for name in ("set", "mget", "pttl"):
                self.assertGreater(after[name], before.get(name, 0), name)
            self.assertEqual(status(b)["cache"]["redisHits"], 1)
            self.assertEqual(caches(b, "get", key="k"), "hit from a")
            self.assertEqual(redis.calls()["mget"], after["mget"])  # from memory
            keys = sorted(redis.command("KEYS", "*"))
            self.assertEqual(keys, [b"manifold:lv:caches", b"manifold:v:caches:k"])
            self.assertTrue(0 < redis.command("PTTL", "manifold:v:caches:k") <= 60000)

    def test_an_invalidation_reaches_the_other_host(self):
        with Redis(self.f.path) as redis, self.with_redis(redis) as a, self.with_redis(redis) as b:
            joined(a, b)
            took = []
            for i in range(5):
                caches(a, "set", key="p:k", value="v")
                connected(a)
                self.assertEqual(caches(b, "get", key="p:k"), "hit v")
                if i % 2:
                    caches(a, "drop", key="p:k")
                else:
                    caches(a, "drop_prefix", key="p:")
                took.append(wait_until(lambda: caches(b, "get", key="p:k") == "miss", "the miss"))
                self.assertEqual(caches(a, "get", key="p:k"), "miss")
            print("invalidations reached the other host within %s ms"
                  % ", ".join("%.1f" % (t * 1000) for t in took))
            self.assertLess(min(took), 0.1)
            self.assertEqual(status(b)["cache"]["redis"]["invalidationsIn"], 5)

    def test_by_name_over_tcp_with_a_password_of_a_file(self):
        secret = self.f.write("password", SECRET + "\n")
        with Redis(self.f.path, password=SECRET, tcp=True) as redis:
            with self.host("{ redis: 'redis://localhost:%d/3', password: '${file:%s}', namespace: mine }"
                           % (redis.port, secret)) as s:
                joined(s)
                caches(s, "set", key="k", value="v")
                connected(s)
                info = redis.command("INFO", "keyspace").decode()
                self.assertIn("db3:keys=2", info)
                self.assertNotIn(SECRET, json.dumps(status(s)) + s.log())

    def test_a_wrong_password(self):
        with Redis(self.f.path, password="another") as redis:
            cache = "{ redis: 'unix:%s', password: '${env:CACHE_PASSWORD}' }" % redis.path
            with self.host(cache, env={"CACHE_PASSWORD": SECRET}) as s:
                caches(s, "set", key="k", value="v")
                self.assertEqual(caches(s, "get", key="k"), "hit v")
                s.wait_log("it refuses the password (WRONGPASS)")
                self.assertEqual(caches(s, "get", key="none"), "miss")
                self.assertNotIn(SECRET, json.dumps(status(s)) + s.log())
                redis.command("CONFIG", "SET", "requirepass", SECRET)
                self.assertLess(connected(s), 2 + 1)
                self.assertEqual(caches(s, "set", key="l", value="v"), "0")

    def test_garbage(self):
        for says, hello in ((b"HTTP/1.1 400 Bad Request\r\n\r\n", False), (b"\x00" * 100000, False),
                            (b"+OK\r\n" * 1000, True), (b"*1000000000\r\n", True),
                            (b"$500000000\r\nx", True), (b"x" * 65536, True),
                            (b"-ERR " + SECRET.encode() + b"\r\n", True)):
            with self.subTest(says[:20]), Garbage(self.f.path, says, hello) as g:
                with self.host("{ redis: 'unix:%s' }" % g.path) as s:
                    caches(s, "set", key="k", value="v")
                    wait_until(lambda: g.connections >= 2, "two connections")
                    for i in range(20):
                        self.assertEqual(caches(s, "get", key="none%d" % i), "miss")
                        # With a link that comes and goes it may be forgotten, no more.
                        self.assertIn(caches(s, "get", key="k"), ("hit v", "miss"))
                        caches(s, "set", key="k", value="v")
                    self.assertNotIn(SECRET, json.dumps(status(s)) + s.log())
                os.unlink(g.path)


@needs_redis
class BadDays(Base):
    def stopped(self, **kw):
        """The longest of 40 calls that miss while Redis is stopped, in seconds."""
        with Redis(self.f.path) as redis, self.with_redis(redis, **kw) as s:
            joined(s)
            caches(s, "set", key="k", value="v")
            connected(s)
            redis.stop()
            longest = 0
            for i in range(40):
                start = time.monotonic()
                answer = s.call("caches", {"op": "get", "key": "none%d" % i})
                longest = max(longest, time.monotonic() - start)
                if answer.get("isError"):
                    return longest, "isError"
                self.assertEqual(caches(s, "get", key="k"), "hit v")
            silent = link(s)
            redis.go_on()
            back = connected(s)
            self.assertEqual(caches(s, "get", key="k"), "hit v")
            print("the longest call while Redis was stopped took %.0f ms; used again after %.0f ms"
                  % (longest * 1000, back * 1000))
            self.assertLess(back, 2 + 1)
            return longest, silent

    def test_a_stopped_redis_holds_nobody_up(self):
        longest, silent = self.stopped()
        self.assertLess(longest, 0.05 + 1)
        self.assertEqual(silent, "does not answer")

    @needs_controls
    def test_without_the_deadline_it_does(self):
        plugin = controls_dir("bad") + "/caches"
        # limits.timeout of the tool ends it then
        longest, how = self.stopped(plugin=self.short(plugin), binary=CONTROLS,
                                    env={"MANIFOLD_WITHOUT": "cache_timeout"})
        self.assertEqual(how, "isError")

    def short(self, plugin):
        self.f.bad("caches", "short", bad=os.path.dirname(plugin))
        path = self.f.at("short/caches.yaml")
        with open(path, "a") as f:
            f.write("limits: { timeout: 1s }\n")
        return self.f.path + "/short"

    def test_a_killed_redis_is_used_again_when_it_is_back(self):
        with Redis(self.f.path) as redis, self.with_redis(redis) as a, self.with_redis(redis) as b:
            joined(a, b)
            caches(a, "set", key="k", value="v")
            caches(a, "set", key="gone", value="v")
            connected(a)
            self.assertEqual(caches(b, "get", key="gone"), "hit v")
            redis.kill()
            wait_until(lambda: link(a) == link(b) == "connecting", "both have lost it")
            self.assertEqual(caches(a, "get", key="k"), "hit v")
            self.assertEqual(caches(a, "get", key="none"), "miss")
            caches(a, "drop", key="gone")
            redis.start()
            back = connected(a)
            print("Redis was used again %.0f ms after its return" % (back * 1000))
            self.assertLess(back, 2 + 1)
            connected(b)
            self.assertEqual(caches(a, "get", key="k"), "hit v")  # from Redis
            self.assertEqual(caches(b, "get", key="gone"), "miss")
            self.assertEqual(status(a)["cache"]["redis"]["reconnects"], 1)

    def missed(self, **kw):
        """What b finds of a key that a has dropped while b was cut off."""
        self.hosts += 1
        with Redis(self.f.directory("redis%d" % self.hosts)) as redis, \
                self.with_redis(redis, **kw) as a, self.with_redis(redis, **kw) as b:
            joined(a, b)
            caches(a, "set", key="k", value="old")
            connected(a)
            self.assertEqual(caches(b, "get", key="k"), "hit old")
            # Nobody is subscribed when a says it: as if b had been cut off for a moment.
            redis.command("CLIENT", "KILL", "TYPE", "pubsub")
            caches(a, "drop", key="k")
            for s in (a, b):
                wait_until(lambda: status(s)["cache"]["redis"]["reconnects"] == 1, "reconnected")
                connected(s)
            return caches(b, "get", key="k")

    def test_what_may_have_been_missed_is_not_served(self):
        self.assertEqual(self.missed(), "miss")

    @needs_controls
    def test_without_the_flush_it_is(self):
        found = {self.missed(plugin=controls_dir("bad") + "/caches", binary=CONTROLS,
                             env={"MANIFOLD_WITHOUT": "cache_flush"}) for _ in range(5)}
        self.assertIn("hit old", found)


if __name__ == "__main__":
    harness.main()
