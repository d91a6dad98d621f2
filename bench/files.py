#!/usr/bin/env python3
"""bench/files.py [BUILD]: what files/1 and the plugin filesystem promise of large things.

    ranges    a file of 1 GiB read in ranges of 1 MiB: how much the host's memory grows at its peak
    entries   a tree of a million entries: search_files over all of it, against find(1) in the same run;
              how long after a cancellation its call is over; directory_tree, which must give up
    race      tests/race/path_race.c with 1,000,000 exchanges: what got out

Everything read is compared with what was written.  Exit status 1 when a target is missed."""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}}
MIB = 1 << 20
FILE, RANGE, GROWTH = 1024 * MIB, MIB, 16 * MIB
DIRECTORIES, EACH = 1000, 999       # a million entries with the directories
CANCEL_MS, SEARCH_RATIO = 100, 5
SWAPS = 1000000


class Host:
    def __init__(self, build, root, *args):
        self.process = subprocess.Popen(
            [str(build / "manifold"), "serve", "--trust", "--plugins", str(build / "plugins"),
             "--grant", f"filesystem.files.root.path={root}", *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.id = 0
        self.tool("list_allowed_directories")

    def send(self, method, params, id=None):
        line = {"jsonrpc": "2.0", "method": method, "params": dict(params, _meta=META)}
        if id is not None:
            line["id"] = id
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self, id):
        while True:
            answer = json.loads(self.process.stdout.readline())
            if answer.get("id") == id:
                return answer["result"]

    def ask(self, method, params):
        self.id += 1
        self.send(method, params, self.id)
        return self.answer(self.id)

    def tool(self, name, **arguments):
        r = self.ask("tools/call", {"name": name, "arguments": arguments})
        return bool(r.get("isError")), r["content"][0]["text"]

    def running(self):
        text = self.ask("resources/read", {"uri": "manifold://status"})["contents"][0]["text"]
        return next(p["running"] for p in json.loads(text)["plugins"] if p["name"] == "filesystem")

    def memory(self, what):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(l.split()[1]) * 1024 for l in f if l.startswith(what + ":"))

    def close(self):
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.wait()


def ranges(build, folder):
    path, written = folder / "large", hashlib.sha256()
    with open(path, "wb") as f:
        for i in range(FILE // MIB):
            block = i.to_bytes(8, "big") * (MIB // 8)
            written.update(block)
            f.write(block)
    host, read, began = Host(build, folder), hashlib.sha256(), time.monotonic()
    before = host.memory("VmRSS")
    for offset in range(0, FILE, RANGE):
        r = host.ask("resources/read", {"uri": f"range://{offset}/{RANGE}{path}"})
        read.update(base64.b64decode(r["contents"][0]["blob"]))
    took, grown = time.monotonic() - began, host.memory("VmHWM") - before
    host.close()
    path.unlink()
    good = read.digest() == written.digest() and grown < GROWTH
    print(f"ranges    1 GiB in ranges of 1 MiB, all of it right: {read.digest() == written.digest()}; "
          f"memory grew by {grown / MIB:.1f} MiB at its peak (target: under {GROWTH // MIB}); {took:.1f} s")
    return good


def entries(build, folder):
    began = time.monotonic()
    for d in range(DIRECTORIES):
        os.mkdir(folder / f"d{d}")
        for f in range(EACH):
            os.close(os.open(folder / f"d{d}" / f"f{f}", os.O_CREAT | os.O_WRONLY))
    print(f"entries   made {DIRECTORIES * (EACH + 1):,} entries in {time.monotonic() - began:.0f} s")
    host = Host(build, folder, "--set", "filesystem.config.max_entries=2000000",
                "--set", "filesystem.limits.timeout=5m")
    before = host.memory("VmRSS")
    ratios = []
    for _ in range(3):
        began = time.monotonic()
        error, text = host.tool("search_files", path=".", pattern="**/f77")
        search = time.monotonic() - began
        began = time.monotonic()
        found = subprocess.run(["find", str(folder), "-name", "f77"], stdout=subprocess.PIPE).stdout
        ratios.append((search / (time.monotonic() - began), search))
    same = not error and sorted(text.split("\n")) == sorted(found.decode().split())
    ratio, search = sorted(ratios)[1]
    grown = host.memory("VmHWM") - before
    waits = []
    for _ in range(9):
        host.id += 1
        call = host.id
        host.send("tools/call", {"name": "search_files", "arguments": {"path": ".", "pattern": "**/none"}}, call)
        while not host.running():
            pass
        began = time.monotonic()
        host.send("notifications/cancelled", {"requestId": call})
        while host.running():
            pass
        waits.append((time.monotonic() - began) * 1000)
    began = time.monotonic()
    error, text = host.tool("directory_tree", path=".")
    tree = time.monotonic() - began
    host.close()
    good = same and ratio <= SEARCH_RATIO and max(waits) <= CANCEL_MS and error and grown < 64 * MIB
    print(f"entries   search_files: {search:.2f} s, {ratio:.1f} times find (target: at most {SEARCH_RATIO}), "
          f"the same {len(found.split())} files: {same}; memory grew by {grown / MIB:.1f} MiB (target: under 64)")
    print(f"entries   cancelled: over after {max(waits):.0f} ms at most (target: {CANCEL_MS})")
    print(f"entries   directory_tree gives up after {tree:.2f} s: {error}, \"{text}\"")
    return good


def race(build, folder):
    p = subprocess.run([str(build / "path_race"), str(SWAPS), str(folder)], stdout=subprocess.PIPE)
    print("race      " + p.stdout.decode().rstrip().replace("\n", "\n          "))
    return p.returncode == 0


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
    missed = []
    for figure in (ranges, entries, race):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            if not figure(build, pathlib.Path(os.path.realpath(folder))):
                missed.append(figure.__name__)
            shutil.rmtree(folder, ignore_errors=True)
    print(f"missed: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
