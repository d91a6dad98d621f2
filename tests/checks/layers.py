#!/usr/bin/env python3
"""A layer of host/ includes only lower ones; a plugin includes only the SDK.

Prints one line per offence with file:line, and how many includes it looked at.
`--self-test` shows that the check can fail."""
import pathlib
import re
import sys
import tempfile

LAYERS = "base json config plugin engine services runtime mcp transport cli".split()
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def offences(root):
    seen = 0
    found = []
    for path in sorted(root.glob("host/**/*.[ch]")):
        parts = path.relative_to(root / "host").parts
        own = LAYERS.index(parts[0]) if parts[0] in LAYERS else len(LAYERS)
        if len(parts) > 1 and parts[0] not in LAYERS:
            found.append(f"{path}: {parts[0]} is no layer")
        for number, line in enumerate(path.read_text().splitlines(), 1):
            m = INCLUDE.match(line)
            if not m:
                continue
            seen += 1
            quote, name = m.groups()
            layer = name.split("/")[0]
            if quote == "<":
                continue
            if name.startswith("manifold/"):
                continue
            room = pathlib.Path(name).parent
            if name.endswith("internal.h") and room not in pathlib.Path(*parts).parents:
                found.append(f"{path}:{number}: {name} is private to {room}/")
            elif layer == parts[0] and "/" in name:
                continue
            elif layer not in LAYERS or "/" not in name:
                found.append(f'{path}:{number}: expected "LAYER/file.h", found "{name}"')
            elif LAYERS.index(layer) > own:
                found.append(f"{path}:{number}: {parts[0]} may include only lower layers, found {name}")
    for path in sorted(root.glob("plugins/**/*.[ch]")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            m = INCLUDE.match(line)
            if m:
                seen += 1
                if re.match(r"(uv|jansson|.*host/|base/|json/|engine/|config/)", m.group(2)):
                    found.append(f"{path}:{number}: a plugin includes only the SDK, found {m.group(2)}")
    return seen, found


def self_test():
    with tempfile.TemporaryDirectory() as d:
        root = pathlib.Path(d)
        (root / "host/base").mkdir(parents=True)
        (root / "host/base/bad.c").write_text('#include "engine/engine.h"\n#include "base/buf.h"\n')
        (root / "host/cli/room").mkdir(parents=True)
        (root / "host/cli/room/good.c").write_text('#include "cli/internal.h"\n#include "cli/room/internal.h"\n')
        (root / "host/cli/bad.c").write_text('#include "cli/room/internal.h"\n#include "base/internal.h"\n')
        seen, found = offences(root)
        return seen == 6 and len(found) == 3


def main():
    if not self_test():
        print("layers: the check does not see a planted offence")
        return 1
    root = pathlib.Path(__file__).resolve().parents[2]
    seen, found = offences(root)
    for line in found:
        print(line)
    print(f"layers: {seen} includes looked at, {len(found)} point upward or outside")
    return 1 if found or not seen else 0


sys.exit(main())
