"""What the tests of plugins and sources share: the bad plugins, the build with controls, directories
made for one test, and manifold://status.

Environment: MANIFOLD_BAD (directory of the bad plugins, made by the same build as MANIFOLD),
MANIFOLD_SANITIZE (address, thread or empty), MANIFOLD_CONTROLS (a manifold of a build with
-DMANIFOLD_CONTROLS=ON and without sanitizers, `bad` and `plugins` beside it; unset: what needs it is
skipped).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import Failure, Server

BAD = os.environ.get("MANIFOLD_BAD", "")
SANITIZE = os.environ.get("MANIFOLD_SANITIZE", "")
CONTROLS = os.environ.get("MANIFOLD_CONTROLS", "")
HERE = os.path.dirname(os.path.abspath(__file__))
STATUS = "manifold://status"
CACHE = os.environ.get("MANIFOLD_CACHE") or os.path.join(HERE, "..", "..", ".cache")

needs_controls = unittest.skipUnless(CONTROLS and os.path.exists(CONTROLS),
                                     "MANIFOLD_CONTROLS names no build with controls")
plain_only = unittest.skipIf(SANITIZE, "a sanitizer has memory of its own")


def scaled(count, address=5, thread=5):
    """A count of repetitions, divided in the builds whose every step is slow."""
    return max(1, count // {"address": address, "thread": thread}.get(SANITIZE, 1))


def controls_dir(name):
    return os.path.join(os.path.dirname(os.path.abspath(CONTROLS)), name)


def status(s):
    """manifold://status as a document."""
    r = s.request("resources/read", {"uri": STATUS})
    return json.loads(r["result"]["contents"][0]["text"])


def problems(document):
    """{plugin: [sentence, ...]} of a status: why something is not served, or not wholly."""
    found = {}
    for p in document["plugins"]:
        if "error" in p:
            found.setdefault(p["name"], []).append(p["error"])
    for p in document["problems"]:
        found.setdefault(p["plugin"], []).append(p["problem"])
    return found


def quietly(command, folder):
    subprocess.run(command, cwd=folder, check=True, timeout=200, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def from_pip(requirement):
    """Makes a pinned package importable; SkipTest where PyPI can't be reached."""
    folder = os.path.join(CACHE, "pip-" + requirement)
    try:
        if not os.path.isdir(folder):
            os.makedirs(CACHE, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
                quietly([sys.executable, "-m", "pip", "install", "--quiet",
                         "--disable-pip-version-check", "--target", scratch + "/all", requirement],
                        scratch)
                try:
                    os.rename(scratch + "/all", folder)
                except OSError:  # another test was faster
                    pass
    except (OSError, subprocess.SubprocessError) as e:
        raise unittest.SkipTest("%s can't be fetched: %s" % (requirement, e))
    sys.path.insert(0, folder)


def text_of(result):
    return "".join(b.get("text", "") for b in result["content"])


class Files:
    """A directory for one test, removed with it.

        with Files() as f:
            f.write("a/weather.yaml", "manifold: 1 ...")
            f.library("plain", "a/weather.so")
    """

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.path = os.path.realpath(self.temporary.name)
        return self

    def __exit__(self, *_):
        self.temporary.cleanup()

    def at(self, name):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def directory(self, name):
        path = os.path.join(self.path, name)
        os.makedirs(path, exist_ok=True)
        return path

    def write(self, name, text):
        with open(self.at(name), "w") as f:
            f.write(text)
        return self.at(name)

    def read(self, name):
        with open(os.path.join(self.path, name)) as f:
            return f.read()

    def bad(self, plugin, to, bad=None):
        """All files of a bad plugin."""
        shutil.copytree(os.path.join(bad or BAD, plugin), self.directory(to), dirs_exist_ok=True)

    def echo(self, to, name="echo", **replaced):
        """The bundled plugin echo under another instance name; {old: new} changes its manifest."""
        os.makedirs(self.directory(to), exist_ok=True)
        shutil.copy(os.path.join(harness.PLUGINS, "echo.so"), self.at(to + "/echo.so"))
        with open(os.path.join(harness.PLUGINS, "echo.yaml")) as f:
            text = f.read()
        text = text.replace("name: echo\nversion", "name: %s\nversion" % name, 1)
        for old, new in replaced.get("edits", {}).items():
            if old not in text:
                raise Failure("the manifest of echo has no %r" % old)
            text = text.replace(old, new)
        return self.write("%s/%s.yaml" % (to, name), text)


def serve(*directories, args=(), **kw):
    """The host on directories of this test, trusted."""
    return Server(*args, "--trust", plugins=list(directories), **kw)
