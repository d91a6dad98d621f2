"""How much memory the host has, keeps and gives back.  On a build without sanitizers: MANIFOLD, or else
MANIFOLD_CONTROLS."""

import json
import time
import unittest

import harness
import support
from harness import Failure, Server, modern

MIB = 1024  # in KiB
IDLE = 0.2  # seconds in which a quiet host may give back what it holds


def pss_kib(s):
    with open("/proc/%d/smaps_rollup" % s.process.pid) as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    raise Failure("no Pss")


def least(measure, enough, timeout=5):
    """The least that is measured until it is enough or the time is over."""
    deadline = time.monotonic() + timeout
    best = measure()
    while best > enough and time.monotonic() < deadline:
        time.sleep(IDLE)  # nothing is waited for but time itself
        best = min(best, measure())
    return best


def echo_request(id, message):
    return modern("tools/call", {"name": "echo", "arguments": {"message": message}}, id)


@unittest.skipIf(support.SANITIZE and not support.CONTROLS, "MANIFOLD_CONTROLS is not set")
class Memory(unittest.TestCase):
    def serve(self, *args, **kw):
        if not support.SANITIZE:
            return Server(*args, **kw)
        return Server(*args, "--trust", plugins=[support.controls_dir("plugins")],
                      binary=support.CONTROLS, **kw)

    def test_slow_reader(self):
        """64 MiB of answers to a client that reads nothing for a while."""
        with self.serve("--set", "echo.limits.queue=2000") as s:
            s.echo()
            before, idle, n, size = s.memory_kib(), pss_kib(s), 1024, 65536
            text = b"".join(json.dumps(echo_request(i, "s" * size)).encode() + b"\n"
                            for i in range(n))
            sent = s.send_bytes(text, timeout=0.5, read=False)
            self.assertLess(sent, len(text) // 2)
            peak = s.memory_kib("VmHWM") - before
            s.send_bytes(text[sent:], timeout=60)
            for i in range(n):
                s.answer(i)
            s.echo()
            self.assertLess(peak, 16 * MIB)
            self.assertLess(s.memory_kib("VmHWM") - before, 16 * MIB)
            later = least(lambda: pss_kib(s), idle + 4 * MIB)
            print("RSS at most +%d KiB, quiet PSS %+d KiB" % (peak, later - idle), flush=True)
            self.assertLess(later, idle + 10 * MIB)

    def test_large_message(self):
        """After echoes of 1 MiB the host has at most 10 MiB more than when it was idle."""
        with self.serve() as s:
            s.echo()
            idle = pss_kib(s)
            for _ in range(16):
                s.echo("L" * (1 << 20))
            at_once = pss_kib(s)
            later = least(lambda: pss_kib(s), idle + 2 * MIB)
            print("PSS idle %d KiB, after 1 MiB echoes +%d, quiet +%d"
                  % (idle, at_once - idle, later - idle), flush=True)
            self.assertLess(at_once, idle + 10 * MIB)
            self.assertLess(later, idle + 2 * MIB)

    def test_idle(self):
        with self.serve() as s:
            s.request("tools/list")
            pss = pss_kib(s)
            self.assertLess(pss, 3 * MIB)
            s.echo()
            self.assertLess(pss_kib(s), 5 * MIB)

    def test_nothing_grows(self):
        """Calls of every end, some thousand times each."""
        with self.serve("--set", "echo.limits.queue=2000", "--set", "echo.limits.timeout=20ms") as s:
            def rounds(n):
                for i in range(n):
                    s.send(echo_request(1, "x" * (i % 500)), echo_request(2, None),
                           modern("tools/call", {"name": "sleep", "arguments": {"ms": 60000}}, 3),
                           modern("notifications/cancelled", {"requestId": 3}),
                           modern("tools/call", {"name": "none"}, 4),
                           modern("resources/read", {"uri": "manifold://status"}, 5),
                           modern("resources/read", {"uri": "echo://shout/x"}, 6),
                           modern("tools/call", {"name": "sleep", "arguments": {"ms": 0}}, 7,
                                  meta={"progressToken": 7}))
                    for id in (1, 2, 4, 5, 6, 7):
                        s.answer(id)
                    if i % 50 == 0:
                        s.call("sleep", {"ms": 60000})  # a timeout
                    s.other.clear()
            rounds(300)
            before = s.memory_kib()
            rounds(1500)
            self.assertLess(s.memory_kib() - before, MIB)


if __name__ == "__main__":
    harness.main()
