#!/usr/bin/env python3
"""planted.py FAULTLIB - shows that torture.py can find something.

In a copy one check of an allocation is left out at a time; the copy is compiled and linked as the
build with controls was (MANIFOLD_CONTROLS names its manifold), and torture.py must find it."""
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CALLS = ["--part", "calls", "--all"]
# The end of a reload is made on the loop.
RELOAD = ["--part", "reload", "--tail", "150", "--all"]
# file, the lines, the broken lines, where it is looked for, what comes of it
BUGS = [
    ("host/engine/table.c", "    if (!chunk)\n        return false;\n", "", CALLS, "a crash"),
    ("host/mcp/resources.c", "if (s->vars.failed) {", "if (false) {", CALLS, "a wrong answer"),
    ("host/mcp/reply.c", "return b->failed ? STR_NONE : buf_view(b);", "return buf_view(b);", CALLS,
     "a line that is no JSON"),
    ("host/transport/output.c", "        return failed;\n", "        return 0;\n", CALLS,
     "a lost answer"),
    ("host/runtime/reload_swap.c", "    if (!in)\n        return -ENOMEM;\n", "", RELOAD,
     "a crash in a reload"),
    ("host/runtime/catalogue.c", "return r == -ENOMEM ? r : 0;", "return 0;", RELOAD,
     "a reload that loses a template"),
]


def plant(build, scratch, name, good, bad):
    source = (ROOT / name).read_text()
    if source.count(good) != 1:
        sys.exit("planted: %s has %d times: %s" % (name, source.count(good), good))
    broken = scratch / pathlib.Path(name).name
    broken.write_text(source.replace(good, bad))
    commands = json.loads((build / "compile_commands.json").read_text())
    entry = next((c for c in commands if c["file"].endswith("/" + name)), None)
    if not entry:
        sys.exit("planted: the build with controls has no %s" % name)
    words = shlex.split(entry["command"])
    words[words.index("-c") + 1] = str(broken)
    words[words.index("-o") + 1] = str(scratch / "broken.o")
    subprocess.run(words + ["-iquote", str((ROOT / name).parent)], cwd=entry["directory"],
                   check=True)
    link = subprocess.run(["ninja", "-C", str(build), "-t", "commands", "-s", "manifold"],
                          check=True, capture_output=True, text=True).stdout.split("\n")
    line = [part for l in link for part in l.split(" && ") if " -o manifold " in part][-1]
    words = shlex.split(line)
    words[words.index("-o") + 1] = str(scratch / "manifold")
    first = next(i for i, w in enumerate(words) if w.endswith(".a"))
    words.insert(first, str(scratch / "broken.o"))
    subprocess.run(words, cwd=build, check=True)


def main():
    controls = os.environ.get("MANIFOLD_CONTROLS", "")
    build = pathlib.Path(controls).resolve().parent
    if not controls or not (build / "compile_commands.json").exists():
        print("MANIFOLD_CONTROLS names no build with controls: skipped")
        return 77
    missed = 0
    for name, good, bad, where, what in BUGS:
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            plant(build, scratch, name, good, bad)
            begin = time.monotonic()
            run = subprocess.run(
                [sys.executable, str(HERE / "torture.py"), "--mode", "once", *where, "--quiet", "--enough", "1",
                 str(scratch / "manifold"), str(build / "plugins"), str(build / "bad"), sys.argv[1]],
                capture_output=True, text=True)
        found = run.returncode == 1 and "WRONG" in run.stdout
        print("planted: %s: %s, %s after %.1f s" % (
            name, what, "found" if found else "NOT found", time.monotonic() - begin))
        print("\n".join(l[:200] for l in run.stdout.split("\n") if l.startswith("WRONG ")))
        missed += not found
    return 1 if missed else 0


sys.exit(main())
