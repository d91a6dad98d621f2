#!/usr/bin/env python3
"""What a kept result costs against the cheapest tool there is: echo with `cache:` and without, through tools/call.

    python3 bench/results.py [--build build] [--rounds N] [--scale X]

The calls are drawn from 100,000 texts by Zipf's law with the exponent 0.99 (as YCSB draws), and the
cache is too small for all of them.  In each round the tool without `cache:`
runs, with it, and without again; the ratio is taken to the mean of the two, whose own ratio is the
noise.  `hits alone`: the same with a cache that holds them all.  A run counts only when the host has
counted its calls: without `cache:` all of them reached the plugin, with it hits and misses are all of
them, and where the cache is too small it has evicted.  Exit status 1 when the target is missed."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import proof
import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = 0.9        # of the calls a second without `cache:`
TEXTS = 100_000
ZIPF = 99           # hundredths: the exponent of YCSB's "zipfian"
SMALL, LARGE = "16MiB", "32MiB"
CALLS, WARMUP = 1_500_000, 500_000


class Results:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.build = pathlib.Path(args.build).resolve()
        cpus = sorted(os.sched_getaffinity(0))
        self.pin = ["--cpus", f"{cpus[0]},{cpus[1]}"] if len(cpus) > 1 else []
        self.status = work / "status"
        self.status.write_text(json.dumps({"jsonrpc": "2.0", "id": 90, "method": "resources/read",
                                           "params": {"uri": "manifold://status"}}) + "\n")
        for name in ("run", "kept"):
            (work / name).mkdir()
            shutil.copy(self.build / "plugins/echo.so", work / name)
            (work / name / "echo.yaml").write_text(self.manifest(name == "kept"))

    def manifest(self, kept):
        text = (self.build / "plugins/echo.yaml").read_text()
        line = "    limits: { timeout: 10s }\n"
        if line not in text:
            raise SystemExit("bench: echo.yaml has no limits at its first tool")
        return text.replace(line, line + "    cache: { ttl: 1h }\n", 1) if kept else text

    def run(self, plugins, memory):
        config = self.work / "host.yaml"
        config.write_text(f"manifold: 1\nsources: [{{ path: {json.dumps(str(self.work / plugins))}, trust: true }}]\n"
                          f"admin: none\ncache: {{ memory: {memory} }}\n")
        calls, warmup = (max(int(n * self.args.scale), TEXTS) for n in (CALLS, WARMUP))
        done = subprocess.run(
            [str(self.build / "bench-load"), "--in-flight", "64", "--calls", str(calls + warmup), "--warmup", str(warmup),
             "--texts", str(TEXTS), "--zipf", str(ZIPF), "--then", str(self.status), *self.pin, "--",
             str(self.build / "manifold"), "serve", "--config", str(config)], capture_output=True)
        if done.returncode != 0:
            raise SystemExit(f"bench: {done.stderr[-600:].decode(errors='replace')}")
        run = json.loads(done.stdout)
        answer = run["script"]["answers"][0]
        status = json.loads(answer["result"]["contents"][0]["text"])
        entry = next(e for e in proof.plugin(answer, "echo")["entries"] if e["name"] == "echo")
        run.update(plugin=entry["calls"], hits=entry["hits"], misses=entry["misses"], shared=entry["shared"],
                   evictions=status["cache"]["evictions"])
        self.whole(run, plugins, memory)
        return run

    def whole(self, run, plugins, memory):
        """Ends it all when the calls did not go the way that is measured."""
        sent, kept = run["sent"], plugins == "kept"
        counted = run["hits"] + run["misses"] + run["shared"]
        if not (kept and counted == sent or not kept and run["plugin"] == sent and counted == 0):
            raise SystemExit(f"bench: of {sent} calls {run['plugin']} reached the plugin, {run['hits']} were hits, "
                             f"{run['misses']} misses, {run['shared']} shared")
        if kept and (run["evictions"] > 0) != (memory == SMALL):
            raise SystemExit(f"bench: {memory} of cache evicted {run['evictions']} times")

    def round(self, samples):
        for arm, memory in (("small", SMALL), ("large", LARGE)):
            a, k, b = self.run("run", memory), self.run("kept", memory), self.run("run", memory)
            base = (a["rate"] + b["rate"]) / 2
            samples[arm].append({"base": base, "found": k["rate"], "ratio": k["rate"] / base,
                                 "noise": b["rate"] / a["rate"], "cpu": 2 * k["cpu_us"] / (a["cpu_us"] + b["cpu_us"]),
                                 "hits": k["hits"] / k["sent"], "evictions": k["evictions"],
                                 "p99": (k["p99_us"], (a["p99_us"] + b["p99_us"]) / 2)})


def row(samples, title):
    m = {k: statistics.median(s[k] for s in samples) for k in ("base", "found", "ratio")}
    noise = statistics.median(max(s["noise"], 1 / s["noise"]) for s in samples)
    return report.Row(title=title, unit="/s", kind="rate", target=TARGET, limit=m["base"], found=m["found"],
                      ratio=m["ratio"], noise=noise)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--build", default=ROOT / "build")
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--scale", type=float, default=1.0, help="of the numbers of calls")
    args = p.parse_args()
    samples = {"small": [], "large": []}
    with tempfile.TemporaryDirectory(prefix="manifold-bench-") as work:
        b = Results(args, pathlib.Path(work))
        for n in range(args.rounds):
            print(f"bench: results, round {n + 1} of {args.rounds}", file=sys.stderr)
            b.round(samples)
    rows = [row(samples["small"], "64 in flight, echo with cache:, evicting / without"),
            row(samples["large"], "64 in flight, echo with cache:, hits alone / without")]
    print(report.table(rows))
    for arm, title in (("small", "evicting"), ("large", "hits alone")):
        m = {k: statistics.median(s[k] for s in samples[arm]) for k in ("hits", "evictions", "cpu")}
        p99 = [statistics.median(s["p99"][i] for s in samples[arm]) for i in (0, 1)]
        print(f"{title}: {TEXTS} keys, {m['hits']:.1%} of the calls were hits, {m['evictions']:.0f} evictions; processor "
              f"time a call {m['cpu']:.2f} of that without; p99 {p99[0]:.0f} us, without {p99[1]:.0f} us")
    return 0 if all(r.met for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
