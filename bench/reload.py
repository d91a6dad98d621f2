#!/usr/bin/env python3
"""bench/reload.py BUILD: does a call wait for a reload?

Fifty plugins, all loaded, and a client that calls them in turn, one call at a time and without
a pause.  A window is half a second; in a window with a reload the manifest and the library of one
plugin are replaced and SIGHUP is sent, so that the library, now of 8 MiB, is copied, hashed,
probed in a child and opened meanwhile.  Each round has four windows in changing order: two
without a reload (their difference is the noise), one with, and as the control one of a host whose
loop does the builder thread's work (BUILD/bare, -DMANIFOLD_BARE=ON, made here).  The figure is the
longest call of a window; medians over the rounds.  Exit status 1 when the longest call with a
reload is over 5 ms longer than without, or when the control does not stand out from the noise."""

import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import many

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROUNDS, WINDOW, TARGET_MS = 11, 0.5, 5.0
MORE_BYTES = os.urandom(8 << 20)    # a library of some size: to copy and hash it takes longer than a call may wait
STANDS_OUT = 5      # times the noise


class Host:
    """Fifty plugins of its own, all loaded."""

    def __init__(self, build, plugins):
        self.plugins, self.reloads = plugins, 0
        many.make(plugins)
        self.process = subprocess.Popen(
            [str(build / "manifold"), "serve", "--trust", "--plugins", str(plugins)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.id = 0
        for n in range(many.COUNT):
            self.call(n)

    def ask(self, method, params):
        self.id += 1
        line = {"jsonrpc": "2.0", "id": self.id, "method": method,
                "params": dict(params, _meta=many.MODERN)}
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if answer.get("id") != self.id or "result" not in answer or answer["result"].get("isError"):
            raise SystemExit(f"bench: {method}: {answer}")
        return answer["result"]

    def call(self, n):
        """Milliseconds."""
        began = time.perf_counter()
        result = self.ask("tools/call", {"name": f"tool_{n:02}", "arguments": {"message": "hi"}})
        took = (time.perf_counter() - began) * 1000
        if result["content"][0]["text"] != f"plugin {n:02}: hi":
            raise SystemExit(f"bench: tool_{n:02}: {result}")
        return took

    def end(self):
        """Checks that each reload took place."""
        r = self.ask("resources/read", {"uri": "manifold://status"})
        status = json.loads(r["contents"][0]["text"])
        done = [p["generation"] for p in status["plugins"]].count(2)
        self.process.stdin.close()
        if self.process.wait() or status["problems"] or done != self.reloads:
            raise SystemExit(f"bench: {done} of {self.reloads} reloads took place, {status['problems']}")


def change(plugins, n, mark):
    """Another manifest and a library of other bytes, put in place by rename."""
    for name, data in ((f"many{n:02}.so", (plugins / f"many{n:02}.so").read_bytes() + MORE_BYTES),
                       (f"many{n:02}.yaml", (many.manifest(n) + f"# {mark}\n" +
                                             f"config: {{ mark: {mark} }}\n").encode())):
        (plugins / "new.tmp").write_bytes(data)
        os.rename(plugins / "new.tmp", plugins / name)


def window(host, reload):
    """The longest call in ms, and how many there were."""
    took, began, at = [], time.perf_counter(), None
    if reload:
        change(host.plugins, host.reloads % many.COUNT, host.reloads)
        host.reloads += 1
        at = began + WINDOW / 4
    while time.perf_counter() - began < WINDOW:
        if at and time.perf_counter() >= at:
            at = None
            host.process.send_signal(signal.SIGHUP)
        took.append(host.call(len(took) % many.COUNT))
    return max(took), len(took)


def build_bare(build):
    bare = build / "bare"
    for line in (["cmake", "-S", ROOT, "-B", bare, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                  "-DMANIFOLD_TESTS=OFF", "-DMANIFOLD_BARE=ON"],
                 ["cmake", "--build", bare, "--target", "manifold"]):
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    return bare


def measure(host, bare):
    """{arm: the longest call of each round, in ms}, and calls a window."""
    arms = {"none": (host, False), "none again": (host, False), "reload": (host, True),
            "on the loop": (bare, True)}
    longest, calls = {arm: [] for arm in arms}, []
    for _ in range(ROUNDS):
        for arm in random.sample(list(arms), len(arms)):
            ms, n = window(*arms[arm])
            longest[arm].append(ms)
            calls.append(n)
    return longest, statistics.median(calls)


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        hosts = []
        for name, where in (("with", build), ("without", build_bare(build))):
            (work / name).mkdir()
            hosts.append(Host(where, work / name))
        longest, calls = measure(*hosts)
        for host in hosts:
            host.end()
    median = {arm: statistics.median(v) for arm, v in longest.items()}
    more = {arm: median[arm] - median["none"] for arm in median}
    print(f"{ROUNDS} rounds, {many.COUNT} plugins, about {calls:.0f} calls a window; "
          f"longest call in ms, median (worst)")
    for arm, values in longest.items():
        print(f"  {arm:12} {median[arm]:6.2f} ({max(values):.2f})")
    noise = abs(more["none again"])
    print(f"noise, none against none: {more['none again']:+.2f} ms; with a reload: {more['reload']:+.2f} "
          f"ms, target at most +{TARGET_MS} ms; control, built on the loop: {more['on the loop']:+.2f} ms, "
          f"must be over {STANDS_OUT} times the noise and what a reload costs")
    if more["reload"] > TARGET_MS or more["on the loop"] < STANDS_OUT * max(noise, more["reload"], 0.1):
        sys.exit(1)


if __name__ == "__main__":
    main()
