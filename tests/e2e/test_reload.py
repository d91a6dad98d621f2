"""What changes on disk is built beside what runs: no call is lost or doubled by a reload, a plugin that
does not hold keeps its generation, and a client hears of a list exactly when it has changed."""

import datetime
import json
import os
import select
import shutil
import signal
import time
import unittest

import harness
import support
from harness import Failure, Server, modern
from support import BAD, Files, serve

STAMP = """manifold: 1
id: test.bad.stamp
name: stamp
version: 1.0.0
isolation: inproc
reload: %(reload)s
limits: { concurrency: 1024, queue: 4096, queue_wait: 30s, timeout: 30s, drain: %(drain)s }
tools:
  - { name: stamp, description: %(description)s }
%(more)sconfig: { stamp: %(stamp)d, fail: %(fail)d, stuck: %(stuck)d }
"""


def manifest(stamp=0, fail=0, stuck=0, reload="overlap", drain="10s", description="Answers", more=""):
    return STAMP % locals()


def put(f, name, text):
    """As an editor or a deployment does: written beside, then renamed."""
    temporary = f.at(name) + ".new"
    with open(temporary, "w") as out:
        out.write(text)
    os.rename(temporary, f.at(name))


def stamp_plugin(f, bad=None, **config):
    os.makedirs(f.directory("p"), exist_ok=True)
    shutil.copy(os.path.join(bad or BAD, "stamp", "stamp.so"), f.at("p/stamp.so"))
    put(f, "p/stamp.yaml", manifest(**config))


def library(f, plugin, name="stamp"):
    """Another library in its place, by rename."""
    shutil.copy(os.path.join(BAD, plugin, plugin + ".so"), f.at("p/new.tmp"))
    os.rename(f.at("p/new.tmp"), f.at("p/%s.so" % name))


def answer_of(result):
    """(stamp, instance, count) of one result of the stamp plugin."""
    words = support.text_of(result).split()
    if len(words) != 4 or words[0] != "stamp":
        raise Failure("no answer of the stamp plugin: %r" % result)
    return int(words[1]), words[2], int(words[3])


def reload(s):
    """SIGHUP, and waits until the status counts the reload as done: its whole document."""
    before = support.status(s)["server"]["reloads"]
    s.signal(signal.SIGHUP)
    return until(s, lambda d: d["server"]["reloads"] > before)


def until(s, holds, timeout=harness.TIMEOUT):
    end = time.monotonic() + timeout
    while True:
        document = support.status(s)
        if holds(document):
            return document
        if time.monotonic() > end:
            raise Failure("the status stays at %s" % json.dumps(document)[:3000])
        select.select([], [], [], 0.002)  # the host is let work; nothing depends on how long


def plugin(document, name="stamp"):
    return [p for p in document["plugins"] if p["name"] == name][0]


def watches(s):
    """What the kernel watches for it."""
    count = 0
    for fd in os.listdir("/proc/%d/fdinfo" % s.process.pid):
        try:
            with open("/proc/%d/fdinfo/%s" % (s.process.pid, fd)) as info:
                count += info.read().count("inotify wd:")
        except FileNotFoundError:
            pass   # it was closed meanwhile
    return count


def fds(s):
    return len(os.listdir("/proc/%d/fd" % s.process.pid))


class Storm(unittest.TestCase):
    def test_a_thousand_reloads_in_ten_seconds(self):
        """One pipe, so the host admits calls in the order of their ids; a later generation has a
        higher stamp.  So an answer has the stamp in force at its admission only if stamps never
        fall from one id to the next, and none is higher than what was written when it came."""
        rounds, window = support.scaled(1000, 4, 5), support.scaled(1000, 4, 10)
        with Files() as f:
            stamp_plugin(f)
            config = f.write("host.yaml", "manifold: 1\nsources: [{ path: %s/p, trust: true }]\n"
                             "limits: { calls: 4096 }\n" % f.path)
            with Server("--config", config, plugins=[]) as s:
                answer_of(s.call("stamp"))
                seen, written, generations = {}, 0, set()
                first = id = 1000
                next_stamp = time.monotonic()
                while written < rounds or len(seen) < id - first:
                    now = time.monotonic()
                    if written < rounds and now >= next_stamp:
                        written += 1
                        put(f, "p/stamp.yaml", manifest(stamp=written))
                        s.signal(signal.SIGHUP)
                        next_stamp += 0.01
                    if written < rounds and id - first - len(seen) < window:
                        n = window - (id - first - len(seen))
                        s.send(*[modern("tools/call", {"name": "stamp"}, id + i) for i in range(n)])
                        id += n
                    poll = select.poll()
                    poll.register(s.reader, select.POLLIN)
                    if b"\n" not in s.buffer and not poll.poll(5):
                        continue
                    while True:
                        m = s.recv()
                        if m["id"] in seen:
                            raise Failure("two answers to %r" % m["id"])
                        stamp, instance, _ = answer_of(m["result"])
                        if stamp > written:
                            raise Failure("a stamp nobody has written: %r" % m)
                        seen[m["id"]] = stamp
                        generations.add((stamp, instance))
                        if b"\n" not in s.buffer:
                            break
                self.assertEqual(len(seen), id - first)
                order = [seen[i] for i in range(first, id)]
                self.assertEqual(order, sorted(order), "an answer of a generation that was replaced")
                d = until(s, lambda d: not d["draining"] and answer_of(s.call("stamp"))[0] == written)
                self.assertEqual(len(plugin(d)["entries"]), 1)
                stamps = len(set(order))
                print("%d calls, %d SIGHUPs, %d reloads, %d stamps seen"
                      % (len(seen), written, d["server"]["reloads"], stamps))
                self.assertGreaterEqual(stamps, support.scaled(50, 5, 10))


class Broken(unittest.TestCase):
    """The old generation serves on, and says why; once repaired, the new one serves."""

    def check(self, break_it, sentence, s, f):
        before = answer_of(s.call("stamp"))
        break_it()
        d = reload(s)
        self.assertEqual(d["server"]["lastReload"], "refused")
        self.assertIn(sentence, plugin(d)["lastError"])
        self.assertTrue([p for p in d["problems"] if p["plugin"] == "stamp" and p["served"]
                         and sentence in p["problem"]], d["problems"])
        s.wait_log(sentence)
        after = answer_of(s.call("stamp"))
        self.assertEqual(after[:2], before[:2])
        self.assertEqual(after[2], before[2] + 1)  # its state is there
        s.echo()

    def test_each_kind_of_failure(self):
        with Files() as f:
            stamp_plugin(f, stamp=1)
            f.echo("p")
            with serve(f.path + "/p") as s:
                answer_of(s.call("stamp"))
                s.echo()

                def bad_library(name):
                    return lambda: library(f, name)
                kinds = [
                    (lambda: put(f, "p/stamp.yaml", "manifold: 1\ntools: ["), "stamp.yaml:"),
                    (lambda: put(f, "p/stamp.yaml", manifest().replace("tools:", "toools:")),
                     "toools"),
                    (lambda: put(f, "p/stamp.yaml", manifest(fail=1)), "failed with -9"),
                    (bad_library("no_symbol"), "exports no manifold_plugin_v1"),
                    (bad_library("wrong_major"), "expected ABI major 1, found 2"),
                    (bad_library("no_note"), "ELF note"),
                    (bad_library("crash_constructor"), "signal 11"),
                    (bad_library("plain"), "has id test.bad.plain"),
                    (lambda: os.unlink(f.at("p/stamp.so")), "stamp.so"),
                ]
                for n, (break_it, sentence) in enumerate(kinds):
                    with self.subTest(sentence):
                        self.check(break_it, sentence, s, f)
                        echoes = plugin(support.status(s), "echo")["generation"]
                        self.assertEqual(echoes, 1)
                        stamp_plugin(f, stamp=10 + n)
                        d = reload(s)
                        self.assertEqual((d["server"]["lastReload"], d["problems"]), ("done", []))
                        self.assertNotIn("lastError", plugin(d))
                        self.assertEqual(answer_of(s.call("stamp"))[0], 10 + n)
                        until(s, lambda d: not d["draining"])

    def test_others_are_reloaded_all_the_same(self):
        with Files() as f:
            stamp_plugin(f, stamp=1)
            f.bad("plain", "p")
            with serve(f.path + "/p") as s:
                s.call("plain")
                s.call("stamp")
                put(f, "p/plain.yaml", "manifold: 2")
                put(f, "p/stamp.yaml", manifest(stamp=2))
                self.assertIn("lastError", plugin(reload(s), "plain"))
                self.assertEqual(answer_of(s.call("stamp"))[0], 2)
                self.assertEqual(support.text_of(s.call("plain")), "plain answers")

    def test_config_that_is_refused_changes_nothing(self):
        with Files() as f:
            stamp_plugin(f, stamp=1)
            good = "manifold: 1\nsources: [{ path: %s/p, trust: true }]\n" % f.path
            config = f.write("host.yaml", good)
            with Server("--config", config, plugins=[]) as s:
                s.call("stamp")
                for _ in range(2):
                    f.write("host.yaml", "manifold: 1\nsources: 7\n")
                    d = reload(s)
                    self.assertEqual(d["server"]["lastReload"], "refused")
                    self.assertEqual([p["plugin"] for p in d["problems"]], ["config"])
                f.write("host.yaml", good + "plugins: { stamp: { config: { stamp: 9 } } }\n"
                        "server: { name: other }\nhttp_client: { total: 7 }\nadmin: none\n")
                self.assertEqual(reload(s)["problems"], [])
                for key in "server.name", "http_client", "admin":
                    s.wait_log(f"reload: {key} can't change while the host runs")
                self.assertEqual(answer_of(s.call("stamp"))[0], 9)

    def test_a_library_that_was_bad_is_probed_again(self):
        """The same bytes may be good now: what was missing may have come."""
        with Files() as f:
            f.bad("moody_constructor", "p")
            f.echo("p")
            mood = f.write("moody", "")
            here = os.getcwd()
            os.chdir(f.path)
            try:
                with serve(f.path + "/p") as s:
                    self.assertTrue(s.call("moody_constructor")["isError"])
                    self.assertIn("exit code 9", plugin(reload(s), "moody_constructor")["lastError"])
                    s.echo()
                    os.unlink(mood)
                    self.assertEqual(reload(s)["problems"], [])
                    self.assertEqual(support.text_of(s.call("moody_constructor")),
                                     "moody_constructor answers")
            finally:
                os.chdir(here)

    def test_a_broken_plugin_beside_a_stuck_one_is_not_tried_for_ever(self):
        with Files() as f:
            stamp_plugin(f, stuck=1, drain="100ms")
            f.bad("open_fails", "p")
            with serve(f.path + "/p") as s:
                s.call("open_fails")
                s.send(modern("tools/call", {"name": "stamp"}, "held"))
                until(s, lambda d: plugin(d)["running"] == 1)
                put(f, "p/stamp.yaml", manifest(stamp=2))
                reload(s)
                until(s, lambda d: d["draining"] and d["draining"][0]["state"] == "stuck")
                put(f, "p/stamp.yaml", manifest(stamp=3))
                count = reload(s)["server"]["reloads"]
                for _ in range(50):
                    s.call("stamp")
                self.assertEqual(support.status(s)["server"]["reloads"], count)

    @support.needs_controls
    def test_without_the_transaction_a_broken_manifest_takes_the_plugin_away(self):
        def serves(control):
            with Files() as f:
                stamp_plugin(f, support.controls_dir("bad"))
                with Server("--trust", plugins=[f.path + "/p"], binary=support.CONTROLS,
                            env={"MANIFOLD_WITHOUT": control}) as s:
                    s.call("stamp")
                    put(f, "p/stamp.yaml", "manifold: 1\ntools: [")
                    reload(s)
                    return "result" in s.request("tools/call", {"name": "stamp"})
        self.assertTrue(serves(""))
        self.assertFalse(serves("reload_transaction"))


class Swap(unittest.TestCase):
    def test_what_did_not_change_keeps_its_state(self):
        with Files() as f:
            stamp_plugin(f, stamp=1)
            f.echo("p")
            with serve(f.path + "/p") as s:
                first = answer_of(s.call("stamp"))
                put(f, "p/stamp.yaml", "# a comment\n" + manifest(stamp=1))
                self.assertEqual(plugin(reload(s))["generation"], 1)
                second = answer_of(s.call("stamp"))
                self.assertEqual((second[1], second[2]), (first[1], first[2] + 1))

    def test_calls_end_where_they_began(self):
        with Files() as f:
            stamp_plugin(f, stamp=1)
            with serve(f.path + "/p") as s:
                s.call("stamp")
                s.send(*[modern("tools/call", {"name": "stamp"}, "old %d" % i) for i in range(50)])
                put(f, "p/stamp.yaml", manifest(stamp=2))
                reload(s)
                s.send(*[modern("tools/call", {"name": "stamp"}, "new %d" % i) for i in range(50)])
                for i in range(50):
                    self.assertEqual(answer_of(s.answer("old %d" % i)["result"])[0], 1)
                    self.assertEqual(answer_of(s.answer("new %d" % i)["result"])[0], 2)

    def test_added_and_removed(self):
        with Files() as f:
            stamp_plugin(f)
            with serve(f.path + "/p") as s:
                s.call("stamp")
                f.bad("plain", "p")
                os.unlink(f.at("p/stamp.yaml"))
                reload(s)
                self.assertEqual(support.text_of(s.call("plain")), "plain answers")
                self.assertIn("error", s.request("tools/call", {"name": "stamp"}))
                until(s, lambda d: not d["draining"])

    def test_library_on_disk_matters_at_a_reload_alone(self):
        """Overwritten in place, truncated, deleted under load: nothing happens until SIGHUP."""
        def overwrite(path):
            with open(path, "r+b") as so:
                so.write(b"\xcc" * os.path.getsize(path))
        for damage in (overwrite, lambda p: os.truncate(p, 100), os.unlink):
            with Files() as f:
                stamp_plugin(f, stamp=1)
                with serve(f.path + "/p") as s:
                    s.call("stamp")
                    s.send(*[modern("tools/call", {"name": "stamp"}, i) for i in range(1000, 1200)])
                    damage(f.at("p/stamp.so"))
                    for i in range(1000, 1200):
                        self.assertEqual(answer_of(s.answer(i)["result"])[0], 1)
                    self.assertIn("stamp.so", plugin(reload(s))["lastError"])
                    self.assertEqual(answer_of(s.call("stamp"))[0], 1)

    def test_stuck_generation_is_cut_reported_and_kept(self):
        with Files() as f:
            stamp_plugin(f, stamp=1, stuck=1, drain="200ms")
            with serve(f.path + "/p") as s:
                s.send(modern("tools/call", {"name": "stamp"}, "held"),
                       modern("tools/call", {"name": "stamp"}, "cancelled"))
                until(s, lambda d: plugin(d)["running"] == 2)
                s.send(modern("notifications/cancelled", {"requestId": "cancelled"}))
                until(s, lambda d: plugin(d)["orphans"] == 1)
                put(f, "p/stamp.yaml", manifest(stamp=2))
                reload(s)
                self.assertEqual(answer_of(s.call("stamp"))[0], 2)
                r = s.answer("held")["result"]
                self.assertTrue(r["isError"])
                self.assertIn("limits.drain", support.text_of(r))
                d = until(s, lambda d: d["draining"] and d["draining"][0]["state"] == "stuck")
                self.assertEqual((d["draining"][0]["generation"], d["draining"][0]["running"]), (1, 2))
                s.wait_log("STUCK")
                self.assertEqual([m for m in s.other if m.get("id") == "cancelled"], [])
                put(f, "p/stamp.yaml", manifest(stamp=3))  # two generations at most
                reload(s)
                self.assertEqual(answer_of(s.call("stamp"))[0], 2)

    def test_handover_keeps_state_and_loses_nothing(self):
        with Files() as f:
            stamp_plugin(f, stamp=1, reload="handover")
            with serve(f.path + "/p") as s:
                s.call("stamp")
                id = 1000
                for stamp in range(2, 12):
                    s.send(*[modern("tools/call", {"name": "stamp"}, id + i) for i in range(20)])
                    put(f, "p/stamp.yaml", manifest(stamp=stamp, reload="handover"))
                    reload(s)
                    s.send(*[modern("tools/call", {"name": "stamp"}, id + i) for i in range(20, 40)])
                    until(s, lambda d: not d["draining"])
                    id += 40
                answers = [answer_of(s.answer(i)["result"]) for i in range(1000, id)]
                self.assertEqual(sorted(a[2] for a in answers), list(range(2, len(answers) + 2)))
                self.assertEqual([a[0] for a in answers], sorted(a[0] for a in answers))
                self.assertEqual(answers[-1][0], 11)


class ListChanged(unittest.TestCase):
    def changes(self, s):
        return [m["method"] for m in s.other if m.get("method", "").endswith("list_changed")]

    def test_once_and_only_for_what_changed(self):
        with Files() as f:
            stamp_plugin(f)
            with serve(f.path + "/p") as s:
                caps = s.initialize()["capabilities"]
                self.assertEqual(caps["tools"], {"listChanged": True})
                self.assertEqual(caps["resources"], {"listChanged": True})
                put(f, "p/stamp.yaml", manifest(stamp=5))  # config alone: no list changes
                reload(s)
                put(f, "p/stamp.yaml", manifest(stamp=5, description="Other", more="  - { name: second, "
                                                "description: d }\n"))
                d = reload(s)
                s.wait_log("tools: added second; changed stamp")
                m = s.recv()
                self.assertEqual(m, {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
                names = [t["name"] for t in s.legacy_request("tools/list")["result"]["tools"]]
                self.assertEqual(names, ["stamp", "second"])
                reload(s)
                reload(s)
                s.finish()
                self.assertEqual(self.changes(s), [])

    def test_modern_clients_that_do_not_listen_are_told_nothing(self):
        with Files() as f:
            stamp_plugin(f)
            with serve(f.path + "/p") as s:
                c = s.request("server/discover")["result"]["capabilities"]
                self.assertEqual(c["tools"], {"listChanged": True})
                put(f, "p/stamp.yaml", manifest(description="Other"))
                reload(s)
                s.wait_log("tools: changed stamp")
                s.finish()
                self.assertEqual(self.changes(s), [])


class Watch(unittest.TestCase):
    def test_a_changed_file_is_enough(self):
        with Files() as f:
            stamp_plugin(f, stamp=1)
            config = f.write("host.yaml", "manifold: 1\nwatch: true\nsources: [{ path: %s/p, trust: "
                             "true }]\n" % f.path)
            with Server("--config", config, plugins=[]) as s:
                self.assertEqual(answer_of(s.call("stamp"))[0], 1)
                put(f, "p/stamp.yaml", manifest(stamp=2))
                until(s, lambda d: plugin(d)["generation"] == 2)
                self.assertEqual(answer_of(s.call("stamp"))[0], 2)
                f.write("p/stamp.yaml", manifest(stamp=3))
                until(s, lambda d: plugin(d)["generation"] == 3)
                self.assertEqual(answer_of(s.call("stamp"))[0], 3)

    def test_watches_end_with_what_asks_for_them(self):
        def config(watch, *sources):
            put(f, "host.yaml", "manifold: 1\nwatch: %s\nsources: [%s]\n" % (watch, ", ".join(
                "{ path: %s/%s, trust: true }" % (f.path, name) for name in sources)))
        with Files() as f:
            stamp_plugin(f, stamp=1)
            f.echo("q")
            config("true", "p", "q")
            with Server("--config", f.path + "/host.yaml", plugins=[]) as s:
                answer_of(s.call("stamp"))
                self.assertEqual(watches(s), 2)
                config("true", "p")
                reload(s)
                self.assertEqual(watches(s), 1)
                config("false", "p")
                reload(s)
                self.assertEqual(watches(s), 0)
                config("true", "p", "q")
                reload(s)
                self.assertEqual(watches(s), 2)
                put(f, "p/stamp.yaml", manifest(stamp=2))
                until(s, lambda d: plugin(d)["generation"] == 2)


class Flat(unittest.TestCase):
    def test_reloads_leave_nothing_behind(self):
        """Memory and descriptors after 300 reloads that change the config, against those after 30."""
        rounds = support.scaled(300, 3, 5)
        with Files() as f:
            stamp_plugin(f)
            with serve(f.path + "/p") as s:
                def go(first, count):
                    for i in range(first, first + count):
                        put(f, "p/stamp.yaml", manifest(stamp=i))
                        reload(s)
                        self.assertEqual(answer_of(s.call("stamp"))[0], i)
                        until(s, lambda d: not d["draining"])
                    return s.memory_kib(), fds(s)
                s.call("stamp")
                before = go(1, 30)
                after = go(31, rounds)
                print("RSS %d -> %d KiB, descriptors %d -> %d, %d reloads"
                      % (before[0], after[0], before[1], after[1], rounds))
                self.assertEqual(after[1], before[1])
                if not support.SANITIZE:
                    self.assertLess(after[0] - before[0], 512)


class Clock(unittest.TestCase):
    @unittest.skipUnless(shutil.which("faketime"), "there is no faketime")
    @support.plain_only
    def test_a_wall_clock_that_moves_changes_no_timeout(self):
        """Wall time runs a thousand times as fast, the monotonic clock as ever: a call that sleeps
        ends by its plugin, one that hangs by its own deadline, after what was asked for."""
        with Files() as f:
            wrapper = f.write("manifold", "#!/bin/sh\nFAKETIME_DONT_FAKE_MONOTONIC=1 exec faketime -f "
                              "'+0 x1000' %s \"$@\"\n" % harness.BINARY)
            os.chmod(wrapper, 0o755)
            with Server("--trust", plugins=[os.path.join(BAD, "never_finishes"), harness.PLUGINS],
                        binary=wrapper) as s:
                self.assertIn("Echo", support.text_of(s.call("echo", {"message": "x"})))
                for tool, arguments, ms in (("sleep", {"ms": 500}, 500), ("never_finishes", {}, 200)):
                    began = time.monotonic()
                    s.call(tool, arguments)
                    took = (time.monotonic() - began) * 1000
                    self.assertGreater(took, ms - 1)
                    self.assertLess(took, ms + 400)
                s.finish()
                stamps = [datetime.datetime.strptime(l[:19], "%Y-%m-%dT%H:%M:%S")
                          for l in s.log().splitlines() if l[:2] == "20"]
                self.assertGreater((stamps[-1] - stamps[0]).total_seconds(), 5, "time was not moved")


if __name__ == "__main__":
    harness.main()
