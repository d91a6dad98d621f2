#!/usr/bin/env python3
"""./dev bench: Manifold against the limit of the machine, interleaved in one run.

In each round the limit runs before and after Manifold, and the figure is the
ratio of the two in that round; the median of the rounds counts.  Exit status 1
when a target is missed or the path was not whole.  README.md beside this file
says what each figure means."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import many
import proof
import report

ROOT = pathlib.Path(__file__).resolve().parent.parent

# One case: how the generator is called, what is compared and what must be reached.
# `time` figures must stay below their target, `rate` figures above.
CASES = [
    dict(key="one", title="1 in flight, p50", in_flight=1, size=12, calls=20000,
         metric="p50_us", unit="us", kind="time", target=1.25),
    dict(key="64", title="64 in flight", in_flight=64, size=12, calls=300000,
         metric="rate", unit="/s", kind="rate", target=0.3),
    dict(key="1KiB", title="1 KiB, 64 in flight", in_flight=64, size=1024, calls=150000,
         metric="rate", unit="/s", kind="rate", target=0.3),
    dict(key="1MiB", title="1 MiB, p50", in_flight=1, size=1 << 20, calls=100,
         metric="p50_us", unit="us", kind="time", target=3.0),
]
ERAS = ("legacy", "modern")
MEMORY_GROWTH_KIB = 10 * 1024
START_RATIO = 5.0
START_IDLE_KIB, START_USED_KIB = 3 * 1024, 5 * 1024
OUTSIDE_RATIO = 0.9
STARTS = 5  # of each program in a round


class Bench:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.build = pathlib.Path(args.build).resolve()
        self.out = self.build / "bench"
        self.out.mkdir(exist_ok=True)
        self.log = open(self.out / "server.log", "wb")
        self.limit = [str(self.build / "bench-limit")]
        self.failures = []  # what was not whole, as sentences
        self.samples = {}   # (row, who) -> list of what the generator printed, one a round
        cpus = sorted(os.sched_getaffinity(0))
        self.cpus = f"{cpus[0]},{cpus[1]}" if len(cpus) > 1 and not args.no_pin else None

    def manifold(self, plugins):
        return [str(self.build / "manifold"), "serve", "--trust", "--plugins", str(plugins)]

    def generate(self, command, *options):
        line = [str(self.build / "bench-load"), *options, "--", *command]
        done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.log.write(done.stderr)
        self.log.flush()
        if done.returncode != 0:
            said = [s for s in done.stderr.decode(errors="replace").splitlines() if "bench-load:" in s]
            raise SystemExit(f"bench: {' '.join(line)}: {said[-1] if said else done.stderr[-400:]}")
        return json.loads(done.stdout)

    def load(self, case, era, command, *options, slower=1):
        calls = max(int(case["calls"] * self.args.scale / slower), 20)
        pin = ["--cpus", self.cpus] if self.cpus else []
        return self.generate(command, "--era", era, "--in-flight", str(case["in_flight"]),
                             "--size", str(case["size"]), "--calls", str(calls), *pin, *options)

    def keep(self, row, who, sample):
        self.samples.setdefault((row, who), []).append(sample)

    def values(self, row, who, metric):
        return [s[metric] for s in self.samples.get((row, who), [])]

    # ---- what is prepared before the rounds ----

    def prepare(self):
        self.plugins = self.work / "plugins"
        self.plugins.mkdir()
        source = self.build / "plugins"
        shutil.copy(source / "echo.so", self.plugins)
        (self.plugins / "echo.yaml").write_text(proof.hasten((source / "echo.yaml").read_text()))
        self.scripts = {era: proof.script(self.work / f"proof-{era}", era) for era in ERAS}
        self.many = self.work / "many"
        self.many.mkdir()
        print("bench: building fifty plugins and one outside the tree", file=sys.stderr)
        self.tools = many.make(self.many)
        self.many_script = self.work / "many-script"
        many.script(self.many_script)
        self.list_script = self.work / "list-script"
        self.list_script.write_text(self.many_script.read_text().splitlines()[0] + "\n")
        self.tools_file = self.work / "tools.json"
        self.tools_file.write_text(json.dumps(self.tools, separators=(",", ":")))
        self.outside = self.build_outside()

    def build_outside(self):
        source, build = self.work / "outside", self.work / "outside-build"
        shutil.copytree(ROOT / "bench" / "out-of-tree", source)
        for line in (["cmake", "-S", source, "-B", build, f"-DManifold_DIR={ROOT}/sdk/cmake"],
                     ["cmake", "--build", build]):
            done = subprocess.run([str(x) for x in line], stdout=self.log, stderr=self.log)
            if done.returncode != 0:
                raise SystemExit(f"bench: the plugin outside the tree does not build, see {self.log.name}")
        return build / "plugins"

    # ---- one round ----

    def round_case(self, case, era):
        row = f"{case['key']} {era}"
        before = self.load(case, era, self.limit)
        host = self.load(case, era, self.manifold(self.plugins), "--then", str(self.scripts[era]))
        after = self.load(case, era, self.limit)
        self.failures += [f"{row}: {why}" for why in proof.check(host)]
        metric = case["metric"]
        self.keep(row, "manifold", host)
        self.keep(row, "limit", before)
        self.keep(row, "limit again", after)
        self.keep(row, "pair", {"ratio": host[metric] * 2 / (before[metric] + after[metric]),
                                "noise": after[metric] / before[metric]})
        if case["key"] == "64":
            self.keep(row, "limit without its guess", self.load(case, era, self.limit + ["--walk"]))

    def round_outside(self):
        case = next(c for c in CASES if c["key"] == "64")
        for era in ERAS:
            row = f"outside {era}"
            before = self.load(case, era, self.manifold(self.plugins))
            outside = self.load(case, era, self.manifold(self.outside), "--tool", "echo_outside")
            after = self.load(case, era, self.manifold(self.plugins))
            self.keep(row, "manifold", outside)
            self.keep(row, "echo", before)
            self.keep(row, "echo again", after)
            self.keep(row, "pair", {"ratio": outside["rate"] * 2 / (before["rate"] + after["rate"]),
                                    "noise": after["rate"] / before["rate"]})

    def round_start(self):
        limit = self.limit + ["--tools", str(self.tools_file)]
        for _ in range(STARTS):
            before = self.generate(limit, "--script", str(self.list_script))["script"]["at_ms"][0]
            played = self.generate(self.manifold(self.many), "--script", str(self.many_script))["script"]
            after = self.generate(limit, "--script", str(self.list_script))["script"]["at_ms"][0]
            wrong = many.check(played["answers"], self.tools)
            if wrong:
                self.failures.append(f"fifty plugins: {wrong}")
            host = played["at_ms"][0]
            self.keep("start", "manifold", {"ms": host, "idle_kib": played["pss_kib"][0],
                                            "used_kib": played["pss_kib"][1]})
            self.keep("start", "limit", {"ms": before})
            self.keep("start", "limit again", {"ms": after})
            self.keep("start", "pair", {"ratio": host * 2 / (before + after), "noise": after / before})

    def round_peers(self, peers):
        for name, command in peers.items():
            for case in CASES:
                self.keep(f"{case['key']} legacy", name, self.load(case, "legacy", command, slower=20))

    # ---- the table ----

    def row(self, key, title, metric, unit, kind, target, base="limit"):
        pairs = self.samples[(key, "pair")]
        return report.Row(
            title=title, unit=unit, kind=kind, target=target,
            limit=statistics.median(self.values(key, base, metric) + self.values(key, f"{base} again", metric)),
            found=statistics.median(self.values(key, "manifold", metric)),
            ratio=statistics.median(p["ratio"] for p in pairs),
            noise=statistics.median(max(p["noise"], 1 / p["noise"]) for p in pairs))

    def absolute(self, title, found, target):
        return report.Row(title=title, unit="KiB", kind="time", target=1.0, limit=target, found=found,
                          ratio=found / target, noise=None)

    def rows(self):
        rows = [self.row(f"{c['key']} {era}", f"{c['title']}, {era}", c["metric"], c["unit"], c["kind"], c["target"])
                for c in CASES for era in ERAS]
        for era in ERAS:
            grown = [s["rss_peak_kib"] - s["rss_idle_kib"] for s in self.samples[(f"1MiB {era}", "manifold")]]
            rows.append(self.absolute(f"1 MiB: peak over idle, {era}", statistics.median(grown), MEMORY_GROWTH_KIB))
        rows.append(self.row("start", "50 plugins: spawn to list", "ms", "ms", "time", START_RATIO))
        for what, target in (("idle", START_IDLE_KIB), ("used", START_USED_KIB)):
            found = statistics.median(self.values("start", "manifold", f"{what}_kib"))
            rows.append(self.absolute(f"50 plugins: PSS {what}", found, target))
        for era in ERAS:
            rows.append(self.row(f"outside {era}", f"outside the tree / echo, {era}", "rate", "/s", "rate",
                                 OUTSIDE_RATIO, base="echo"))
        return rows


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default=ROOT / "build", help="a release build (default: build)")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--scale", type=float, default=1.0, help="of the numbers of calls, 0.1 for a quick look")
    p.add_argument("--no-gate", action="store_true", help="exit 0 when a target is missed")
    p.add_argument("--no-pin", action="store_true", help="let the kernel place server and generator")
    p.add_argument("--peers", action="store_true", help="also run the echo of the TypeScript SDK (npm)")
    return p.parse_args()


def main():
    args = arguments()
    for name in ("manifold", "bench-limit", "bench-load", "plugins/echo.so", "plugins/echo.yaml"):
        if not (pathlib.Path(args.build) / name).exists():
            raise SystemExit(f"bench: {args.build}/{name} is missing: ./dev build first")
    if os.getloadavg()[0] > 0.5:
        print(f"bench: the machine is busy (load {os.getloadavg()[0]:.1f}); the start-up figure suffers most", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="manifold-bench-") as work:
        bench = Bench(args, pathlib.Path(work))
        bench.prepare()
        peers = report.peers(ROOT) if args.peers else {}
        for n in range(args.rounds):
            print(f"bench: round {n + 1} of {args.rounds}", file=sys.stderr)
            for case in CASES:
                for era in ERAS:
                    bench.round_case(case, era)
            bench.round_outside()
            bench.round_start()
            bench.round_peers(peers)
        missed = report.write(bench, bench.rows(), peers)
    return 1 if (missed or bench.failures) and not args.no_gate else 0


if __name__ == "__main__":
    sys.exit(main())
