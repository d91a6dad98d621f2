#!/usr/bin/env python3
"""What the limits cost, and what they are good for.

Cost: echo on this build against a build of the same sources with admission, deadlines,
rate, breaker, watchdog and metrics compiled out (MANIFOLD_BARE), interleaved.
Use: the latency of echo while another plugin has all its slots stuck, against
the same without; and the effect of one stuck call where nothing keeps it from
the loop.  Each figure stands beside its noise, the same arm against itself in
the same round.  Exit status 1 when a target is missed."""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import proof
import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
SDK = ROOT / "sdk"
COST = 0.9         # of the bare build's calls a second
MOVES = 1.1        # of p99, or the noise if that is more
LATE_MS = 20       # an answer after its deadline
TIMEOUT_MS = 100   # of stuck.yaml and of echo's sleep
SLOTS = 8          # of stuck.yaml


def lines(path, *messages):
    """A script; a message that is to be awaited has an id that is a number."""
    path.write_text("".join(("" if isinstance(m["id"], int) else " ") + json.dumps(m) + "\n"
                            for m in messages))
    return path


def call(id, name, **arguments):
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": name, "arguments": arguments}}


STATUS = {"jsonrpc": "2.0", "id": 90, "method": "resources/read", "params": {"uri": "manifold://status"}}


def reason(answer):
    return answer.get("result", {}).get("_meta", {}).get("manifold/refused", {}).get("reason")


class Limits:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.build = pathlib.Path(args.build).resolve()
        self.samples = {}
        self.failures = []
        cpus = sorted(os.sched_getaffinity(0))
        self.pin = ["--cpus", f"{cpus[0]},{cpus[1]}"] if len(cpus) > 1 else []
        self.log = open(work / "log", "wb")

    def prepare(self):
        print("bench: building without limits", file=sys.stderr)
        self.bare = self.build / "bare"
        for line in (["cmake", "-S", ROOT, "-B", self.bare, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                      "-DMANIFOLD_TESTS=OFF", "-DMANIFOLD_BARE=ON"],
                     ["cmake", "--build", self.bare, "--target", "manifold"]):
            subprocess.run([str(x) for x in line], check=True, stdout=self.log, stderr=self.log)
        self.plugins = self.work / "plugins"
        self.plugins.mkdir()
        shutil.copy(self.build / "plugins/echo.so", self.plugins)
        manifest = proof.hasten((self.build / "plugins/echo.yaml").read_text())
        manifest, n = re.subn(r"(- name: echo_structured\n(?:.*\n)*?    limits: \{ timeout: 10s)",
                              r"\1, rate: 1/s", manifest, count=1)
        if n != 1:
            raise SystemExit("bench: echo.yaml has no limits at echo_structured")
        (self.plugins / "echo.yaml").write_text(manifest)
        shutil.copy(ROOT / "bench/stuck/stuck.yaml", self.plugins)
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-fvisibility=hidden",
                        f"-I{SDK}/include", "-Wl,-z,defs", "-Wl,--exclude-libs,ALL",
                        f"-Wl,--version-script={SDK}/cmake/plugin.map", "-o",
                        str(self.plugins / "stuck.so"), str(ROOT / "bench/stuck/stuck.c")], check=True)
        both = [call(i, "echo_structured", message="x") for i in (1, 2)]
        self.with_limits = lines(self.work / "with", *both, call(3, "sleep", ms=300), STATUS)
        self.all_stuck = lines(self.work / "stuck", *[call(i, "stuck", ms=60000) for i in range(SLOTS)])
        self.in_time = lines(self.work / "time", *[call(f"x{i}", "stuck", ms=60000) for i in range(SLOTS)])
        self.one_stuck = lines(self.work / "one", call("x", "stuck", ms=500))
        self.status = lines(self.work / "status", STATUS)

    def load(self, build, in_flight, calls, *options, scaled=True):
        calls = max(int(calls * self.args.scale), 100) if scaled else calls
        line = [str(self.build / "bench-load"), "--in-flight", str(in_flight), "--calls", str(calls),
                *self.pin, *[str(x) for x in options], "--", str(build / "manifold"), "serve", "--trust",
                "--plugins", str(self.plugins)]
        done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise SystemExit(f"bench: {' '.join(line)}: {done.stderr[-600:].decode(errors='replace')}")
        return json.loads(done.stdout)

    def keep(self, key, **sample):
        self.samples.setdefault(key, []).append(sample)

    def show(self, ok, sentence):
        if not ok:
            self.failures.append(sentence)

    # --- one round ---

    def round_cost(self):
        arms = [self.load(b, 64, 300000, "--then", self.with_limits)
                for b in (self.build, self.bare, self.build, self.bare)]
        for arm, limited in zip(arms, (True, False, True, False)):
            answers = arm["script"]["answers"]
            found = [reason(a) for a in answers[:3]]
            want = [None, "rate", "timeout"] if limited else [None, None, None]
            self.show(found == want, f"{'with' if limited else 'without'} limits the answers were {found}")
        for metric in ("rate", "cpu_us"):
            a, b, c, d = (arm[metric] for arm in arms)
            self.keep(metric, found=(a + c) / 2, base=(b + d) / 2, ratio=(a + c) / (b + d), noise=c / a)

    def round_stuck(self, in_flight, calls):
        before = self.load(self.build, in_flight, calls)
        stuck = self.load(self.build, in_flight, calls, "--first", self.all_stuck, "--then", self.status)
        after = self.load(self.build, in_flight, calls)
        p = proof.plugin(stuck["script"]["answers"][0], "stuck")
        self.show(p["leaked"] == SLOTS, f"{p['leaked']} of {SLOTS} slots were stuck")
        a, s, b = (x["p99_us"] for x in (before, stuck, after))
        self.keep(f"stuck {in_flight}", found=s, base=(a + b) / 2, ratio=2 * s / (a + b), noise=b / a)

    def round_deadline(self):
        loaded = self.load(self.build, 64, 300000, "--first", self.in_time, "--then", self.status)
        p = proof.plugin(loaded["script"]["answers"][0], "stuck")
        self.show(p["timeouts"] == SLOTS and loaded["seconds"] * 1000 > TIMEOUT_MS,
                  "the deadlines did not come during the run")
        late = p["entries"][0]["durationUs"]["max"] / 1000 - TIMEOUT_MS
        self.keep("deadline", found=late, base=LATE_MS, ratio=late / LATE_MS, noise=1)

    def round_control(self):
        """20 calls behind one that is stuck for half a second."""
        for name, build in (("kept", self.build), ("on the loop", self.bare)):
            one = self.load(build, 1, 20, "--warmup", 0, "--first", self.one_stuck, scaled=False)
            self.keep(name, p99=one["p99_us"])

    # --- the table ---

    def row(self, key, title, unit, kind, target):
        s = self.samples[key]
        m = {k: statistics.median(x[k] for x in s) for k in ("found", "base", "ratio")}
        noise = statistics.median(max(x["noise"], 1 / x["noise"]) for x in s)
        if key.startswith("stuck"):
            target = max(target, noise)
        return report.Row(title=title, unit=unit, kind=kind, target=target, limit=m["base"], found=m["found"],
                          ratio=m["ratio"], noise=noise if key != "deadline" else None)

    def rows(self):
        return [self.row("rate", "64 in flight, with limits / bare", "/s", "rate", COST),
                self.row("stuck 1", "1 in flight, p99, other plugin stuck / idle", "us", "time", MOVES),
                self.row("stuck 64", "64 in flight, p99, the same", "us", "time", MOVES),
                self.row("deadline", "answer after its deadline, 64 in flight", "ms", "time", 1.0)]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default=ROOT / "build", help="a release build (default: build)")
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--scale", type=float, default=1.0, help="of the numbers of calls")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="manifold-bench-") as work:
        b = Limits(args, pathlib.Path(work))
        b.prepare()
        for n in range(args.rounds):
            print(f"bench: limits, round {n + 1} of {args.rounds}", file=sys.stderr)
            b.round_cost()
            b.round_stuck(1, 40000)
            b.round_stuck(64, 200000)
            b.round_deadline()
            b.round_control()
    rows = b.rows()
    print(report.table(rows))
    cpu = {k: statistics.median(x[k] for x in b.samples["cpu_us"]) for k in ("found", "base", "ratio", "noise")}
    print(f"processor time a call: {cpu['found']:.3f} us with limits, {cpu['base']:.3f} us bare, "
          f"ratio {cpu['ratio']:.2f}, noise {cpu['noise']:.2f}")
    kept, held = (statistics.median(s["p99"] for s in b.samples[k]) / 1000 for k in ("kept", "on the loop"))
    print(f"control: one call stuck for 500 ms, 20 calls behind it: p99 {kept:.2f} ms on its own thread, "
          f"{held:.0f} ms where it is on the loop")
    b.show(held > 10 * kept, "without the protection the stuck call made no difference")
    for sentence in sorted(set(b.failures)):
        print("bench:", sentence)
    return 1 if b.failures or not all(r.met for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
