"""The bundled plugin filesystem against the published server it takes the place of.

500 random calls go to both, on two trees that are alike; answers and trees must stay alike.  Where
they differ by design the difference is named below, with the reason, and must be exactly that.

The server comes from npm into $MANIFOLD_CACHE, pinned by tests/reference/package-lock.json; skipped,
and named, where npm can't be reached.  MANIFOLD_SEED: another seed than the usual one.
"""

import filecmp
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unicodedata
import unittest

import harness
from filesystem_calls import Calls, fill, make_base, snapshot
from harness import Failure, Server

SEED = int(os.environ.get("MANIFOLD_SEED", "20261125"))
CALLS, ROUND = 500, 100
HERE = os.path.dirname(os.path.abspath(__file__))
PINNED = os.path.join(HERE, "..", "reference")
PACKAGE = "@modelcontextprotocol/server-filesystem"


def install():
    """The directory of the pinned packages; SkipTest when npm can't be reached."""
    cache = os.environ.get("MANIFOLD_CACHE") or os.path.join(HERE, "..", "..", ".cache")
    folder = os.path.join(os.path.abspath(cache), "reference")
    os.makedirs(folder, exist_ok=True)
    lock, done = os.path.join(folder, "package-lock.json"), os.path.join(folder, "installed")
    pinned = os.path.join(PINNED, "package-lock.json")
    if os.path.exists(done) and filecmp.cmp(lock, pinned, shallow=False):
        return folder
    if not shutil.which("npm"):
        raise unittest.SkipTest("there is no npm to install %s with" % PACKAGE)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(PINNED, name), folder)
    p = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if p.returncode:
        raise unittest.SkipTest("npm can't be reached for %s: %s" % (PACKAGE, p.stdout.decode()[-200:]))
    open(done, "w").close()
    return folder


class Reference:
    """The published server as a child, spoken to line by line."""

    def __init__(self, folder, *roots, env=None):
        node = os.path.join(folder, "node_modules", ".bin", "node")
        script = os.path.join(folder, "node_modules", PACKAGE, "dist", "index.js")
        self.process = subprocess.Popen([node, script, *roots], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))
        self.id = 0
        self.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                    "clientInfo": {"name": "e2e", "version": "1"}})
        self.send(harness.legacy("notifications/initialized"))

    def send(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def request(self, method, params):
        self.id += 1
        self.send(harness.legacy(method, params, self.id))
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise Failure("the reference server has ended")
            m = json.loads(line)
            if m.get("id") == self.id:
                return m["result"]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


def outcome(result):
    """What a client sees of a call."""
    return {k: result[k] for k in ("content", "structuredContent", "isError") if result.get(k)}


def text(o):
    return o["content"][0].get("text", "") if o["content"] else ""


def with_text(o, replaced):
    """The same outcome with other words."""
    new = dict(o, content=[dict(o["content"][0], text=replaced)])
    if "structuredContent" in o:
        new["structuredContent"] = {"content": replaced}
    return new


# --- The differences.  Each: is this pair exactly it? ---

def schema_sentence(call, ours, theirs):
    """Arguments that do not fit the schema: the host says what it expected in its own words."""
    return ours.get("isError") and theirs.get("isError") and "expected" in text(ours) and \
        text(ours).startswith("arguments") and \
        text(theirs).startswith("MCP error -32602: Input validation error: Invalid arguments for tool")


OUTSIDE = re.compile(r"(symlink target outside allowed directories: )(\S+)( not in )")


def link_is_named(call, ours, theirs):
    """A link that leads out: ours names the link, theirs the place outside that it leads to."""
    mine, other = OUTSIDE.findall(text(ours)), OUTSIDE.findall(text(theirs))
    masked = [with_text(o, OUTSIDE.sub(r"\1?\3", text(o))) for o in (ours, theirs)]
    return len(mine) == len(other) > 0 and masked[0] == masked[1] and \
        all("/link-out" in m[1] for m in mine) and all("/outside" in o[1] for o in other)


def written_directory(call, ours, theirs):
    """Writing over a directory: theirs tells of the temporary file it could not rename."""
    m = re.fullmatch(r"EISDIR: illegal operation on a directory, rename '(.*)\.[0-9a-f]{32}\.tmp' -> '(.*)'",
                     text(theirs))
    return m and m[1] == m[2] and call[0] == "write_file" and \
        ours == with_text(theirs, "EISDIR: illegal operation on a directory, open '%s'" % m[1])


def size_outside(call, ours, theirs):
    """The size of a link that leads out: theirs tells that of the place outside."""
    if call[0] != "list_directory_with_sizes" or ours.get("isError") or theirs.get("isError"):
        return False
    lines = [[x for x in text(o).split("\n") if not x.startswith("Combined size")] for o in (ours, theirs)]
    out = [[x for x in l if x.startswith("[FILE] link-out")] for l in lines]
    rest = [sorted(x for x in l if not x.startswith("[FILE] link-out")) for l in lines]
    return rest[0] == rest[1] and len(out[0]) == len(out[1]) > 0 and all(x.endswith("       0 B") for x in out[0])


BY_DESIGN = [schema_sentence, link_is_named, written_directory, size_outside]


class FilesystemReference(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.packages = install()

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        base = os.path.realpath(directory.name)
        self.ours, self.theirs = base + "/a", base + "/b"
        for tree in (self.ours, self.theirs):
            make_base(tree)
            fill(tree)

    def start(self, env=None):
        """Both servers on their trees."""
        env = dict({"TZ": "UTC"}, **(env or {}))
        grant = "filesystem.files.root.path=[%s/root, %s/second]" % (self.ours, self.ours)
        self.host = Server("--trust", "--grant", grant, plugins=[harness.PLUGINS], env=env)
        self.host.__enter__()
        self.addCleanup(self.host.__exit__, None, None, None)
        self.host.initialize()
        self.reference = Reference(self.packages, self.theirs + "/root", self.theirs + "/second", env=env)
        self.addCleanup(self.reference.close)

    def other(self, value):
        return json.loads(json.dumps(value).replace(self.ours, self.theirs))

    def both(self, tool, arguments):
        """(ours, theirs), theirs with our paths."""
        params = {"name": tool, "arguments": arguments}
        r = self.host.legacy_request("tools/call", params)
        if "result" not in r:
            raise Failure("%s %r: %r" % (tool, arguments, r))
        theirs = self.reference.request("tools/call", self.other(params))
        return outcome(r["result"]), json.loads(json.dumps(outcome(theirs)).replace(self.theirs, self.ours))

    def check_times(self, arguments, ours, theirs):
        """The two trees were not made at the same moment: the rest must be the same, and modified
        what the file says."""
        times = re.compile(r"^(created|modified|accessed): .*$", re.M)
        masked = [with_text(o, times.sub(r"\1", text(o))) for o in (ours, theirs)]
        self.assertEqual(*masked)
        self.assertEqual(len(times.findall(text(theirs))), 3)
        path = os.path.normpath(os.path.join(self.ours, "root", os.path.expanduser(arguments["path"])))
        with_time = time.strftime("modified: %a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)",
                                  time.gmtime(os.stat(path).st_mtime))
        self.assertIn(with_time, text(ours))

    def test_generated_calls(self):
        self.start()
        found, same, errors, per_tool = {}, 0, 0, {}
        calls = Calls(SEED, self.ours).calls(CALLS)
        for i, call in enumerate(calls):
            if i % ROUND == 0:
                fill(self.ours)
                fill(self.theirs)
            ours, theirs = self.both(*call)
            with self.subTest(seed=SEED, number=i, tool=call[0], arguments=call[1]):
                if call[0] == "get_file_info" and not theirs.get("isError"):
                    self.check_times(call[1], ours, theirs)
                    ours = theirs
                if ours == theirs:
                    same += 1
                else:
                    kinds = [d.__name__ for d in BY_DESIGN if d(call, ours, theirs)]
                    if len(kinds) != 1:
                        self.fail("no difference by design (or several: %s)\nours   %s\ntheirs %s"
                                  % (kinds, json.dumps(ours)[:2000], json.dumps(theirs)[:2000]))
                    found[kinds[0]] = found.get(kinds[0], 0) + 1
                errors += bool(theirs.get("isError"))
                per_tool[call[0]] = per_tool.get(call[0], 0) + 1
                a, b = snapshot(self.ours), snapshot(self.theirs)
                self.assertEqual({k for k in a if a[k] != b.get(k)}, set())
                self.assertEqual(a.keys(), b.keys())
        print("filesystem: seed %d, %d calls of %d tools, %d answers the same (%d of all are errors), "
              "by design: %s" % (SEED, len(calls), len(per_tool), same, errors,
                                 ", ".join("%s %d" % kv for kv in sorted(found.items())) or "none"))
        self.assertEqual(len(per_tool), 14)
        self.assertGreater(same, CALLS * 0.85)
        self.assertLess(errors, CALLS * 0.5)

    def test_the_same_tools(self):
        self.start()
        ours = self.host.legacy_request("tools/list")["result"]["tools"]
        ours = {t["name"]: t for t in ours}
        theirs = self.reference.request("tools/list", {})["tools"]
        self.assertEqual(len(theirs), 14)
        for tool in theirs:
            # By design: tasks are not offered, and a client takes silence for that.
            self.assertEqual(tool.pop("execution"), {"taskSupport": "forbidden"})
            mine = ours[tool["name"]]
            self.assertEqual({k: mine[k] for k in tool}, tool)
            self.assertEqual(mine.keys(), tool.keys())

    # --- What random calls would not come to, or would not survive ---

    def test_an_absolute_link_is_refused(self):
        """Theirs follows it where it leads back below the root; the kernel's rule has no such case."""
        for tree in (self.ours, self.theirs):
            os.symlink(tree + "/root/plain.txt", tree + "/root/absolute")
        self.start()
        ours, theirs = self.both("read_text_file", {"path": "absolute"})
        self.assertEqual(text(theirs), "one\ntwo\nthree\n")
        self.assertTrue(ours["isError"])
        self.assertIn("symlink target outside allowed directories: %s/root/absolute not in" % self.ours, text(ours))

    def test_a_sibling_with_a_space_behind_its_name(self):
        """Theirs trims the path before it compares it, and so gives access to the directory "root "."""
        for tree in (self.ours, self.theirs):
            os.makedirs(tree + "/root ")
            with open(tree + "/root /x", "w") as f:
                f.write("not granted")
        self.start()
        ours, theirs = self.both("list_directory", {"path": self.ours + "/root "})
        self.assertEqual(text(theirs), "[FILE] x")
        self.assertIn("Access denied - path outside allowed directories", text(ours))

    def test_names_are_bytes(self):
        """Theirs takes a name that differs only in Unicode's normal form for the one it finds."""
        for tree in (self.ours, self.theirs):
            with open(tree + "/root/" + unicodedata.normalize("NFD", "caf\u00e9"), "w") as f:
                f.write("decomposed")
        self.start()
        ours, theirs = self.both("read_text_file", {"path": "caf\u00e9"})
        self.assertEqual(text(theirs), "decomposed")
        self.assertIn("ENOENT: no such file or directory, open '", text(ours))

    def test_names_beyond_ascii_sort_last(self):
        """Theirs collates as ICU does; ours knows the order of ASCII alone."""
        for tree in (self.ours, self.theirs):
            os.makedirs(tree + "/root/sorted")
            for name in ("e", "\u00e9", "f", "F", "-", "_", "10", "9"):
                open("%s/root/sorted/%s" % (tree, name), "w").close()
        self.start()
        ours, theirs = self.both("list_directory_with_sizes", {"path": "sorted"})
        names = [[l.split()[1] for l in text(o).split("\n") if l.startswith("[")] for o in (ours, theirs)]
        self.assertEqual(names[1], ["_", "-", "10", "9", "e", "\u00e9", "f", "F"])
        self.assertEqual(names[0], ["_", "-", "10", "9", "e", "f", "F", "\u00e9"])

    def test_what_is_no_text_is_not_edited(self):
        """Theirs edits it and writes U+FFFD for each byte it does not understand."""
        self.start()
        ours, theirs = self.both("edit_file", {"path": "bad-utf8", "edits": [{"oldText": "ok", "newText": "OK"}]})
        self.assertIn("+OK", text(theirs))
        with open(self.theirs + "/root/bad-utf8", "rb") as f:
            self.assertIn("\ufffd".encode(), f.read())
        self.assertEqual(text(ours), self.ours + "/root/bad-utf8 is no UTF-8 text: an edit would damage it")
        with open(self.ours + "/root/bad-utf8", "rb") as f:
            self.assertTrue(f.read().startswith(b"ok\n\xff\xfe"))

    def test_a_granted_directory_is_not_moved(self):
        """Theirs moves it, and has nothing left to work in."""
        self.start()
        ours, theirs = self.both("move_file", {"source": self.ours + "/second", "destination": "moved"})
        self.assertEqual(text(theirs), "Successfully moved %s/second to moved" % self.ours)
        self.assertEqual(text(ours), "EINVAL: invalid argument, rename '%s/second-real' -> '%s/root/moved'"
                         % (self.ours, self.ours))

    def test_a_class_beside_a_dash(self):
        """[[:alpha:]] and a "-" in one pattern: theirs makes a bad expression of it and finds nothing."""
        self.start()
        ours, theirs = self.both("search_files", {"path": "src", "pattern": "[[:alpha:]]-b.c"})
        self.assertEqual(text(theirs), "No matches found")
        self.assertEqual(text(ours), self.ours + "/root/src/a-b.c")

    def test_a_file_over_max_read(self):
        """Theirs reads and sends whatever there is."""
        for tree in (self.ours, self.theirs):
            with open(tree + "/root/large", "w") as f:
                f.write("0123456789abcdef" * (4 << 16))
        self.start()
        ours, theirs = self.both("read_text_file", {"path": "large"})
        self.assertEqual(len(text(theirs)), 4 << 20)
        self.assertIn("4194304 bytes are more than the 3145728 that can be read at once", text(ours))
        ours, theirs = self.both("read_text_file", {"path": "large", "tail": 1, "head": 0})
        self.assertEqual(len(text(theirs)), 4 << 20)
        self.assertTrue(ours["isError"])

    def test_the_name_of_the_zone(self):
        """Theirs has ICU's long names; ours says what the system calls it."""
        for tree in (self.ours, self.theirs):
            os.utime(tree + "/root/plain.txt", (0, 0))
        self.start(env={"TZ": "Europe/Berlin"})
        ours, theirs = self.both("get_file_info", {"path": "plain.txt"})
        line = "modified: Thu Jan 01 1970 01:00:00 GMT+0100 (%s)"
        self.assertIn(line % "Central European Standard Time", text(theirs))
        self.assertIn(line % "CET", text(ours))


if __name__ == "__main__":
    harness.main()
