#!/usr/bin/env python3
"""What the documentation shows is true: its C compiles, its YAML is accepted, its paths exist.

usage: samples.py [--self-test] [MANIFOLD]

In docs/**/*.md, README.md and CONTRIBUTING.md:
  ```c            a fragment: compiled with -Wall -Wextra -Werror, the SDK's headers included for it
  ```c X.c        a whole file: compiled as it stands; a plugin is linked as plugins are
  ```c test_X.c   a unit test: linked with X.c and the mock host, and run
  ```yaml X.yaml  the manifest of X.c, or manifold.yaml, a host config whose sources hold them
  `dir/file.c`    a path of this tree: must exist (`*` matches)
With MANIFOLD, the program, the plugins go through `manifold check`, as does the host config.
docs/internals/testing.md names every control of host/, and no other in its table."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(c|yaml)(?: +(\S+))? *\n(.*?)^```", re.M | re.S)
PATH = re.compile(r"`((?:host|sdk|tests|manifests|plugins|docs|bench|cmake)/[\w./*-]+)`")
CONTROL = re.compile(r'protection_off\("(\w+)"')
PRELUDE = "#include <manifold/json.h>\n#include <manifold/mock.h>\n#include <assert.h>\n#include <pthread.h>\n"
CC = [os.environ.get("CC", "cc"), "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror",
      "-I", f"{ROOT}/sdk/include", "-I", f"{ROOT}/sdk/mock"]
PLUGIN = ["-fPIC", "-fvisibility=hidden", "-shared", "-Wl,-z,defs", f"-Wl,--version-script={ROOT}/sdk/cmake/plugin.map"]


def run(command, where, failures, **more):
    p = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120, **more)
    if p.returncode:
        failures.append(f"{where}: {' '.join(map(str, command[:2]))} ...: exit code {p.returncode}\n{p.stdout}{p.stderr}")
    return p.returncode == 0


def check(files, manifold, work):
    """Sentences about what is untrue, and how many blocks and paths were looked at."""
    failures, tests, blocks, paths = [], [], 0, 0
    plugins = work / "plugins"
    plugins.mkdir()
    for file in files:
        text = file.read_text()
        for m in BLOCK.finditer(text):
            language, name, body = m.groups()
            where = f"{file}:{text.count(chr(10), 0, m.start()) + 1}"
            blocks += 1
            if language == "yaml":
                if name:
                    (work if name == "manifold.yaml" else plugins).joinpath(name).write_text(body)
            elif not name:
                c = work / "fragment.c"
                c.write_text(PRELUDE + body)
                run(CC + ["-Wno-unused-function", "-fsyntax-only", c], where, failures)
            else:
                c = work / name
                c.write_text(body)
                if name.startswith("test_"):
                    tests.append((where, c))
                else:
                    run(CC + PLUGIN + [c, "-o", plugins / f"{c.stem}.so"], where, failures)
        for m in PATH.finditer(text):
            paths += 1
            if not any(ROOT.glob(m.group(1).rstrip("/"))):
                failures.append(f"{file}:{text.count(chr(10), 0, m.start()) + 1}: there is no {m.group(1)}")
    mock = sorted((ROOT / "sdk/mock").glob("*.c"))
    for where, c in tests:
        program = work / c.stem
        if run(CC + [c, work / c.name.removeprefix("test_"), *mock, "-pthread", "-o", program], where, failures):
            run([program], where, failures)
    if manifold:
        run([manifold, "check", "--plugins", plugins, "--trust"], "manifests", failures)
        if (work / "manifold.yaml").exists():
            run([manifold, "check", "--config", work / "manifold.yaml"], "host config", failures, cwd=work)
    return failures, blocks, paths


def controls(page, sources):
    """Sentences about controls that page.md leaves out, or has in its table and the sources have not."""
    there = {name for s in sources for name in CONTROL.findall(s)}
    return [*(f"testing.md: the control {name} of host/ is missing" for name in sorted(there)
              if f"`{name}`" not in page),
            *(f"testing.md: host/ has no control {name}" for name in re.findall(r"^\| `(\w+)` \|", page, re.M)
              if name not in there)]


def self_test():
    one = ['if (protection_off("one"))']
    if controls("| `one` | |", one) or not controls("| one | |", one) or not controls("`one`\n| `two` | |", one):
        sys.exit("samples: does not notice a control that is missing, or not there any more")
    bad = {"```c\nint f(void) { return nothing; }\n```\n": "a fragment that does not compile",
           "```c x.c\n#include <manifold/plugin.h>\nint f(void);\nint f(void) { int unused; return 1; }\n```\n": "a warning",
           "```c x.c\nint x(void);\nint x(void) { return 1; }\n```\n```c test_x.c\nint main(void) { return 1; }\n```\n":
               "a test that fails",
           "see `host/engine/nowhere.c`\n": "a path that is not there"}
    for text, what in bad.items():
        with tempfile.TemporaryDirectory() as d:
            file = pathlib.Path(d) / "page.md"
            file.write_text(text)
            if not check([file], None, pathlib.Path(d))[0]:
                sys.exit(f"samples: does not notice {what}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if "--self-test" in arguments:
        arguments.remove("--self-test")
        self_test()
    pages = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    with tempfile.TemporaryDirectory() as d:
        found, samples, named = check(
            pages, pathlib.Path(arguments[0]).resolve() if arguments else None, pathlib.Path(d))
    found += controls((ROOT / "docs/internals/testing.md").read_text(),
                      [f.read_text() for f in sorted((ROOT / "host").rglob("*.c"))])
    print("".join(f"{f}\n" for f in found), end="")
    print(f"samples: {samples} blocks and {named} paths on {len(pages)} pages, {len(found)} untrue")
    sys.exit(1 if found else 0)
