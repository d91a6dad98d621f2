"""The admin socket of a running host, and `manifold status` and `manifold reload` that ask over it."""

import fcntl
import json
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import termios
import threading
import time
import unittest

import harness
from harness import TIMEOUT, Failure, Server, modern
from support import CONTROLS, Files, controls_dir, needs_controls, status

RUNTIME = "/run/user/%d" % os.geteuid()
# Where the user has a runtime directory other hosts of theirs may be seen there.
alone = unittest.skipIf(os.path.isdir(RUNTIME), "other hosts of this user may run")


def ask(path, request, timeout=TIMEOUT, end=False):
    """One request's whole answer, to the end of the connection."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        s.connect(path)
        try:
            s.sendall(request)
            if end:
                s.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass
        data = b""
        while True:
            try:
                more = s.recv(65536)
            except ConnectionResetError:
                return data
            if not more:
                return data
            data += more


def command(name):
    return json.dumps({"command": name}).encode() + b"\n"


def echo_of(document):
    """The bundled plugin echo in a status."""
    return next(p for p in document["plugins"] if p["name"] == "echo")


class Base(unittest.TestCase):
    def setUp(self):
        self.f = Files()
        self.f.__enter__()
        self.addCleanup(self.f.__exit__)
        self.env = {"HOME": self.f.path, "NO_COLOR": ""}

    def run_command(self, *args, **kw):
        return harness.run(*args, env=self.env, **kw)

    def serve(self, *args, **kw):
        return Server(*args, env=dict(self.env, **kw.pop("env", {})), **kw)

    def configured(self, text, of=None, **kw):
        path = self.f.write("host.yaml", "manifold: 1\nsources: [{ path: %s, trust: true }]\n%s"
                            % (json.dumps(of or harness.PLUGINS), text))
        return self.serve("--config", path, plugins=[], **kw)

    def path_of(self, s):
        """Where its socket must be, once it is there."""
        s.wait_log("admin socket: ")
        base = RUNTIME if os.path.isdir(RUNTIME) else self.f.path + "/.cache"
        return "%s/manifold/%d.sock" % (base, s.process.pid)


class Socket(Base):
    def test_modes_answers_and_end(self):
        old = os.umask(0)
        try:
            s = self.serve()
        finally:
            os.umask(old)
        with s:
            path = self.path_of(s)
            s.echo()
            mode = os.stat(path).st_mode
            self.assertTrue(stat.S_ISSOCK(mode))
            self.assertEqual(stat.S_IMODE(mode), 0o600)
            self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o700)
            self.assertEqual(json.loads(ask(path, command("ping")))["pid"], s.process.pid)
            answer = ask(path, command("status"))
            self.assertEqual(answer.count(b"\n"), 1)
            over_mcp, here = status(s), json.loads(answer)
            self.assertEqual(echo_of(here)["sha256"], echo_of(over_mcp)["sha256"])
            self.assertEqual(set(here), set(over_mcp))
        self.assertFalse(os.path.exists(path))

    def test_directory_left_open_is_closed(self):
        if os.path.isdir(RUNTIME):
            self.skipTest("the directory is the user's own")
        os.makedirs(self.f.path + "/.cache/manifold")
        os.chmod(self.f.path + "/.cache/manifold", 0o755)
        with self.serve() as s:
            path = self.path_of(s)
            self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o700)

    def dial_as_nobody(self, path):
        """What another user hears; b"" is the end of the connection without a word."""
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            said = b"no answer"
            try:
                os.setgid(65534)
                os.setuid(65534)
                said = ask(path, command("status"))
            except OSError as e:
                said = type(e).__name__.encode()
            finally:
                os.write(w, said)
                os._exit(0)
        os.close(w)
        os.waitpid(pid, 0)
        with open(r, "rb") as f:
            return f.read()

    @unittest.skipUnless(os.geteuid() == 0, "not root")
    def test_another_user_is_refused(self):
        path = self.f.path + "/socket"
        with self.configured("admin: %s\n" % path) as s:
            s.wait_log("admin socket: ")
            os.chmod(self.f.path, 0o755)
            self.assertEqual(self.dial_as_nobody(path), b"PermissionError")
            os.chmod(path, 0o666)
            self.assertEqual(self.dial_as_nobody(path), b"")
            s.wait_log("another user")
            self.assertIn("plugins", json.loads(ask(path, command("status"))))

    @needs_controls
    @unittest.skipUnless(os.geteuid() == 0, "not root")
    def test_without_the_look_at_the_peer(self):
        path = self.f.path + "/socket"
        for control, answered in (("", False), ("admin_peer", True)):
            with self.configured("admin: %s\n" % path, of=controls_dir("plugins"), binary=CONTROLS,
                                 env={"MANIFOLD_WITHOUT": control}) as s:
                s.wait_log("admin socket: ")
                os.chmod(self.f.path, 0o755)
                os.chmod(path, 0o666)
                self.assertEqual(b"plugins" in self.dial_as_nobody(path), answered, control)

    def test_stale_ones_go_at_the_next_start(self):
        with self.serve(expect=-signal.SIGKILL) as s:
            left = self.path_of(s)
            s.signal(signal.SIGKILL)
        self.assertTrue(os.path.exists(left))
        with self.serve() as s:
            path = self.path_of(s)
            self.assertFalse(os.path.exists(left))
            self.assertTrue(os.path.exists(path))

    def test_two_hosts(self):
        with self.serve() as a, self.serve() as b:
            for s in (a, b, a):
                self.assertEqual(json.loads(ask(self.path_of(s), command("ping")))["pid"],
                                 s.process.pid)
            first, second = self.path_of(a), self.path_of(b)
            a.finish()
            self.assertFalse(os.path.exists(first))
            self.assertIn(b"pid", ask(second, command("ping")))

    def test_none(self):
        with self.configured("admin: none\n") as s:
            s.call("sleep", {"ms": 50})  # it is made within 5 ms, if at all
            self.assertEqual(status(s)["notInForce"], [])
        self.assertNotIn("admin", s.log())
        self.assertFalse(os.path.exists(self.f.path + "/.cache"))

    def test_a_path_of_its_own(self):
        with self.configured("admin: sub.sock\n") as s:
            path = self.f.path + "/sub.sock"
            s.wait_log("admin socket: " + path)
            s.echo()
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            out, _ = self.run_command("status", "--socket", path)
            self.assertRegex(out, r"(?m)^echo +ready ")
            # The second host at the same path does without, and leaves the first one's alone.
            with self.configured("admin: sub.sock\n") as other:
                other.echo()
                other.wait_log("no admin socket")
            self.assertIn(b"pid", ask(path, command("ping")))
        self.assertFalse(os.path.exists(path))

    def test_what_prevents_it_is_one_log_line(self):
        long = self.f.path + "/" + "x" * 108
        for text, want in (("admin: %s\n" % long, "at most 107 bytes"),
                           ("admin: /nowhere/at/all\n", "/nowhere/at/all")):
            with self.configured(text) as s:
                s.echo()
                s.wait_log(want)
            self.assertEqual(s.log().count("admin socket"), 1, s.log())

    def test_home_that_can_not_be_used(self):
        if os.path.isdir(RUNTIME):
            self.skipTest("HOME is not asked")
        self.f.write(".cache", "a file")
        for home in (self.f.path, "/nowhere", "", "/" + "x" * 200):
            with self.serve(env={"HOME": home}) as s:
                s.echo()
                s.wait_log("no admin socket")
            self.assertEqual(s.log().count("admin socket"), 1, s.log())


class Clients(Base):
    def test_garbage_and_oversize(self):
        with self.serve() as s:
            path = self.path_of(s)
            for data in (b"\0\xff" * 100 + b"\n", b"{}\n", b"[" * 4000 + b"\n",
                         b'{"command":"\\ud800"}\n', b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
                self.assertIn("error", json.loads(ask(path, data)), data)
            self.assertIn("4095", json.loads(ask(path, b" " * 100000))["error"])
            self.assertEqual(ask(path, b"", end=True), b"")
            s.echo()

    def test_many_idle_ones_leave_the_host_free_and_go(self):
        with self.serve() as s:
            path = self.path_of(s)
            s.echo()
            before = len(os.listdir("/proc/%d/fd" % s.process.pid))
            idle = []
            for _ in range(9):  # 4 are taken, the kernel's queue holds the others
                c = socket.socket(socket.AF_UNIX)
                c.settimeout(TIMEOUT)
                c.connect(path)
                c.send(b"{")
                idle.append(c)
            for _ in range(50):
                s.echo()
            self.assertLessEqual(len(os.listdir("/proc/%d/fd" % s.process.pid)), before + 4)
            for c in idle[:4]:
                self.assertEqual(c.recv(1), b"")
            for c in idle:
                c.close()
            self.assertIn(b"pid", ask(path, command("ping")))

    def test_status_under_load(self):
        with self.serve() as s:
            path = self.path_of(s)
            failed, done, count = [], threading.Event(), [0]

            def look():
                try:
                    while not done.is_set():
                        d = json.loads(ask(path, command("status")))
                        if echo_of(d)["id"] != "dev.manifold.echo":
                            raise Failure(repr(d))
                        count[0] += 1
                except Exception as e:
                    failed.append(e)

            watchers = [threading.Thread(target=look) for _ in range(3)]
            for w in watchers:
                w.start()
            while count[0] < 20 and not failed:
                ids = [s.new_id() for _ in range(50)]
                s.send(*(modern("tools/call", {"name": "echo", "arguments": {"message": "x"}}, i)
                         for i in ids))
                for i in ids:
                    self.assertIn("result", s.answer(i))
            done.set()
            for w in watchers:
                w.join(TIMEOUT)
            self.assertEqual(failed, [])
            self.assertEqual(echo_of(json.loads(ask(path, command("status"))))["running"], 0)

    def test_end_with_clients_connected(self):
        with self.serve() as s:
            path = self.path_of(s)
            with socket.socket(socket.AF_UNIX) as c:
                c.settimeout(TIMEOUT)
                c.connect(path)
                self.assertIn(b"pid", ask(path, command("ping")))
                s.finish()
                self.assertIn(c.recv(1), (b"",))
            self.assertFalse(os.path.exists(path))


class FakeHost:
    """A socket that says to each client what the test wants said; None: nothing, and holds on."""

    def __init__(self, path, answer):
        self.answer = answer
        self.asked = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)
        self.kept = []

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def serve(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            self.asked.append(c.recv(4096))
            if self.answer is None:
                self.kept.append(c)
                continue
            c.sendall(self.answer if isinstance(self.answer, bytes)
                      else json.dumps(self.answer).encode() + b"\n")
            c.close()

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(TIMEOUT)
        self.listener.close()
        for c in self.kept:
            c.close()


FULL = {
    "server": {"name": "m", "version": "9.9.9", "uptimeMs": 90061000, "generation": 7,
               "lastReload": "good: generation 3"},
    "plugins": [
        {"name": "good", "state": "ready", "generation": 3, "version": "1.2.3", "running": 2,
         "queued": 5, "leaked": 1, "calls": 1000, "errors": 3, "timeouts": 4, "refusals": 6,
         "breaker": {"state": "open"}, "lastError": "good.so: no symbol",
         "entries": [{"name": "forecast", "calls": 1000,
                      "durationUs": {"p50": 1512.345, "p99": 90120000.5}},
                     {"name": "unused", "calls": 0}]},
        {"name": "bad", "state": "failed", "error": "the library has no symbol\u001b[31m manifold"},
    ],
    "draining": [{"name": "good", "generation": 2, "state": "stuck", "running": 1, "orphans": 1}],
    "problems": [{"plugin": "ugly", "problem": "ugly.yaml:1:1: expected one thing, found another",
                  "served": False}],
}


class Commands(Base):
    def fake(self, answer):
        self.fakes = getattr(self, "fakes", 0) + 1
        self.at = "%s/fake%d" % (self.f.path, self.fakes)
        return FakeHost(self.at, answer)

    def status(self, answer, *args, **kw):
        with self.fake(answer) as host:
            result = self.run_command("status", *args, "--socket", self.at, **kw)
            self.assertEqual(host.asked, [command("status").replace(b": ", b":")])
        return result

    @alone
    def test_no_host(self):
        for words in (["status"], ["reload"], ["status", "--pid", str(os.getpid())],
                      ["reload", "--socket", self.f.path + "/none"]):
            out, err = self.run_command(*words, expect=3)
            self.assertEqual((out, err.count("\n")), ("", 1), err)

    @alone
    def test_the_only_one_and_several(self):
        with self.serve() as a:
            self.path_of(a)
            a.echo()
            out, _ = self.run_command("status")
            self.assertIn("process %d" % a.process.pid, out.splitlines()[0])
            self.assertRegex(out, r"(?m)^PLUGIN +STATE ")
            self.assertRegex(out, r"(?m)^echo +ready +1\.0\.0 ")
            self.assertRegex(out, r"(?m)^echo +echo +0 +0 +1 ")
            self.assertNotIn("greeting", out)
            with self.serve() as b:
                self.path_of(b)
                out, _ = self.run_command("status")
                self.assertIn("--pid", out.splitlines()[0])
                listed = status(a)["plugins"]
                for s in (a, b):
                    self.assertRegex(out, r"(?m)^ *%d +python\S* +\S+ +%d "
                                     % (s.process.pid, len(listed)))
                listed = json.loads(self.run_command("status", "--json")[0])["hosts"]
                self.assertEqual({h["pid"] for h in listed}, {a.process.pid, b.process.pid})
                out, err = self.run_command("reload", expect=2)
                self.assertIn("--pid", err)

    def test_by_pid_and_by_socket(self):
        with self.serve() as a, self.serve() as b:
            path = self.path_of(a)
            self.path_of(b)
            a.echo()
            for words in (["--pid", str(a.process.pid)], ["--socket", path]):
                d = json.loads(self.run_command("status", "--json", *words)[0])
                self.assertEqual(set(d), set(status(a)))
                self.assertEqual(echo_of(d)["calls"], 1)
            self.run_command("status", "--pid", str(os.getpid()), expect=3)

    def test_table_of_all_that_a_host_may_say(self):
        out, err = self.status(FULL)
        self.assertEqual(err, "")
        lines = out.splitlines()
        self.assertEqual(lines[0], "m 9.9.9, up 25h 1m, generation 7")
        self.assertEqual(lines[1], "last reload: good: generation 3")
        self.assertEqual(lines[3].split(),
                         "PLUGIN STATE VERSION GEN RUNNING QUEUED LEAKED CALLS ERRORS TIMEOUTS "
                         "REFUSED BREAKER".split())
        self.assertEqual(lines[4].split(), "good ready 1.2.3 3 2 5 1 1000 3 4 6 open".split())
        self.assertEqual(lines[5].split(), "bad failed - - - - - - - - - -".split())
        self.assertEqual(lines[6].split(), "good stuck - 2 1 - 1 - - - - -".split())
        self.assertEqual(lines[8].split(), "ENTRY PLUGIN CALLS P50 P99".split())
        self.assertEqual(lines[9].split(), "forecast good 1000 1.51 ms 90.1 s".split())
        self.assertNotIn("unused", out)
        self.assertIn("Errors\n  bad: the library has no symbol?[31m manifold\n", out)
        self.assertIn("Last errors\n  good: good.so: no symbol\n", out)
        self.assertIn("Problems\n  ugly: ugly.yaml:1:1: expected one thing, found another\n", out)
        self.assertNotIn("\x1b", out)
        self.assertFalse([line for line in lines if line != line.rstrip()])

    def test_missing_fields(self):
        for answer in ({}, {"plugins": [], "problems": []}, {"draining": [3], "server": {"lastReload": []}}, {"plugins": [{}, 5, {"entries": 1}]},
                       {"server": {}, "plugins": {"a": 1}}, {"server": 3, "problems": [{}, 7]},
                       {"plugins": [{"name": None, "entries": [{"calls": 1}, "x", {"calls": -1}]}]}):
            self.status(answer)

    def test_json_is_what_the_host_says(self):
        out, _ = self.status(FULL, "--json")
        self.assertEqual(json.loads(out), FULL)

    def test_answers_that_are_none(self):
        for answer, want in ((b"", "without an answer"), (b"half", "without an answer"),
                             (b"{]\n", "JSON"), (b"[1]\n", "object"),
                             ({"error": "not today\x07"}, "not today")):
            out, err = self.status(answer, expect=1)
            self.assertEqual((out, err.count("\n")), ("", 1), answer)
            self.assertIn(want, err)
            self.assertNotIn("\x07", err)

    def test_host_that_hangs(self):
        with self.fake(None):
            began = time.monotonic()
            _, err = self.run_command("status", "--socket", self.at, expect=1)
            self.assertIn("within 5 s", err)
            self.assertLess(time.monotonic() - began, 15)

    def test_socket_that_is_none(self):
        path = self.f.write("file", "x")
        _, err = self.run_command("status", "--socket", path, expect=3)
        self.assertIn(path, err)

    def test_reload(self):
        for answer, code, want in (({"ok": True, "summary": "echo: generation 2"}, 0, 0),
                                   ({"ok": False, "summary": "echo: no such symbol"}, 1, 1),
                                   ({"error": "busy"}, 1, 1)):
            with self.fake(answer) as host:
                out = self.run_command("reload", "--socket", self.at, expect=code)
                self.assertEqual(host.asked, [b'{"command":"reload"}\n'])
            self.assertIn(answer.get("summary") or answer["error"], out[want])
            self.assertEqual(out[1 - want], "")

    def test_reload_of_a_real_host(self):
        self.f.echo("d")
        with self.serve("--trust", plugins=[self.f.path + "/d"]) as s:
            path = self.path_of(s)
            s.echo()
            out, _ = self.run_command("reload", "--socket", path)
            self.assertIn("0 refused", out)
            self.f.write("d/echo.yaml", "nonsense: [")
            out, err = self.run_command("reload", "--socket", path, expect=1)
            self.assertIn("1 refused", err)
            s.echo()
            self.assertIn("echo.yaml:", self.run_command("status", "--socket", path)[0])

    def terminal(self, width, env=None):
        """What `manifold status` prints on a terminal."""
        main, other = os.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        with self.fake(FULL):
            p = subprocess.Popen([harness.BINARY, "status", "--socket", self.at], stdout=other,
                                 env=dict(os.environ, **dict(self.env, **(env or {}))))
            os.close(other)
            data = b""
            while True:
                self.assertTrue(select.select([main], [], [], TIMEOUT)[0])
                try:
                    more = os.read(main, 65536)
                except OSError:  # the other side is closed
                    break
                data += more
            os.close(main)
            self.assertEqual(p.wait(TIMEOUT), 0)
        return data.decode().replace("\r\n", "\n")

    def test_narrow_terminals(self):
        for width in (200, 80, 60, 40, 20):
            text = self.terminal(width, {"NO_COLOR": "1"})
            self.assertNotIn("\x1b", text)
            for line in text.splitlines():
                self.assertLessEqual(len(line), max(width, 44), text)
            self.assertRegex(text, r"(?m)^good +ready\b")
            self.assertEqual("REFUSED" in text, width == 200)
            self.assertEqual("in a wider terminal" in text, width != 200)
            if width >= 40:
                self.assertFalse([x for x in text.splitlines() if len(x) > width and "wider" not in x
                                  and "up" not in x], text)

    def test_colour_on_a_terminal_alone(self):
        text = self.terminal(200)
        self.assertIn("\x1b[31mfailed\x1b[0m", text)
        self.assertIn("\x1b[31mopen\x1b[0m", text)
        self.assertNotIn("\x1b[31mready", text)


if __name__ == "__main__":
    harness.main()
