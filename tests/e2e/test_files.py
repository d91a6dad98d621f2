"""manifold.files/1 through the bundled plugin filesystem: grants, escapes, quota, a file system that
hangs, large directories, ranges.  What the plugin answers in detail is test_filesystem_reference.py;
each function of the service is tests/unit/test_services_files.c.

Each protection is also tried on the build with controls, without it: there the same check fails.
"""

import base64
import ctypes
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import unittest
import unittest.mock

import harness
import support
from harness import Failure, Server, legacy
from support import Files, needs_controls, scaled, status, text_of

GRANT = "filesystem.files.root."


class Base(unittest.TestCase):
    def setUp(self):
        self.f = Files()
        self.f.__enter__()
        self.addCleanup(self.f.__exit__)
        self.root = self.f.directory("root")
        self.f.write("root/plain", "inside")
        self.f.write("outside/secret", "secret")

    def serve(self, *args, grant=None, **kw):
        words = list(args) + ["--trust"]
        for word in ["path=" + self.root] if grant is None else grant:
            words += ["--grant", GRANT + word]
        kw.setdefault("plugins", [harness.PLUGINS])
        s = Server(*words, **kw)
        return s

    def read(self, s, path, **more):
        """What read_text_file gives; an error as "!" and its text."""
        r = s.call("read_text_file", dict({"path": path}, **more))
        return ("!" if r.get("isError") else "") + text_of(r)

    def at(self, name):
        return os.path.join(self.f.path, name)


class Grants(Base):
    def test_nothing_is_granted(self):
        """One sentence that says what to write, and no list of directories."""
        with self.serve(grant=[]) as s:
            for tool, arguments in (("read_text_file", {"path": "/etc/passwd"}), ("list_allowed_directories", {}),
                                    ("write_file", {"path": "x", "content": ""})):
                r = s.call(tool, arguments)
                self.assertTrue(r["isError"])
                self.assertIn('plugin filesystem asks for files "root"', text_of(r))
                self.assertIn("--grant filesystem.files.root.path=DIRECTORY", text_of(r))

    def test_reading_alone(self):
        with self.serve(grant=["path=" + self.root, "mode=r"]) as s:
            self.assertEqual(self.read(s, "plain"), "inside")
            for tool, arguments in (("write_file", {"path": "plain", "content": "x"}),
                                    ("create_directory", {"path": "new"}),
                                    ("edit_file", {"path": "plain", "edits": [{"oldText": "in", "newText": "out"}]}),
                                    ("move_file", {"source": "plain", "destination": "moved"})):
                r = s.call(tool, arguments)
                self.assertTrue(r["isError"], tool)
                self.assertIn('plugin filesystem may only read files "root"', text_of(r))
        self.assertEqual(sorted(os.listdir(self.root)), ["plain"])
        self.assertEqual(self.f.read("root/plain"), "inside")

    def test_several_directories_and_one_that_comes_later(self):
        later = self.at("later")
        with self.serve(grant=["path=[%s, %s]" % (self.root, later)]) as s:
            self.assertEqual(text_of(s.call("list_allowed_directories")), "Allowed directories:\n" + self.root)
            os.mkdir(later)
            self.assertEqual(text_of(s.call("list_allowed_directories")),
                             "Allowed directories:\n%s\n%s" % (self.root, later))
            s.call("write_file", {"path": later + "/new", "content": "x"})
            self.assertEqual(self.f.read("later/new"), "x")

    def test_quota(self):
        self.f.write("root/half", "h" * 500)
        with self.serve(grant=["path=" + self.root, "quota=1000B"]) as s:
            r = s.call("write_file", {"path": "new", "content": "n" * 600})
            self.assertEqual((r["isError"], text_of(r)),
                             (True, 'the quota of files "root" is full: expected at most 1000B in all'))
            self.assertNotIn("new", os.listdir(self.root))
            self.assertFalse(s.call("write_file", {"path": "new", "content": "n" * 400}).get("isError"))
        # Nor is a temporary file left.
        self.assertEqual(sorted(os.listdir(self.root)), ["half", "new", "plain"])

    def test_the_host_s_own_places_are_not_granted_for_writing(self):
        """Asked of what was really opened, not only when the grant was read."""
        held = self.f.directory("home/held")
        with self.serve(grant=["path=" + held], env={"HOME": self.at("home/held/below")}) as s:
            s.echo()  # the grant has been read
            os.makedirs(self.at("home/held/below"))
            r = s.call("read_text_file", {"path": held + "/x"})
            self.assertTrue(r["isError"])
            self.assertIn("expected a directory that does not hold", text_of(r))


class Escapes(Base):
    def setUp(self):
        super().setUp()
        os.makedirs(self.at("root/dir"))
        for name, target in (("out", "../outside/secret"), ("out-dir", "../outside"), ("chain", "out"),
                             ("dir/up", "../../outside/secret"), ("absolute", self.at("outside/secret")),
                             ("etc", "/etc"), ("proc", "/proc/self/root"), ("loop", "loop")):
            os.symlink(target, os.path.join(self.root, name))

    def escapes(self, **kw):
        """The paths by which something from outside was read."""
        outside = self.at("outside/secret")
        paths = ["out", "out-dir/secret", "chain", "dir/up", "absolute", "proc" + outside, outside,
                 "../outside/secret", "dir/../../outside/secret", self.root + "/../outside/secret",
                 self.root + "/dir/../../outside/secret", "//" + outside, "%2e%2e/outside/secret",
                 "..%2foutside/secret", "..\\outside\\secret", "loop", "./out-dir/./secret"]
        with self.serve(**kw) as s:
            found = [p for p in paths if "secret" in self.read(s, p)[:6]]
            self.assertEqual(self.read(s, self.root + "//dir/..//plain"), "inside")
            r = text_of(s.call("search_files", {"path": ".", "pattern": "**"}))
            found += [p for p in ("out", "out-dir", "absolute") if self.root + "/" + p in r.split("\n")]
            for p in ("out-dir", "etc"):
                if not s.call("list_directory", {"path": p}).get("isError"):
                    found.append("list " + p)
            s.call("write_file", {"path": "out-dir/written", "content": "x"})
            s.call("create_directory", {"path": "out-dir/made"})
            s.call("move_file", {"source": "plain", "destination": "out-dir/moved"})
        found += sorted(set(os.listdir(self.at("outside"))) - {"secret"})
        return found

    def test_nothing_leads_out(self):
        self.assertEqual(self.escapes(), [])
        self.assertEqual(self.f.read("outside/secret"), "secret")

    @needs_controls
    def test_without_beneath_it_does(self):
        build = {"binary": support.CONTROLS, "plugins": [support.controls_dir("plugins")]}
        self.assertEqual(self.escapes(**build), [])
        found = self.escapes(env={"MANIFOLD_WITHOUT": "beneath"}, **build)
        # The plugin, too, looks where a link has led: what it opens by itself is still refused, what
        # it only finds is not.
        for way in ("out", "out-dir", "absolute"):
            self.assertIn(way, found)

    @needs_controls
    def test_the_race_is_lost_without_beneath(self):
        race = support.controls_dir("path_race")
        for control, code in (("", 0), ("beneath", 1)):
            p = subprocess.run([race, "20000", self.f.path], env=dict(os.environ, MANIFOLD_WITHOUT=control),
                               stdout=subprocess.PIPE)
            self.assertEqual(p.returncode, code, p.stdout.decode())

    def test_a_root_s_namesake_is_none(self):
        self.f.write("root-evil/secret", "secret")
        with self.serve() as s:
            self.assertIn("!Access denied - path outside allowed directories", self.read(s, self.root + "-evil/secret"))

    def test_what_is_no_file_does_not_block(self):
        os.mkfifo(self.at("root/fifo"))
        with socket.socket(socket.AF_UNIX) as sock:
            folder = os.open(self.root, os.O_PATH)
            sock.bind("/proc/self/fd/%d/socket" % folder)
            os.close(folder)
            with self.serve() as s:
                for name in ("fifo", "socket"):
                    self.assertIn("expected a file, found a device, a pipe or a socket", self.read(s, name))
                    r = s.call("write_file", {"path": name, "content": "x"})
                    self.assertIn("expected a file, found a device, a pipe or a socket", text_of(r))


class Leftovers(Base):
    def test_a_cancelled_write_leaves_nothing(self):
        """The file is the old or the new one, and there is no other, whatever is cancelled when."""
        old, new = "old", "new" * 300000
        with self.serve() as s:
            s.initialize()
            for i in range(scaled(40)):
                id = s.new_id()
                s.send(legacy("tools/call", {"name": "write_file", "arguments": {"path": "plain", "content": new}}, id),
                       legacy("notifications/cancelled", {"requestId": id}))
                if i % 4 == 0:
                    s.call("write_file", {"path": "plain", "content": old})
            idle(s)
        self.assertEqual(os.listdir(self.root), ["plain"])
        self.assertIn(self.f.read("root/plain"), ("inside", old, new))


def running(s, name="filesystem"):
    return next(p for p in status(s)["plugins"] if p["name"] == name)["running"]


def idle(s):
    """Until the plugin has ended all its calls."""
    deadline = time.monotonic() + harness.TIMEOUT
    while running(s):
        if time.monotonic() > deadline:
            raise Failure("calls of filesystem do not end")


class Large(Base):
    def fill(self, directories, files):
        for d in range(directories):
            os.mkdir(self.at("root/d%d" % d))
            for f in range(files):
                open(self.at("root/d%d/f%d" % (d, f)), "w").close()

    def test_many_entries_are_bounded_and_cancelled(self):
        self.fill(10, 500)
        with self.serve("--set", "filesystem.config.max_entries=2000") as s:
            for tool, arguments in (("directory_tree", {"path": "."}),
                                    ("search_files", {"path": ".", "pattern": "**/nothing"})):
                r = s.call(tool, arguments)
                self.assertEqual((r["isError"], text_of(r)),
                                 (True, "There are more entries than one call may look at (2000)"))
            self.assertFalse(s.call("search_files", {"path": "d1", "pattern": "f1*"}).get("isError"))
        with self.serve() as s:
            s.initialize()
            lines = text_of(s.call("search_files", {"path": ".", "pattern": "**/f7"})).split("\n")
            self.assertEqual(len(lines), 10)
            for tool in ("directory_tree", "search_files"):
                ids = [s.new_id() for _ in range(6)]
                s.send(*[legacy("tools/call", {"name": tool, "arguments": {"path": ".", "pattern": "**/x"}}, id)
                         for id in ids])
                s.send(*[legacy("notifications/cancelled", {"requestId": id}) for id in ids])
                idle(s)
            self.assertEqual(self.read(s, "plain"), "inside")

    def test_ranges(self):
        """The resource gives any part of a file of any size."""
        content = os.urandom(1 << 20)
        with open(self.at("root/big file"), "wb") as f:
            f.write(content)
            f.truncate(3 << 30)
        digest = hashlib.sha256()
        with self.serve() as s:
            def part(offset, length):
                uri = "range://%d/%d%s/big%%20file" % (offset, length, self.root)
                r = s.request("resources/read", {"uri": uri})
                return base64.b64decode(r["result"]["contents"][0]["blob"])

            for offset in range(0, 1 << 20, 300000):
                digest.update(part(offset, min(300000, (1 << 20) - offset)))
            self.assertEqual(digest.hexdigest(), hashlib.sha256(content).hexdigest())
            self.assertEqual(part(2 << 30, 1000000), b"\0" * 1000000)
            self.assertEqual(part((3 << 30) - 5, 100), b"\0" * 5)
            self.assertEqual(part(1 << 40, 100), b"")
            for numbers in ("x/1", "1/-1", "1/99999999999999999999"):
                r = s.request("resources/read", {"uri": "range://%s%s/plain" % (numbers, self.root)})
                self.assertIn("expected a number of bytes", r["error"]["message"])
            r = s.request("resources/read", {"uri": "range://0/9%s/outside/secret" % self.f.path})
            self.assertIn("Access denied", r["error"]["message"])
            r = s.request("resources/read", {"uri": "range://0/9%s/none" % self.root})
            self.assertEqual(r["error"]["code"], -32602)
            self.assertIn("3221225472 bytes are more than", self.read(s, "big file"))
            self.assertEqual(self.read(s, "plain", tail=1), "inside")


class Fanotify:
    """Holds whoever opens one file until the end of the `with` block, as a dead mount would."""

    CLASS_CONTENT, CLOEXEC, NONBLOCK = 4, 1, 2
    MARK_ADD, OPEN_PERM, AT_FDCWD = 1, 0x10000, -100

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fanotify_mark.argtypes = [ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p]
        self.fd = libc.fanotify_init(self.CLASS_CONTENT | self.CLOEXEC | self.NONBLOCK, os.O_RDONLY)
        if self.fd < 0 or libc.fanotify_mark(self.fd, self.MARK_ADD, self.OPEN_PERM, self.AT_FDCWD, path.encode()):
            if self.fd >= 0:
                os.close(self.fd)
            raise unittest.SkipTest("fanotify is for root, on kernels that have its permission events")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)  # lets all of them go on


class Hangs(Base):
    def hang(self, s, count, id=1000):
        s.send(*[legacy("tools/call", {"name": "read_text_file", "arguments": {"path": "hang"}}, id + i)
                 for i in range(count)])

    def test_a_file_that_hangs_holds_up_nobody_else(self):
        self.f.write("root/hang", "at last")
        with self.serve("--set", "filesystem.limits.timeout=2s", "--set", "filesystem.breaker.failures=0") as s:
            s.initialize()
            self.assertEqual(self.read(s, "plain"), "inside")
            with Fanotify(self.at("root/hang")):
                self.hang(s, 3)
                self.assertEqual(self.read(s, "plain"), "inside")  # a thread is left
                slowest = 0
                for _ in range(50):
                    start = time.monotonic()
                    s.echo()
                    slowest = max(slowest, time.monotonic() - start)
                self.assertLess(slowest, 1)
                for i in range(3):
                    r = s.answer(1000 + i)["result"]
                    self.assertIn("did not finish within 2000 ms", text_of(r))
                idle(s)  # the calls have ended, though their threads hang on
                self.hang(s, 3, 2000)  # no thread is left
                r = s.call("read_text_file", {"path": "plain"})
                self.assertIn("did not finish within 2000 ms", text_of(r))
                s.echo()
            deadline = time.monotonic() + harness.TIMEOUT
            while self.read(s, "hang") != "at last":
                if time.monotonic() > deadline:
                    self.fail("the threads do not come back")

    def test_the_host_ends_while_threads_hang(self):
        self.f.write("root/hang", "at last")
        # LeakSanitizer would wait for the threads.
        with Fanotify(self.at("root/hang")), unittest.mock.patch.dict(os.environ, ASAN_OPTIONS="detect_leaks=0"):
            with self.serve() as s:
                s.initialize()
                self.hang(s, 2)
                s.echo()
                start = time.monotonic()
                s.finish()
                self.assertLess(time.monotonic() - start, 10)

    def test_a_reload_does_not_wait_for_them(self):
        self.f.write("root/hang", "at last")
        config = self.f.write("host.yaml", "manifold: 1\nadmin: none\nsources: [{ path: %s, trust: true }]\nplugins: { "
                              "filesystem: { config: { max_read: 5000 }, grants: { files: { root: { path: %s } } } } }\n"
                              % (json.dumps(harness.PLUGINS), json.dumps(self.root)))
        with self.serve("--config", config, plugins=[], grant=[]) as s:
            s.initialize()
            with Fanotify(self.at("root/hang")):
                self.hang(s, 1)
                self.assertEqual(self.read(s, "plain"), "inside")
                text = self.f.read("host.yaml").replace("5000", "6000")
                self.f.write("host.yaml", text)
                s.signal(signal.SIGHUP)
                s.wait_log("reload")
                s.send(legacy("notifications/cancelled", {"requestId": 1000}))
                s.wait_log("generation 1 has ended")
                self.assertEqual(self.read(s, "plain"), "inside")


if __name__ == "__main__":
    harness.main()
