"""A tree of files and random calls of the filesystem tools on it, for test_filesystem_reference.py.

The tree is made twice, below two directories whose names differ in one letter, so that what one
server says can be turned into what the other one must say.
"""

import os
import random
import shutil
import stat

TEXT = {
    "plain.txt": "one\ntwo\nthree\n",
    "empty": "",
    "no-newline": "first\nlast",
    "crlf.txt": "a\r\nb\r\nc\r\n",
    "blank-lines": "\n\n\n",
    "code.py": "def f(x):\n    if x:\n        return 1\n    return 2\n\n\nclass A:\n    pass\n",
    "ticks.md": "text\n```\ncode\n```\nmore\n",
    "unicode \u00e9\u4e2d.txt": "h\u00e9llo w\u00f6rld \U0001F600\n\u4e2d\u6587\n",
    "bom": "\ufeffwith a mark\n",
    "long.log": "".join("line %d of a long file\n" % i for i in range(900)),
    "one-line": "x" * 5000,
    "spa ce.txt": "spaces\n",
    "quo'te\"s": "quotes\n",
    "Upper.TXT": "upper\n",
    "tab\tname": "tab\n",
    "brackets[1].txt": "b\n",
    "star*.txt": "s\n",
    "trailing.": "dot\n",
    ".hidden": "hidden\n",
    "dir/below.txt": "below\n",
    "dir/data.json": "{\"a\": [1, 2, 3]}\n",
    "dir/sub/deep.txt": "deep\n",
    "dir/sub/deep.js": "deep()\n",
    "dir/sub/more/a.js": "a\n",
    "dir/.git/config": "[core]\n",
    "node_modules/m/index.js": "m\n",
    "src/a.c": "int a;\n",
    "src/a.h": "extern int a;\n",
    "src/b.c": "int b;\n",
    "src/test/b_test.c": "test\n",
    "src/A.c": "capital\n",
    "src/a-b.c": "dash\n",
    "src/a_b.c": "underscore\n",
    "src/10.c": "ten\n",
    "src/2.c": "two\n",
}
BYTES = {
    "picture.png": bytes(range(256)) * 3,
    "sound.MP3": b"ID3\x00\x01",
    "drawing.svg": b"<svg/>",
    "archive.bin": bytes(range(255, -1, -1)),
    "no_extension": b"\x00\x01\x02",
    ".png": b"hidden",
    "bad-utf8": b"ok\n\xff\xfe\xc3(\xe2\x82\nend \xf0\x9f\n",
    "nul": b"a\x00b\n",
    "sizes/1023": b"s" * 1023,
    "sizes/1024": b"s" * 1024,
    "sizes/1152": b"s" * 1152,
    "sizes/1157": b"s" * 1157,
    "sizes/70000": b"s" * 70000,
}
LINKS = {
    "link": "plain.txt",
    "link-dir": "dir",
    "link-chain": "link",
    "link-deep": "dir/sub/deep.txt",
    "dir/link-up": "../plain.txt",
    "link-out": "../outside/secret.txt",
    "link-out-dir": "../outside",
    "link-loop": "link-loop",
    "link-dangling": "nowhere",
}
MODES = {"code.py": 0o755, "src/a.c": 0o600, "src/a.h": 0o444, "dir/data.json": 0o640}


def make_base(base):
    """base/root and base/second are granted, base/outside is not."""
    for folder in ("root", "outside", "second-real"):
        os.makedirs(os.path.join(base, folder))
    os.symlink("second-real", os.path.join(base, "second"))


def fill(base):
    """The tree as new.  The three directories stay the same ones: a host has them open."""
    for folder in ("root", "outside", "second-real"):
        for entry in os.scandir(os.path.join(base, folder)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
    root = os.path.join(base, "root")
    for name, content in list(TEXT.items()) + list(BYTES.items()):
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content.encode() if isinstance(content, str) else content)
    os.makedirs(os.path.join(root, "empty-dir"))
    for name, target in LINKS.items():
        os.symlink(target, os.path.join(root, name))
    for name, mode in MODES.items():
        os.chmod(os.path.join(root, name), mode)
    for name, content in (("outside/secret.txt", "secret\n"), ("second-real/there.txt", "second\n")):
        with open(os.path.join(base, name), "w") as f:
            f.write(content)
    os.mkfifo(os.path.join(root, "pipe"))


def snapshot(base):
    """{path: what is there}, to see that both servers did the same to their trees."""
    found = {}
    for folder, dirs, files in os.walk(base):
        for name in dirs + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            what = None
            if stat.S_ISLNK(st.st_mode):
                what = os.readlink(path)
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    what = f.read()
            found[os.path.relpath(path, base)] = (stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), what)
    return found


class Calls:
    """calls(n): n calls as (tool, arguments), the same ones for the same seed."""

    def __init__(self, seed, base):
        self.random = random.Random(seed)
        self.base = base
        self.root = os.path.join(base, "root")
        self.made = 0

    def pick(self, *choices):
        return self.random.choice(choices)

    def chance(self, p):
        return self.random.random() < p

    # --- paths ---

    def known(self, kinds="fdl"):
        """A name of the tree: f files, d directories, l links."""
        names = []
        if "f" in kinds:
            names += list(TEXT) + list(BYTES)
        if "d" in kinds:
            names += ["", "dir", "dir/sub", "src", "sizes", "empty-dir", "node_modules", "dir/.git"]
        if "l" in kinds:
            names += list(LINKS)
        return self.random.choice(names)

    def new(self):
        self.made += 1
        return self.pick("new%d", "dir/new%d.txt", "made/%d/x", "\u00e9 new %d", "src/new-%d.c",
                         "empty-dir/n%d") % self.made

    def spelled(self, name):
        """The same place, written in one of many ways."""
        path = os.path.join(self.root, name) if name else self.root
        way = self.random.randrange(12)
        if way == 0:
            return path + "/"
        if way == 1:
            return path.replace("/root", "//root/.", 1)
        if way == 2:
            return os.path.join(self.root, "dir", "..", name)
        if way == 3:
            return name or "."
        if way == 4:
            return "./" + name
        if way == 5:
            return os.path.join(self.root, "none", "..", name)
        return path

    def bad(self):
        """A place that is not allowed, or no good path at all."""
        return self.pick("/etc/passwd", self.base + "/outside/secret.txt", self.root + "/../outside/secret.txt",
                         "../outside/secret.txt", self.root + "-evil/x", "/", "", "~/x", "~", "~user/x",
                         self.root + "/plain.txt/x", self.root + "/none/none/none", "%2e%2e/outside",
                         self.root + "/a\0b", "C:\\Users\\x", "c:/x", "C:", "x:y", self.root + "/link-loop",
                         self.root + "/link-loop/x", self.root + "/link-out", self.root + "/link-out-dir/secret.txt",
                         self.root + "/link-dangling", self.root + "/link-dangling/x",
                         self.root + "/" + "n" * 300, self.root + "/" + "d/" * 200, "..", "../second/there.txt")

    def path(self, kinds="fdl", missing=0.08, bad=0.08):
        if self.chance(bad):
            return self.bad()
        if self.chance(missing):
            return self.spelled(self.new())
        if self.chance(0.04):
            return self.pick(self.base + "/second/there.txt", self.base + "/second-real/there.txt",
                             self.base + "/second", self.base + "/second/none")
        return self.spelled(self.known(kinds))

    def text(self):
        return "".join(self.pick("a", "b\n", "\u00e9", "\U0001F600", "line\n", "\r\n", "  ", "\t", "\0", "```", "x" * 50)
                       for _ in range(self.random.randrange(12)))

    # --- patterns ---

    def word(self):
        return self.pick("a", "b", "deep", "*", "*.c", "*.js", "*.[ch]", "[ab]*", "[!a]*", "?*", "??*", "a?c",
                         "{a,b}.c", "*.{c,h,js}", "{1..3}", "*{.txt,}", "+([a-z]).c", "@(a|b).*", "*(a)*",
                         "?(a).c", "[[:upper:]]*", "[[:alpha:]]*.c", ".*", "*.txt", "sub", "dir", "src", "test",
                         "node_modules", "\\*", "*\u00e9*", "a[-]b.c", "[]", "[a", "a-b.c", "link*", "x!(a)", "b!(x|_test).c",
                         "{a-b,a_b,A}.c", "{a,b", "*~", "plain.txt", "{deep,a}.{js,txt}", "2.c", "[0-9]*")

    def pattern(self):
        parts = [self.pick("**", self.word(), self.word()) for _ in range(self.pick(1, 1, 2, 2, 3))]
        return self.pick("", "", "", "", "", "!", "#", "./", "/") + "/".join(parts) + self.pick("", "", "", "", "/", "/**")

    def excludes(self):
        return [self.pattern() for _ in range(self.pick(0, 0, 0, 1, 1, 2, 3))]

    # --- tools ---

    def read(self):
        args = {"path": self.path("fl", missing=0.05)}
        if self.chance(0.35):
            args["head"] = self.pick(0, 1, 2, 3, 5, 100, 1000, -1, 2.5)
        if self.chance(0.35):
            args["tail"] = self.pick(0, 1, 2, 3, 5, 100, 1000, -1, 2.5, 0.5)
        return self.pick("read_text_file", "read_file"), args

    def read_directory(self):
        return "read_text_file", {"path": self.spelled(self.known("d"))}

    def media(self):
        name = self.pick(*BYTES, "plain.txt", "Upper.TXT", "unicode \u00e9\u4e2d.txt", "quo'te\"s", "brackets[1].txt")
        return "read_media_file", {"path": self.bad() if self.chance(0.1) else self.spelled(name)}

    def multiple(self):
        return "read_multiple_files", {"paths": [self.path("fl") for _ in range(self.random.randrange(1, 6))]}

    def write(self):
        return "write_file", {"path": self.path("fl", missing=0.5), "content": self.text()}

    def edit(self):
        name = self.pick("plain.txt", "code.py", "crlf.txt", "ticks.md", "no-newline", "long.log", "blank-lines",
                         "empty", "unicode \u00e9\u4e2d.txt", "link", "dir/below.txt", "bom")
        edits = []
        for _ in range(self.pick(0, 1, 1, 1, 2, 3)):
            old = self.pick("two", "three\n", "a", "x", "", "one\ntwo", "return 1", "  return 2", "if x:\nreturn 1",
                            "def f(x):\n  if x:\n      return 1", "class A:\n  pass", "a\r\nb", "line 5 of a long file",
                            "line 10 of a long file\nline 11 of a long file", "not there", "code", "\n", "h\u00e9llo",
                            "first\nlast", "   one   ", "pass")
            new = self.pick("", "TWO", "new line\n", "a\nb\nc", "    return 3\n        # more\n    x", "x\r\ny", "\u4e2d",
                            "```\ncode", "def g(y):\n    while y:\n        y -= 1\n    return y", "\n\n", "  indented\n  twice")
            edits.append({"oldText": old, "newText": new})
        # Bytes that are no text are not edited here, and are spoiled there: a difference by design.
        args = {"path": self.path("l") if self.chance(0.1) else self.spelled(name), "edits": edits}
        if self.chance(0.4):
            args["dryRun"] = self.chance(0.8)
        return "edit_file", args

    def create_directory(self):
        return "create_directory", {"path": self.path("fdl", missing=0.6)}

    def list(self):
        return "list_directory", {"path": self.path("d", missing=0.04) if self.chance(0.8) else self.path("fl")}

    def list_sizes(self):
        args = {"path": self.path("d", missing=0.04)}
        if self.chance(0.6):
            args["sortBy"] = self.pick("name", "size")
        return "list_directory_with_sizes", args

    def tree(self):
        args = {"path": self.path("d", missing=0.04)}
        if self.chance(0.7):
            args["excludePatterns"] = self.excludes()
        return "directory_tree", args

    def move(self):
        source = self.path("fl", missing=0.1)
        if source in ("", "/", "..", self.base + "/second", self.base + "/second-real"):
            source = self.spelled("plain.txt")  # moving what is granted: a difference by design
        target = self.path("fdl", missing=0.8, bad=0.08)
        return "move_file", {"source": source, "destination": target}

    def search(self):
        args = {"path": self.path("d", missing=0.03, bad=0.04), "pattern": self.pattern()}
        if self.chance(0.5):
            args["excludePatterns"] = self.excludes()
        return "search_files", args

    def info(self):
        path = self.spelled("pipe") if self.chance(0.05) else self.path("fdl")
        return "get_file_info", {"path": path}

    def allowed(self):
        return "list_allowed_directories", {}

    def wrong(self):
        return self.pick(("read_text_file", {}), ("read_text_file", {"path": 5}), ("edit_file", {"path": "x", "edits": 3}),
                         ("read_multiple_files", {"paths": []}), ("list_directory_with_sizes", {"path": ".", "sortBy": "x"}),
                         ("write_file", {"path": "x"}), ("search_files", {"path": "."}), ("move_file", {"source": "x"}))

    def calls(self, count):
        weights = [(self.read, 14), (self.read_directory, 1), (self.media, 5), (self.multiple, 5), (self.write, 9),
                   (self.edit, 14), (self.create_directory, 5), (self.list, 6), (self.list_sizes, 6), (self.tree, 7),
                   (self.move, 6), (self.search, 18), (self.info, 5), (self.allowed, 1), (self.wrong, 2)]
        makers = self.random.choices([w[0] for w in weights], [w[1] for w in weights], k=count)
        return [make() for make in makers]
