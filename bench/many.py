"""Fifty plugins for the start-up figure: fifty manifests, each with a tool and a
schema of its own, and fifty libraries that differ in their bytes."""

import json
import os
import pathlib
import subprocess
from concurrent.futures import ThreadPoolExecutor

COUNT = 50
HERE = pathlib.Path(__file__).resolve().parent
SDK = HERE.parent / "sdk"

MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def tool(n):
    """The tool of plugin n as the client must see it."""
    return {
        "name": f"tool_{n:02}",
        "description": f"Says a message as number {n} of {COUNT}",
        "inputSchema": {
            "type": "object",
            "properties": {
                "message": {
                    "type": "string",
                    "description": f"What number {n} shall say",
                    "minLength": 1,
                    "maxLength": 100 + n,
                },
                "count": {"type": "integer", "minimum": 0, "maximum": n},
                "mode": {"enum": [f"mode-{n}", "plain", None, n]},
                "tags": {
                    "type": "array",
                    "items": {"type": "string", "pattern": f"^t{n}-[a-z]+$"},
                    "maxItems": 3 + n,
                },
                f"only_{n}": {"$ref": "#/$defs/place"},
            },
            "required": ["message"],
            "additionalProperties": False,
            "$defs": {
                "place": {
                    "type": "object",
                    "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
                    "required": ["x", "y"],
                }
            },
        },
    }


def yaml(value, indent):
    """Block-style YAML of a tree of dicts; lists and scalars stand as JSON, which is YAML too."""
    if not isinstance(value, dict):
        return " " + json.dumps(value) + "\n"
    pad = " " * indent
    return "\n" + "".join(f"{pad}{json.dumps(k)}:{yaml(v, indent + 2)}" for k, v in value.items())


def manifest(n):
    t = tool(n)
    return (
        f"manifold: 1\nid: org.example.many{n:02}\nversion: 1.0.0\nisolation: inproc\n"
        f"tools:\n  - name: {t['name']}\n    description: {t['description']}\n"
        f"    inputSchema:{yaml(t['inputSchema'], 6)}"
    )


def compile_one(directory, n):
    subprocess.run(
        [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-fvisibility=hidden",
         f"-DNUMBER={n}", f'-DDIGITS="{n:02}"', f"-I{SDK}/include", "-Wl,-z,defs",
         "-Wl,--exclude-libs,ALL", f"-Wl,--version-script={SDK}/cmake/plugin.map",
         "-o", str(directory / f"many{n:02}.so"), str(HERE / "many" / "many.c")],
        check=True,
    )


def make(directory):
    """Fills `directory` with the plugins; returns the tools they have, in the order of the list."""
    for n in range(COUNT):
        (directory / f"many{n:02}.yaml").write_text(manifest(n))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda n: compile_one(directory, n), range(COUNT)))
    return [tool(n) for n in range(COUNT)]


def script(path):
    """List, memory, one call to each tool, memory; all in the modern era, the list as the first line."""
    lines = [{"jsonrpc": "2.0", "id": 0, "method": "tools/list", "params": {"_meta": MODERN}}, "#pss"]
    for n in range(COUNT):
        arguments = {"message": f"m{n}", "count": n, f"only_{n}": {"x": n, "y": 0.5}}
        lines.append({"jsonrpc": "2.0", "id": n + 1, "method": "tools/call",
                      "params": {"name": f"tool_{n:02}", "arguments": arguments, "_meta": MODERN}})
    lines.append("#pss")
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines))


def check(answers, tools):
    """None when the list and all the calls are right, else what is wrong."""
    listed = answers[0].get("result", {}).get("tools", [])
    if [t["name"] for t in listed] != [t["name"] for t in tools]:
        return f"{len(listed)} tools listed, expected {len(tools)} in the order of their files"
    for want, found in zip(tools, listed):
        if {k: found.get(k) for k in want} != want:
            return f"{want['name']} is listed with another schema or text than its manifest's"
    for n, answer in enumerate(answers[1:]):
        result = answer.get("result", {})
        if result.get("isError") or result.get("content") != [{"type": "text", "text": f"plugin {n:02}: m{n}"}]:
            return f"tool_{n:02} answered {json.dumps(answer)[:300]}"
    return None
