"""A plugin that prints: nothing of it reaches the client, all of it reaches the log or is counted, and
nobody waits for a log that nobody reads."""

import json
import os
import re
import unittest

import support
from harness import Failure, Server, main, modern, TIMEOUT
from support import BAD, CONTROLS

FORGED = "forged"
LINE = "#" * 1023
# What stands in the log for each place from which it prints.  What stays in a stdio buffer comes
# when that is flushed, at exit.
AT_ONCE = ["prints: constructor", "prints: constructor, write(1)", "prints: open", "prints: call",
           "prints: thread", "prints: thread, write(1)"]
AT_EXIT = ["prints: constructor, unflushed", "prints: call, unflushed", "prints: close",
           "prints: close, unflushed", "prints: atexit handler", "forged by an unflushed buffer"]


def start(*args, where=BAD, bundled=None, **kw):
    bundled = bundled or os.environ["MANIFOLD_PLUGINS"]
    return Server("--trust", *args, plugins=[os.path.join(where, "prints"), bundled], **kw)


def check_stdout(s, times=2):
    """Answers and nothing else; the harness parses every line."""
    for i in range(times):
        text = support.text_of(s.call("prints", timeout=5))
        if text != "printed 1 MiB":
            raise Failure("prints answered %r" % text)
        s.echo("between %d" % i)
    s.finish()
    if FORGED in repr(s.other):
        raise Failure("the client has got a forged answer")


def dropped(log):
    """The lines that the log says it has left out."""
    return sum(int(n) for n in re.findall(r"(\d+) log lines dropped", log))


class Prints(unittest.TestCase):
    def test_no_byte_reaches_the_client(self):
        with start() as s:
            check_stdout(s)
            self.assertIn(FORGED, s.log(), "it went nowhere at all")

    def test_text_arrives_in_the_log(self):
        """Or is counted, line by line."""
        with start() as s:
            s.call("prints")
            s.finish()
            log = s.log()
            missing = [text for text in AT_ONCE + AT_EXIT if text not in log]
            lost = 1024 - log.count(LINE) + len(missing)
            self.assertGreaterEqual(dropped(log), lost, missing)
            self.assertLessEqual(dropped(log), lost + 5, "more is counted than was printed")

    def test_json_log_keeps_its_lines(self):
        """Whatever a plugin prints, each line of the log is still one JSON object."""
        with start("--log-format", "json") as s:
            s.call("prints")
            s.finish()
            text = [json.loads(line)["text"] for line in s.log().splitlines()]
            self.assertIn('{"jsonrpc":"2.0","id":1,"result":"forged"}', text)


class Undrained(unittest.TestCase):
    def test_nobody_reads_the_log(self):
        """1 MiB of print a call into a pipe that is full: answers still come, and the end."""
        with start(stderr="undrained") as s:
            for i in range(support.scaled(40)):
                self.assertEqual(support.text_of(s.call("prints", timeout=10)), "printed 1 MiB")
                s.echo("%d" % i)
            self.assertGreater(support.status(s)["server"]["logDropped"], 0)


class Control(unittest.TestCase):
    @support.needs_controls
    def test_guard(self):
        """Without it standard output is the plugin's as much as ours."""
        build = dict(where=support.controls_dir("bad"), bundled=support.controls_dir("plugins"),
                     binary=CONTROLS)
        with start(**build) as s:
            check_stdout(s)
        with self.assertRaises((Failure, OSError)):
            with start(**build, env={"MANIFOLD_WITHOUT": "guard"}, expect=None, quiet=True) as s:
                check_stdout(s)


if __name__ == "__main__":
    main()
