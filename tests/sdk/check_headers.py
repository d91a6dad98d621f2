#!/usr/bin/env python3
"""The SDK's headers compile alone, without a warning, in every language and
compiler they promise, and include nothing but the C library and each other.

usage: check_headers.py INCLUDE_DIR header...
"""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WARNINGS = "-Wall -Wextra -Wpedantic -Wshadow -Werror".split()
C_ONLY = ["-Wstrict-prototypes", "-Wvla"]
MODES = [
    ("c99", "c", ["gcc", "clang"], ["-std=c99", "-pedantic-errors"] + C_ONLY),
    ("c11", "c", ["gcc", "clang"], ["-std=c11", "-pedantic-errors"] + C_ONLY),
    ("gnu11", "c", ["gcc", "clang"], ["-std=gnu11"] + C_ONLY),
    ("c++17", "c++", ["g++", "clang++"], ["-std=c++17"]),
]
LIBC = {"float.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h"}

# What a plugin does with the headers, so that macros are expanded too.
USE = """
MF_NOTE();
int use_has(const mf_host *h);
int use_has(const mf_host *h) { return MF_HAS(h, is_cancelled) && MF_LIT("x").len == 1; }
#ifdef MANIFOLD_JSON_H
mf_status use_json(mf_bytes text, size_t *ret);
mf_status use_json(mf_bytes text, size_t *ret)
{
    mfj_chunks c = mfj_chunks_open(mfj_find(mfj_read(text), "a/0"), 0);
    char buf[64];
    mf_bytes piece;
    mf_status more;
    mfj_writer w;
    *ret = 0;
    while ((more = mfj_chunk(&c, buf, sizeof(buf), &piece)) == 1)
        *ret += piece.len;
    mfj_write(&w, buf, sizeof(buf));
    mfj_put_double(&w, 0.5);
    if (mfj_done(&w, &piece) == MF_OK)
        *ret += piece.len;
    return more;
}
#endif
"""


def check_includes(include, header):
    bad = []
    for line in (include / header).read_text().splitlines():
        m = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if m and m[1] not in LIBC and not ((include / header).parent / m[1]).exists():
            bad.append(f"{header}: includes {m[1]}, which is neither libc's nor the SDK's")
    return bad


def compile_one(compiler, language, flags, include, header):
    source = f"#include <{header}>\n#include <{header}>\n#include <manifold/plugin.h>\n{USE}"
    with tempfile.TemporaryDirectory() as folder:
        command = [compiler, "-x", language, *flags, *WARNINGS, "-O2", "-D_FORTIFY_SOURCE=2", "-c", "-I", str(include),
                   "-o", f"{folder}/out.o", "-"]
        run = subprocess.run(command, input=source, text=True, capture_output=True)
    return run.stderr if run.returncode else ""


def main():
    include, headers = Path(sys.argv[1]), sys.argv[2:]
    bad, done, skipped = [], 0, set()
    for header in headers:
        bad += check_includes(include, header)
        for mode, language, compilers, flags in MODES:
            for compiler in compilers:
                if not shutil.which(compiler):
                    skipped.add(compiler)
                    continue
                done += 1
                complaint = compile_one(compiler, language, flags, include, header)
                if complaint:
                    bad.append(f"{header}, {compiler} {mode}:\n{complaint}")
    for compiler in sorted(skipped):
        print(f"skipped: {compiler} is not installed")
    print("\n".join(bad))
    print(f"{done} compilations, {len(bad)} complaints")
    return 1 if bad or not done else 0


if __name__ == "__main__":
    sys.exit(main())
