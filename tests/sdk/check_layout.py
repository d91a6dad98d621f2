#!/usr/bin/env python3
"""The layout of the ABI is what was promised: size, offset and type of every
field of every struct and the value of every constant in the SDK's ABI
headers, against the committed text.  They are read from the headers, so nothing can be left out.

usage: check_layout.py INCLUDE_DIR GOLDEN_DIR header... [--update]
       golden: GOLDEN_DIR/NAME.layout for manifold/NAME.h (x86-64 and other LP64)
"""
import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def strip_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def structs(text):
    """(C name, [(field, its declaration)...]) of every struct with a body."""
    for m in re.finditer(r"^(typedef )?struct (\w+) \{(.*?)^\} ?\w*;", text, flags=re.S | re.M):
        fields = []
        for declaration in m[3].split(";"):
            declaration = " ".join(declaration.split())
            if not declaration:
                continue
            function = re.match(r".*?\(\*(\w+)\)\(", declaration)
            if function:
                fields.append((function[1], declaration))
            else:
                first, *more = declaration.split(",")
                fields += [(re.search(r"(\w+)(\[\w+\])?$", x.strip())[1], declaration) for x in [first, *more]]
        yield ("struct " + m[2], fields)


def constants(text):
    for body in re.findall(r"^enum \{(.*?)\};", text, flags=re.S | re.M):
        for item in body.split(","):
            name = re.match(r"\s*(\w+)", item)
            if name:
                yield name[1]
    yield from re.findall(r"^#define (MF_ABI_\w+) ", text, flags=re.M)


def program(header, text):
    lines = [f"#include <{header}>", "#include <stdio.h>", "int main(void) {"]
    for name, fields in structs(text):
        lines.append(f'printf("{name} size %zu align %zu\\n", sizeof({name}), _Alignof({name}));')
        for f, declaration in fields:
            lines.append(f'printf("  %3zu %3zu {declaration}\\n", offsetof({name}, {f}), sizeof((({name} *)0)->{f}));')
    for name in constants(text):
        lines.append(f'printf("{name} %lld\\n", (long long){name});')
    return "\n".join(lines + ["return 0; }"])


def layout(include, header):
    text = strip_comments((include / header).read_text())
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["cc", "-std=c11", "-I", str(include), "-x", "c", "-", "-o", f"{folder}/layout"],
                       input=program(header, text), text=True, check=True)
        return subprocess.run([f"{folder}/layout"], capture_output=True, text=True, check=True).stdout


def main():
    update = "--update" in sys.argv
    args = [a for a in sys.argv[1:] if a != "--update"]
    include, golden_dir, headers = Path(args[0]), Path(args[1]), args[2:]
    bad = 0
    for header in headers:
        golden = golden_dir / (Path(header).stem + ".layout")
        found = layout(include, header)
        if update:
            golden.write_text(found)
        expected = golden.read_text() if golden.exists() else ""
        diff = list(difflib.unified_diff(expected.splitlines(), found.splitlines(),
                                         str(golden), header, lineterm=""))
        if diff or not found.strip():
            bad += 1
            print("\n".join(diff))
            print(f"{header}: the layout is not what {golden.name} promises.  Growth at the end of a struct "
                  "is allowed: then update the golden text and MF_ABI_MINOR.")
    print(f"{len(headers)} headers, {bad} changed")
    return 1 if bad or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
