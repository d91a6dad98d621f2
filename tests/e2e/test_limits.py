"""Limits in front of plugins: queue, queue_wait, timeout, rate, breaker, watchdog, and what the status
says of them.  Each check also runs on the build with controls, where it holds with the protection
and fails without it."""

import datetime
import os
import re
import select
import shutil
import subprocess
import sys
import time
import unittest

import harness
import support
from harness import Failure, modern
from support import BAD, CONTROLS, Files, serve, status

# What a busy machine or a sanitizer may add to a time; that deadlines are met to 20 ms is measured
# by bench/limits.py.
SLACK = 1.0
LOADED = "never_finishes: loaded"  # else the first calls may time out while it loads
ECHO_LIMITS = "limits: { concurrency: 1024, timeout: 10m, result: 8MiB }"


def must(ok, *what):
    if not ok:
        raise Failure(" ".join(str(w) for w in what))


def refusal(answer):
    """_meta["manifold/refused"] of the response to a tools/call, or None."""
    result = answer.get("result", {})
    refused = result.get("_meta", {}).get("manifold/refused")
    must(bool(result.get("isError")) == (refused is not None), answer)
    return refused


def reason(answer):
    return (refusal(answer) or {}).get("reason")


def call(tool, id, **arguments):
    return modern("tools/call", {"name": tool, "arguments": arguments}, id)


def plugin(s, name):
    return next(p for p in status(s)["plugins"] if p["name"] == name)


def entry(s, name, tool):
    return next(e for e in plugin(s, name)["entries"] if e["name"] == tool)


def wait_ms(ms):
    """Time itself is what is waited for."""
    select.poll().poll(ms)


class Host(Files):
    """A directory with plugins, and the host on it.  control: None is the build under test, else that
    with controls, without the named protection ("" with all)."""

    def __init__(self, control=None):
        self.control = control

    def add_bad(self, name, manifest=""):
        where = BAD if self.control is None else support.controls_dir("bad")
        self.bad(name, "d/" + name, where)
        path = self.at("d/%s/%s.yaml" % (name, name))
        with open(path) as f:
            text = f.read()
        if manifest:
            text = re.sub(r"(?m)^limits:.*\n", "", text)
        self.write("d/%s/%s.yaml" % (name, name), text.replace("isolation: inproc\n",
                                                               "isolation: inproc\n" + manifest))
        return self

    def add_echo(self, limits, edits=None):
        self.echo("d/echo", edits=dict({ECHO_LIMITS: limits}, **(edits or {})))
        if self.control is not None:
            shutil.copy(os.path.join(support.controls_dir("plugins"), "echo.so"),
                        self.at("d/echo/echo.so"))
        return self

    def serve(self):
        base = self.path + "/d"
        kw = {"quiet": True, "expect": None} if self.control else {}
        if self.control is not None:
            kw.update(binary=CONTROLS, env={"MANIFOLD_WITHOUT": self.control})
        return serve(*[os.path.join(base, d) for d in sorted(os.listdir(base))], **kw)


# --- the checks; each raises Failure where the protection does not hold ---


def check_queue(control=None):
    """Two run, three wait, the others are refused at once; another plugin notices nothing."""
    with Host(control) as f:
        f.add_echo("limits: { concurrency: 2, queue: 3 }").add_bad("plain")
        with f.serve() as s:
            s.call("plain")
            s.echo()
            s.send(*[call("sleep", i, ms=300) for i in range(100, 110)])
            for i in range(105, 110):
                refused = refusal(s.answer(i, 5))
                must(refused and refused["reason"] == "queue", i, refused)
                must(refused["limit"] == "limits.queue" and refused["retryAfterMs"] > 0, refused)
            must(not s.other, "an answer came before the refusals:", s.other)
            must(support.text_of(s.call("plain")) == "plain answers", "the neighbour is refused")
            p = plugin(s, "echo")
            must((p["running"], p["queued"]) == (2, 3), p)
            order = [i for i in range(100, 105) if reason(s.answer(i)) is None]
            must(order == [100, 101, 102, 103, 104], order)
            sleep = entry(s, "echo", "sleep")
            must(sleep["refusedBy"] == {"queue": 5} and sleep["refusals"] == 5, sleep)
            must(sleep["queueWaitUs"]["count"] == 3 and sleep["durationUs"]["count"] == 5, sleep)
            must(sleep["durationUs"]["p50"] >= 300e3 and
                 sleep["durationUs"]["max"] >= sleep["durationUs"]["p99"] >= 600e3, sleep)


def check_timeout(control=None):
    """A call that never ends is answered; its slot stays taken and is shown as leaked."""
    limits = "load: eager\nlimits: { timeout: 200ms, concurrency: 2, queue: 1, queue_wait: 100ms }\n"
    with Host(control) as f:
        f.add_echo(ECHO_LIMITS).add_bad("never_finishes", limits)
        with f.serve() as s:
            s.wait_log(LOADED)
            s.echo()
            s.send(call("never_finishes", 1))
            s.send(call("never_finishes", 2))
            begin = time.monotonic()
            for i in (1, 2):
                refused = refusal(s.answer(i, 3))
                must(refused and refused["reason"] == "timeout" and
                     refused["limit"] == "limits.timeout", refused)
            took = time.monotonic() - begin
            must(0.15 < took < 0.2 + SLACK, "answered after", took)
            s.echo()
            s.send(call("never_finishes", 3), call("never_finishes", 4))
            must(reason(s.answer(4)) == "queue", "a leaked call has left its slot")
            must(reason(s.answer(3)) == "queue_wait", "a leaked call has left its slot")
            p = plugin(s, "never_finishes")
            must((p["running"], p["leaked"], p["orphans"], p["cancelledRunning"]) == (2, 2, 2, 0), p)
            must(p["refusedBy"] == {"queue": 1, "queue_wait": 1, "timeout": 2}, p)
            s.echo()


def check_queue_wait(control=None):
    """Who waits too long is told so, long before the slot is free."""
    with Host(control) as f:
        f.add_echo("limits: { concurrency: 1, queue: 5, queue_wait: 200ms, timeout: 1m }")
        with f.serve() as s:
            s.echo()
            s.send(call("sleep", 1, ms=1500), call("sleep", 2, ms=1))
            refused = refusal(s.answer(2))
            must(refused and refused["reason"] == "queue_wait", refused)
            must(not s.other, "the slot was free before:", s.other)
            must(reason(s.answer(1)) is None, "the call that had the slot was refused")


def check_rate(control=None):
    """A burst of two, then 2 a second; the refusal says exactly when to come again."""
    with Host(control) as f:
        f.add_echo('limits: { rate: "2/s burst 2" }').add_bad("plain")
        with f.serve() as s:
            s.call("plain")
            s.send(*[call("echo", i, message="x") for i in range(1, 5)])
            must([reason(s.answer(i)) for i in (1, 2)] == [None, None], "the burst was refused")
            answers = [s.answer(i) for i in (3, 4)]
            for a in answers:
                refused = refusal(a)
                must(refused and refused["reason"] == "rate" and refused["limit"] == "limits.rate"
                     and 0 < refused["retryAfterMs"] <= 500, a)
                must("2/s" in support.text_of(a["result"]), a)
            s.call("plain")
            wait_ms(refusal(answers[1])["retryAfterMs"])
            s.echo()
            must(plugin(s, "echo")["refusedBy"] == {"rate": 2}, "not counted")


def check_breaker(control=None):
    """Three timeouts open it; then refusals at once, one trial at a time."""
    with Host(control) as f:
        f.add_echo(ECHO_LIMITS).add_bad(
            "never_finishes", "load: eager\nlimits: { timeout: 50ms, concurrency: 50 }\n"
            "breaker: { failures: 3, within: 60s, cooldown: 700ms }\n")
        with f.serve() as s:
            s.wait_log(LOADED)
            for i in range(1, 4):
                s.send(call("never_finishes", i))
                must(reason(s.answer(i)) == "timeout", "no timeout")
            s.send(call("never_finishes", 4))
            refused = refusal(s.answer(4))
            must(refused["reason"] == "breaker" and 0 < refused["retryAfterMs"] <= 700, refused)
            s.echo()
            p = plugin(s, "never_finishes")
            must(p["breaker"]["state"] == "open" and p["breaker"]["opened"] == 1, p)
            must(plugin(s, "echo")["breaker"]["state"] == "closed", "the neighbour's breaker")
            wait_ms(refused["retryAfterMs"])
            s.send(call("never_finishes", 5), call("never_finishes", 6))
            must(reason(s.answer(6)) == "breaker", "a second trial")
            must(reason(s.answer(5)) == "timeout", "no trial")
            s.send(call("never_finishes", 7))
            must(reason(s.answer(7)) == "breaker", "the trial failed and it did not open again")
            must(plugin(s, "never_finishes")["breaker"]["opened"] == 2, "opened twice")
            s.wait_log("its breaker opens for 700ms: the call on trial failed")


def stamps(log, text):
    """When the lines with this text were stamped."""
    return [datetime.datetime.fromisoformat(line.split()[0].rstrip("Z"))
            for line in log.splitlines() if text in line]


def check_watchdog(control=None):
    """Who holds the loop is named, while it holds it where that takes over a second, and rests
    after the third time."""
    with Host(control) as f:
        f.add_echo(ECHO_LIMITS).add_bad("holds_loop").add_bad("holds_loop_long")
        with f.serve() as s:
            for n in range(1, 4):
                s.call("holds_loop")
                p = plugin(s, "holds_loop")
                must(p["loopBlocks"] == n and p["loopTimeUs"] >= n * 300000 and
                     p["loopLongestUs"] >= 300000, p)
            s.wait_log("holds_loop: call() held the loop for 3", 5)
            must("(limits.loop_block 50ms)" in s.log(), s.log())
            s.send(call("holds_loop", 900))
            must(reason(s.answer(900)) == "breaker", "a repeated offender is let in")
            s.call("holds_loop_long")
            s.wait_log("holds_loop_long: call() held the loop for 1", 5)
            named = stamps(s.log(), "holds_loop_long: call() holds the loop for 1")
            returned = stamps(s.log(), "holds_loop_long: call() held the loop for 1")
            must(len(named) == 1 and len(returned) == 1, s.log())
            early = (returned[0] - named[0]).total_seconds()
            must(early > 0.2, "named only", early, "s before it returned")
            s.echo()


class BusyCpu:
    """So many loops that do nothing else, on one CPU."""

    def __init__(self, count):
        self.cpu = min(os.sched_getaffinity(0))
        self.loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"],
                                       preexec_fn=lambda: os.sched_setaffinity(0, {self.cpu}))
                      for _ in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in self.loops:
            p.kill()
            p.wait()


def check_starvation(control=None):
    """A plugin that waits for a CPU is not one that holds the loop; one that sleeps is."""
    with Host(control) as f:
        f.add_bad("burns_loop").add_bad("holds_loop")
        with f.serve() as s:
            s.call("burns_loop")
            s.call("holds_loop")
            must(plugin(s, "holds_loop")["loopBlocks"] == 1, plugin(s, "holds_loop"))
            with BusyCpu(8) as busy:
                os.sched_setaffinity(s.process.pid, {busy.cpu})   # the loop's thread alone
                for _ in range(5):
                    must(not s.call("burns_loop").get("isError"), "a plugin that did nothing wrong is refused")
                for _ in range(2):
                    s.call("holds_loop")
                burns, holds = plugin(s, "burns_loop"), plugin(s, "holds_loop")
            must(burns["loopLongestUs"] > 50000, "the CPU was not busy", burns)
            must(burns["loopBlocks"] == 0 and burns["breaker"]["state"] == "closed", burns)
            must(holds["loopBlocks"] == 3 and holds["breaker"]["state"] == "open", holds)


CHECKS = {"queue": check_queue, "timeout": check_timeout, "queue_wait": check_queue_wait,
          "rate": check_rate, "breaker": check_breaker, "watchdog": check_watchdog,
          "starvation": check_starvation}


class Limits(unittest.TestCase):
    """On the build under test."""

    def test_cancelled_calls_are_counted_apart(self):
        with Host() as f:
            f.add_bad("never_finishes",
                      "load: eager\nlimits: { timeout: 300ms, concurrency: 3 }\n")
            with f.serve() as s:
                s.wait_log(LOADED)
                s.send(call("never_finishes", 1), call("never_finishes", 2))
                s.send(modern("notifications/cancelled", {"requestId": 1}))
                self.assertEqual(reason(s.answer(2)), "timeout")
                p = plugin(s, "never_finishes")
                self.assertEqual((p["running"], p["orphans"], p["leaked"], p["cancelledRunning"]),
                                 (2, 2, 1, 1))
                self.assertEqual(s.other, [])

    def test_errors_for_the_model_do_not_open_the_breaker(self):
        with Host() as f:
            f.add_echo(ECHO_LIMITS + "\nbreaker: { failures: 2 }")
            with f.serve() as s:
                for _ in range(5):
                    self.assertIn("error", s.request("resources/read", {"uri": "echo://shout/"}))
                    self.assertTrue(s.call("echo", {"message": 5})["isError"])
                s.echo()
                self.assertEqual(plugin(s, "echo")["breaker"],
                                 {"state": "closed", "failures": 0, "opened": 0})

    def test_zero_failures_turn_the_breaker_off(self):
        with Host() as f:
            f.add_bad("never_finishes",
                      "limits: { timeout: 20ms, concurrency: 50 }\nbreaker: { failures: 0 }\n")
            with f.serve() as s:
                for i in range(10):
                    s.send(call("never_finishes", i))
                    self.assertEqual(reason(s.answer(i)), "timeout")
                self.assertEqual(plugin(s, "never_finishes")["breaker"]["state"], "off")

    def test_a_tools_own_rate(self):
        with Host() as f:
            f.add_echo(ECHO_LIMITS, {"limits: { timeout: 10s }\n    inputSchema:\n      type: object\n"
                                     "      properties:\n        message: { type: string, description: "
                                     "Message to echo }\n      required: [message]\n\n":
                                     "limits: { timeout: 10s, rate: 1/s }\n\n"})
            with f.serve() as s:
                s.send(*[call("echo", i, message="x") for i in (1, 2)])
                self.assertEqual([reason(s.answer(i)) for i in (1, 2)], [None, "rate"])
                s.call("echo_structured", {"message": "x"})


class Controls(unittest.TestCase):
    """The same checks hold on the build with controls, and fail without the protection."""


def add(name, check):
    def held(self):
        check()

    def control(self):
        check("")
        with self.assertRaises((Failure, OSError)):
            check(name)

    setattr(Limits, "test_" + name, held)
    setattr(Controls, "test_" + name, support.needs_controls(control))


for pair in CHECKS.items():
    add(*pair)

if __name__ == "__main__":
    harness.main()
