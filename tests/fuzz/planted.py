#!/usr/bin/env python3
"""planted.py BUILD - shows that the fuzz targets can find something.

For each target one line of the host is broken in a copy, compiled and linked in
front of the libraries of the fuzz build; the fuzzer, from the seeds in this folder
alone, must find it within 20 seconds."""
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 20
FETCH = [f"plugins/fetch/{n}.c" for n in "charset content html json_check markdown robots text url".split()]
# target, its layers (highest first), dictionary, file, the line, the broken line, more sources
BUGS = [
    ("framer", "transport", "json", "host/transport/framer.c",
     "if (f->skipping || line.n > f->limit) {",
     "if (f->skipping || line.n > f->limit + 1) {"),
    ("reader", "json", "json", "host/json/reader.c", 
     "if (r->depth == r->depth_limit) {", "if (r->depth == r->depth_limit + 1) {"),
    ("manifest", "config", "yaml", "host/config/document.c",
     "if (w->depth == DOCUMENT_DEPTH)", "if (w->depth == DOCUMENT_DEPTH + 1)"),
    ("page", "json", "page", "plugins/fetch/json_check.c",
     "if (!n || n > 18 || (n > 1 && *first == '0'))", "if (!n || n > 18)", FETCH),
]
LAYERS = "transport mcp runtime engine plugin config json base".split()


def archives(build, layer):
    files = []
    for name in LAYERS[LAYERS.index(layer):]:
        path = build / "host" / f"liblayer_{name}.a"
        if path.exists():
            files.append(str(path))
    return ["-Wl,--start-group", *files, "-Wl,--end-group"]


def plant(build, scratch, bug):
    target, layer, dictionary, name, good, bad, *more = bug
    more = [str(ROOT / f) for f in (more[0] if more else []) if f != name]
    source = (ROOT / name).read_text()
    if source.count(good) != 1:
        sys.exit(f"planted: {name} has {source.count(good)} times: {good}")
    broken = scratch / pathlib.Path(name).name
    broken.write_text(source.replace(good, bad))
    program = scratch / f"fuzz_{target}"
    subprocess.run(
        ["clang", "-std=gnu11", "-O1", "-g", "-fsanitize=fuzzer,address,undefined",
         "-fno-sanitize-recover=all", "-D_GNU_SOURCE", '-DMANIFOLD_VERSION="planted"',
         f"-I{ROOT}/host", f"-I{ROOT}/sdk/include", "-iquote", str((ROOT / name).parent),
         str(ROOT / f"tests/fuzz/fuzz_{target}.c"), str(broken), *more, *archives(build, layer),
         *(["-lgumbo"] if more else []),
         "-lyaml", "-lpcre2-8", "-lnettle", "-l:libuv_a.a", "-lm", "-ldl", "-lpthread",
         "-o", str(program)], check=True)
    corpus = scratch / "corpus"
    corpus.mkdir()
    seeds = ROOT / "tests/fuzz" / target
    start = time.monotonic()
    run = subprocess.run(
        [str(program), f"-max_total_time={SECONDS}", "-seed=1", f"-artifact_prefix={scratch}/",
         f"-dict={ROOT}/tests/fuzz/{dictionary}.dict", str(corpus),
         *([str(seeds)] if seeds.is_dir() else [])],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10 * SECONDS)
    return run.returncode != 0, time.monotonic() - start


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    missed = 0
    for bug in BUGS:
        with tempfile.TemporaryDirectory() as scratch:
            found, took = plant(build, pathlib.Path(scratch), bug)
        print(f"planted: {bug[0]}: {'found' if found else 'NOT found'} after {took:.1f} s: {bug[5]}")
        missed += not found
    return 1 if missed else 0


sys.exit(main())
