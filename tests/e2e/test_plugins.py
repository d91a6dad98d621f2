"""Every deliberately bad plugin is held against tests/plugins/expect.json: its call gets the answer
of the table, its sentence stands in the log and in manifold://status, and the same process answers
another plugin afterwards.  The controls show that each protection is what makes that true."""

import contextlib
import json
import os
import select
import time
import unittest

import harness
import support
from harness import Failure, Server, modern
from support import BAD, CONTROLS, Files

TABLE = os.path.join(support.HERE, "..", "plugins", "expect.json")
with open(TABLE) as f:
    CASES = [c for c in json.load(f) if os.path.isdir(os.path.join(BAD, c["plugin"]))]
HELD = [c for c in CASES if c["result"] != "dies"]
DIED = "of this the host dies in-process; only a worker can hold it"


def start(*plugins, control=None, together=None, **kw):
    """The host on bad plugins and the bundled ones.  control: of the build with controls, "" with
    all protections on, else without the named one.  together: the Files in which they share one
    directory, where they are more than a host takes directories."""
    if "crash_descriptor" in plugins:
        kw["report"] = "library_probe_main"  # a sanitizer sees what ends the probe
    if control is None:
        where, bundled = BAD, harness.PLUGINS
    else:
        where, bundled = support.controls_dir("bad"), support.controls_dir("plugins")
        kw.update(binary=CONTROLS, env={"MANIFOLD_WITHOUT": control})
    directories = [os.path.join(where, p) for p in dict.fromkeys(plugins)]
    if together:
        for d in directories:
            together.bad(d, "all")
        directories = [together.at("all")]
    return Server("--trust", plugins=directories + [bundled], **kw)


def check_answer(case, answer):
    """The response to a call against the table."""
    want, who = case["result"], case["tool"]
    if isinstance(want, int):
        error = answer.get("error", {})
        if error.get("code") != want or case["text"] not in error.get("message", ""):
            raise Failure("%s: expected error %d %r, found %r" % (who, want, case["text"], answer))
        return
    result = answer.get("result", {})
    if bool(result.get("isError")) != (want == "isError") or "content" not in result:
        raise Failure("%s: expected %s, found %r" % (who, want, answer))
    if case["text"] not in support.text_of(result):
        raise Failure("%s: expected %r, found %r" % (who, case["text"], answer))
    if want == "isError":
        refused = result["_meta"].get("manifold/refused")
        if not refused or "reason" not in refused:
            raise Failure("%s: no manifold/refused in %r" % (who, answer))
    if case.get("structured", 0) not in (0, result.get("structuredContent")):
        raise Failure("%s: structuredContent %r" % (who, result.get("structuredContent")))


def check_sentence(s, case):
    """What refuses it, in the log and in the status; both name the plugin."""
    mine = support.problems(support.status(s)).get(case["plugin"], [])
    if not case["sentence"]:
        if mine:
            raise Failure("%s: has a problem: %r" % (case["plugin"], mine))
        return
    if not [m for m in mine if case["sentence"] in m]:
        raise Failure("%s: %r is not in the status: %r" % (case["plugin"], case["sentence"], mine))
    s.wait_log(case["sentence"])
    line = [l for l in s.log().splitlines() if case["sentence"] in l]
    if not [l for l in line if " %s: " % case["plugin"] in l]:
        raise Failure("%s: its log line does not name it: %r" % (case["plugin"], line))


def call_request(case, id):
    return modern("tools/call", {"name": case["tool"], "arguments": case["arguments"]}, id)


def check(s, case, timeout=harness.TIMEOUT):
    """All the table says of one plugin."""
    pid = s.process.pid
    s.echo("before")
    for _ in range(case.get("times", 1)):
        id = s.new_id()
        s.send(call_request(case, id))
        check_answer(case, s.answer(id, timeout))
        s.echo("after")
    if "log" in case:
        s.wait_log(case["log"])
    check_sentence(s, case)
    s.echo("at last")
    if s.process.poll() is not None or s.process.pid != pid:
        raise Failure("it is not the same process any more")


class Each(unittest.TestCase):
    """One host for each; the cases are added below."""

    def test_the_table_is_whole(self):
        """gnu_unique is there only where there is a C++ compiler."""
        with open(TABLE) as f:
            listed = {c["plugin"] for c in json.load(f)}
        self.assertEqual(set(os.listdir(BAD)) | {"gnu_unique"}, listed | {"gnu_unique"})


class Controls(unittest.TestCase):
    """With its protection off, the same check fails; with it on, the same build passes."""

    def holds_without(self, case, control):
        """False: the check has failed, or the host with it."""
        try:
            with start(case["plugin"], control=control, expect=None, quiet=True) as s:
                check(s, case, timeout=2)
        except (Failure, OSError):
            return False
        return True

    @support.needs_controls
    def test_memfd(self):
        """A library that is overwritten in place while it is mapped."""
        self.overwrite("")
        with self.assertRaises((Failure, OSError)):
            self.overwrite("memfd")

    def overwrite(self, control):
        with Files() as f:
            f.bad("plain", "plain", support.controls_dir("bad"))
            library = f.at("plain/plain.so")
            with Server("--trust", plugins=[f.path + "/plain", support.controls_dir("plugins")],
                        binary=CONTROLS, env={"MANIFOLD_WITHOUT": control}, expect=None,
                        quiet=True) as s:
                if support.text_of(s.call("plain")) != "plain answers":
                    raise AssertionError("it did not even load")
                size = os.path.getsize(library)
                with open(library, "r+b") as so:
                    so.write(b"\xcc" * size)
                for _ in range(3):
                    if support.text_of(s.call("plain", timeout=5)) != "plain answers":
                        raise Failure("what is mapped has changed")
                s.echo()

    @support.needs_controls
    def test_note_keeps_constructors_from_running(self):
        for plugin in ("wrong_major", "no_note"):
            ran = plugin + ": a constructor has run"
            for control, runs in (("", False), ("note", True)):
                with start(plugin, control=control, expect=None, quiet=True) as s:
                    s.send(modern("tools/call", {"name": plugin, "arguments": {}}, 1))
                    s.answer(1)
                    s.echo()
                    s.finish()
                    self.assertEqual(ran in s.log(), runs, (plugin, control))


class Behaviour(unittest.TestCase):
    """What one call and its answer do not show."""

    def test_sentences_are_distinct(self):
        """Each kind of badness reads differently even with the plugin's name taken out."""
        bad = [c for c in HELD if c["load"] == "bad" and c["plugin"] != "hang_constructor"]
        with start(*[c["plugin"] for c in bad]) as s:
            for c in bad:
                s.request("tools/call", {"name": c["tool"]})
            found = support.problems(support.status(s))
        seen = {}
        for c in bad:
            mine = [m for m in found[c["plugin"]] if c["sentence"] in m]
            self.assertEqual(len(mine), 1, (c["plugin"], found[c["plugin"]]))
            seen.setdefault(mine[0].replace(c["plugin"], "NAME"), []).append(c["plugin"])
        # Two files that end too early, one of them by what its header claims, are one kind.
        same = [p for p in seen.values() if len(p) > 1 and set(p) != {"truncated", "lost_dynamic"}
                and set(p) != {"open_fails", "open_fails_late"}]
        self.assertEqual(same, [])

    def test_all_at_once_under_load(self):
        """All bad plugins in one host, thousands of echoes between their calls."""
        # While others hold the loop, what is 100 ms late may be seen before the deadline is.
        cases = [c for c in HELD for _ in range(min(c.get("times", 1), 3))
                 if c["plugin"] != "finishes_late"]
        echoes = support.scaled(4000)
        with Files() as f, start(*[c["plugin"] for c in HELD], together=f) as s:
            pid = s.process.pid
            s.echo()
            calls, each = {}, echoes // len(cases)
            for i, c in enumerate(cases):
                calls["bad %d" % i] = c
                s.send(call_request(c, "bad %d" % i),
                       *[modern("tools/call", {"name": "echo", "arguments": {"message": "m%d" % k}},
                                k) for k in range(i * each, (i + 1) * each)])
            want = set(calls) | set(range(each * len(cases)))
            while want:
                try:
                    m = s.recv()
                except Failure as e:
                    missing = sorted(calls[w]["tool"] if w in calls else "echo" for w in want)
                    raise Failure("no answer to %s\n%s" % (missing, e))
                if m is None:
                    raise Failure("the host is gone, %d answers are missing" % len(want))
                if "method" in m:
                    continue
                want.remove(m["id"])
                if m["id"] in calls:
                    check_answer(calls[m["id"]], m)
                else:
                    self.assertEqual(m["result"]["content"][0]["text"], "Echo: m%d" % m["id"])
            for c in HELD:
                check_sentence(s, c)
            s.echo()
            self.assertIsNone(s.process.poll())
            self.assertEqual(s.process.pid, pid)

    def test_hang_constructor(self):
        """It is given up on after 10 s; until then it holds nobody."""
        case = [c for c in CASES if c["plugin"] == "hang_constructor"][0]
        with start("hang_constructor") as s:
            s.echo()
            s.send(call_request(case, "hang"))
            for _ in range(100):
                s.echo()
            self.assertEqual(s.other, [])
            check_answer(case, s.answer("hang"))
            check_sentence(s, case)
            s.echo()

    def test_blocking_call_holds_nobody(self):
        """On a thread of its own for 200 ms: what comes after it is answered before it."""
        with start("blocking") as s:
            s.call("blocking")
            s.echo()
            s.send(modern("tools/call", {"name": "blocking"}, "slow"),
                   *[modern("tools/call", {"name": "echo", "arguments": {"message": "m"}}, i)
                     for i in range(20)])
            self.assertEqual([s.recv()["id"] for _ in range(21)], list(range(20)) + ["slow"])

    def test_client_cancels_a_plugin_that_finishes_in_cancel(self):
        with Files() as f:
            f.bad("finishes_cancelled", "p")
            with open(f.at("p/finishes_cancelled.yaml")) as manifest:
                text = manifest.read()
            f.write("p/finishes_cancelled.yaml",
                    "load: eager\n" + text.replace("timeout: 200ms", "timeout: 10m"))
            with support.serve(f.path + "/p", harness.PLUGINS) as s:
                s.wait_log("finishes_cancelled: loaded")
                s.send(modern("tools/call", {"name": "finishes_cancelled"}, "gone"))
                s.echo()
                s.send(modern("notifications/cancelled", {"requestId": "gone"}))
                s.wait_log("cancelled finish returned -4")
                s.echo()
                s.finish()
                self.assertEqual([m for m in s.other if m.get("id") == "gone"], [])

    def test_progress_only_rises(self):
        with start("progress_backwards") as s:
            s.call("progress_backwards", meta={"progressToken": "t"})
            steps = [m["params"]["progress"] for m in s.other if m.get("method", "").endswith("progress")]
            self.assertEqual(steps, [3, 5])

    def test_misuse_is_counted(self):
        with start("bad_handles", "finishes_twice") as s:
            for _ in range(3):
                s.call("bad_handles")
                s.call("finishes_twice")
            count = {p["name"]: p["misuse"] for p in support.status(s)["plugins"]}
            self.assertEqual((count["bad_handles"], count["finishes_twice"]), (21, 3))

    def test_log_flood_is_limited_and_counted(self):
        with start("log_flood") as s:
            s.call("log_flood")
            p = [p for p in support.status(s)["plugins"] if p["name"] == "log_flood"][0]
            lines = s.log().count("flood line ")
            self.assertGreater(p["logDropped"], 90000)
            self.assertLessEqual(lines, 100000 - p["logDropped"])

    def probes(self, plugin, parent=None):
        """Processes that have this plugin mapped and are a probe: that has its two words alone.
        Those of other tests too, unless the parent is given."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    words = f.read().split(b"\0")
                with open("/proc/%s/maps" % pid) as f:
                    if words[1:2] != [b"probe"] or "memfd:%s.so" % plugin not in f.read():
                        continue
                with open("/proc/%s/status" % pid) as f:
                    if parent is None or "PPid:\t%d\n" % parent in f.read():
                        found.append(pid)
        return set(found)

    def test_no_child_of_a_probe_survives(self):
        before = self.probes("fork_constructor")
        with start("fork_constructor") as s:
            s.call("fork_constructor")
            self.gone(self.probes("fork_constructor") - before)

    def gone(self, pids):
        """They have been killed; perhaps they have not ended yet."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                poll = select.poll()
                poll.register(os.pidfd_open(int(pid)), select.POLLIN)
                self.assertTrue(poll.poll(2000), "a probe lives on")

    def test_end_in_the_middle_of_a_probe(self):
        """The host does not wait for it, and leaves nothing behind."""
        for end in ("close_stdin", "signal"):
            with start("hang_constructor") as s:
                s.send(modern("tools/call", {"name": "hang_constructor"}, "hang"))
                deadline = time.monotonic() + 5
                while not (mine := self.probes("hang_constructor", s.process.pid)):
                    s.echo()
                    self.assertLess(time.monotonic(), deadline, "there is no probe")
                getattr(s, end)()
                self.assertEqual(s.wait(5), 0)
                self.gone(mine)

    def test_thread_outlives_the_host(self):
        """It wakes up, asks the host for this and that, while the host waits for a log that nobody
        reads before it exits: what it looks at must still be there."""
        with start("finishes_late", "prints", stderr="undrained") as s:
            s.call("prints")
            s.echo()
            s.send(modern("tools/call", {"name": "finishes_late"}, "late"))
            s.echo()
            s.close_stdin()
            self.assertEqual(s.wait(10), 0)

    def test_slow_quiesce_ends_all_the_same(self):
        with start("slow_quiesce") as s:
            s.call("slow_quiesce")
            s.close_stdin()
            self.assertEqual(s.wait(10), 0)


def add_case(case):
    name = "test_" + case["tool"]
    slow = case["plugin"] == "hang_constructor"  # 10 s; Behaviour has it

    def each(self):
        with start(case["plugin"]) as s:
            check(s, case)
    if case["result"] == "dies":
        each = unittest.skip(DIED)(each)
    if not slow:
        setattr(Each, name, each)
    if "control" not in case:
        return

    @support.needs_controls
    def control(self):
        if not slow:
            with start(case["plugin"], control="") as s:
                check(s, case)
        self.assertFalse(self.holds_without(case, case["control"]),
                         "the check passes without %s: it proves nothing" % case["control"])
    setattr(Controls, name, control)


for c in CASES:
    add_case(c)


if __name__ == "__main__":
    harness.main()
