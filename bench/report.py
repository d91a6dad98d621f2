"""The table on the terminal, build/bench/result.json and build/bench/result.svg."""

import dataclasses
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import time


@dataclasses.dataclass
class Row:
    title: str
    unit: str
    kind: str      # time: at most `target` times the limit; rate: at least
    target: float
    limit: float   # median of the limit, or the bound itself for memory
    found: float   # median of Manifold
    ratio: float   # median of the ratios of the rounds
    noise: float   # the limit against itself; None where nothing is compared

    @property
    def met(self):
        return self.ratio <= self.target if self.kind == "time" else self.ratio >= self.target

    @property
    def score(self):
        """1 is on target, more is better."""
        return self.target / self.ratio if self.kind == "time" else self.ratio / self.target


def human(value, unit):
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"


def table(rows):
    lines = [("figure", "limit", "Manifold", "ratio", "target", "limit/limit", "")]
    for r in rows:
        sign = "<=" if r.kind == "time" else ">="
        lines.append((r.title, human(r.limit, r.unit), human(r.found, r.unit), f"{r.ratio:.2f}",
                      f"{sign} {r.target:g}", "" if r.noise is None else f"{r.noise:.2f}",
                      "ok" if r.met else "MISSED"))
    widths = [max(len(line[i]) for line in lines) for i in range(7)]
    return "\n".join("  ".join(cell.ljust(w) if i in (0, 6) else cell.rjust(w)
                               for i, (cell, w) in enumerate(zip(line, widths))).rstrip() for line in lines)


def side_rows(bench):
    """What has no target: processor time, percentiles, the limit without its guess, the peers."""
    lines = []
    for (key, who), samples in sorted(bench.samples.items()):
        if "cpu_us" not in samples[0] or who.endswith("again"):
            continue
        m = {k: statistics.median(s[k] for s in samples) for k in ("rate", "p50_us", "p99_us", "cpu_us", "pss_after_kib")}
        lines.append(f"  {key:<15} {who:<24} {m['rate']:>11,.0f} /s  p50 {m['p50_us']:>8.1f} us  p99 {m['p99_us']:>9.1f} us"
                     f"  cpu {m['cpu_us']:>8.2f} us/call  PSS {m['pss_after_kib'] / 1024:>6.1f} MiB")
    return "\n".join(lines)


def svg(rows):
    """Bars of how far each figure is beyond (right) or short of (left) its target, on a log scale."""
    left, width, step = 260, 360, 24
    height = step * len(rows) + 60
    per_octave = width / 6  # a quarter to sixteen times

    def x(score):
        return left + (max(-2.0, min(4.0, math.log2(score))) + 2) * per_octave

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 190}" height="{height}" '
           'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{left}" y="16">ratio to the limit; the line is the target, right of it is better</text>']
    for i, r in enumerate(rows):
        y, at, one = 28 + i * step, x(r.score), x(1)
        colour = "#2e7d32" if r.met else "#c62828"
        sign = "≤" if r.kind == "time" else "≥"
        out.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{r.title}</text>')
        out.append(f'<rect x="{min(at, one):.1f}" y="{y}" width="{max(abs(at - one), 1):.1f}" height="{step - 7}" fill="{colour}"/>')
        out.append(f'<text x="{left + width + 8}" y="{y + 13}">{r.ratio:.2f} ({sign} {r.target:g})</text>')
    for octave in range(-2, 5):
        at = x(2.0 ** octave)
        out.append(f'<line x1="{at:.1f}" y1="24" x2="{at:.1f}" y2="{height - 24}" '
                   f'stroke="{"black" if octave == 0 else "#dddddd"}"/>')
        out.append(f'<text x="{at:.1f}" y="{height - 8}" text-anchor="middle">{2.0 ** octave:g}x</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def write(bench, rows, peers):
    """Prints and writes everything; returns how many targets were missed."""
    missed = [r for r in rows if not r.met]
    print(table(rows) + "\n\nmedians behind it and beside it:\n" + side_rows(bench) + "\n")
    failures = sorted(set(bench.failures))
    for sentence in failures:
        print(f"not whole: {sentence}")
    print(f"path: {'NOT whole' if failures else 'whole: every answer right, every call counted, a bad argument refused, a late call ended'}")
    print(f"{len(rows) - len(missed)} of {len(rows)} targets met")
    result = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "pinned": bench.cpus,
                    "load": os.getloadavg()[0]},
        "rounds": bench.args.rounds, "scale": bench.args.scale, "failures": failures,
        "figures": [dict(dataclasses.asdict(r), met=r.met) for r in rows],
        "samples": {f"{row} / {who}": [{k: v for k, v in s.items() if k != "script"} for s in samples]
                    for (row, who), samples in sorted(bench.samples.items())},
    }
    (bench.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    (bench.out / "result.svg").write_text(svg(rows))
    print(f"written: {bench.out}/result.json, {bench.out}/result.svg")
    return len(missed)


def peers(root):
    """Commands of the peers that can be run here, by name; says which cannot and why."""
    cache = root / ".cache" / "bench-peer-node"
    if not (shutil.which("node") and shutil.which("npm")):
        print("skipped: node echo with the TypeScript SDK: node or npm is not installed")
        return {}
    shutil.copytree(root / "bench" / "peer-node", cache, dirs_exist_ok=True)
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=cache, capture_output=True)
    if done.returncode != 0:
        print("skipped: node echo with the TypeScript SDK: npm could not install it")
        return {}
    return {"node, TypeScript SDK": ["node", str(cache / "server.mjs")]}
