#!/usr/bin/env python3
"""torture.py [OPTION]... BINARY PLUGINS BAD FAULTLIB - every allocation fails once

Runs one session of the host (session.py: start, calls, reloads good and refused, stop with a call under
way) again and again; in run n the n-th allocation since main() fails, once or from then on, until a run
in which none was left to fail.  Each run must

  - answer every request as the session without a fault did, or with an error that says why, and
    exit 0; what is not served, and what a reload refused, must have its reason in the log; a reload that
    says that it was made must have been made; or
  - end with code 71 and one sentence on standard error, before it has answered anything

and never end by a signal, hang, print a sanitizer's report, or write a line that is no message.
What libuv itself aborts on is no fault of the host: those functions are in LIBUV, and their runs
are counted and named.  Prints the sites that failed, and ends with 1 when a run was not as it must.

--all is every n; else --runs of each mode are spread evenly, by chance within each part of the whole, with
the seed that is printed.
"""
import argparse
import collections
import concurrent.futures
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

import session
from run import RELOAD, Run, error_text, no_batch

CLEAN = 3           # runs without a failure in a row that end the series: threads make n vary by a few
WAVE = 32
FAILURES_SHOWN = 12
LIBUV = {"uv__io_start"}   # grows the table of watched descriptors, or aborts (src/unix/core.c)
# The host's own, which ask for others: the site is who called them.
ALLOCATORS = {"xcalloc", "str_dup", "err_keep", "buf_reserve", "buf_append", "buf_append_slow",
              "buf_byte", "buf_str", "buf_printf", "buf_vprintf", "buf_cstr"}
# Why something is not as it is without the fault.  What is no reason: an invalid message of ours.
REASON = re.compile(r"memory|not served|can't be (read|started|mapped|made|opened)|cannot|"
                    r"[Mm]emory|longer than what may wait|there is no thread|limits.calls|"
                    r"failed with -\d+|plugin.* (failed|ended)")
# The client took what was written, and there was not even memory for the next short answer.
GIVEN_UP = "the output can't be written: Cannot allocate memory"


# --- was it as it must be? ---

def refused_in(line):
    """How many plugins a reload refused, by its line in the log; None: all of it."""
    found = re.search(rb"(\d+) refused", line)
    return int(found[1]) if found else None


def reloads(run):
    return [refused_in(line) for line in RELOAD.findall(run.errors)]


def judge_reloads(run, good):
    """None, or what a reload that was made has not made."""
    made, expected = reloads(run), reloads(good)
    wrong = [i for i, count in enumerate(made) if count != expected[i]] if len(made) <= len(
        expected) else [len(made)]
    if run.mode == "once" and len(wrong) > 1:
        return "one failure refuses more than one reload: %s" % made
    for id, since in session.AFTER_RELOAD.items():
        answer = run.answers.by_id.get(id)
        if since - 1 in wrong or not answer or error_text(answer) is not None:
            continue
        if session.made_of(answer) != session.made_of(good.answers.by_id[id]):
            return "reload %d was made, but %r is answered with %s" % (
                since, id, json.dumps(answer)[:600])
    return None


def judge_answers(run, good, log):
    a = run.answers
    texts = [error_text(m) or "" for m in a.by_id.values()]
    explained = any(REASON.search(text) for text in [log, *texts])
    for id, expected in good.answers.by_id.items():
        if id in session.BATCH and id not in a.by_id and no_batch(a):
            continue
        if id in session.UNDER_WAY_AT_THE_END and run.stop_took >= session.GRACE:
            continue   # the machine was too busy for it
        if id not in a.by_id:
            return "%r is not answered" % id
        got, text = a.by_id[id], error_text(a.by_id[id])
        if session.comparable(id, got) == session.comparable(id, expected):
            continue
        if text is not None and REASON.search(text):
            continue
        if "error" in got and got["error"].items() <= expected.get("error", {}).items():
            continue   # without its data
        if not explained:   # a plugin that could not be read lacks in lists, and the log says why
            return "%r is answered otherwise, and nothing says why: %s" % (
                id, json.dumps(got)[:600])
        if text is None and id not in session.LISTS and not session.stamp_of(got):
            return "%r has a wrong answer: %s" % (id, json.dumps(got)[:600])
    return None


def judge(run, good):
    """None, or what is wrong with the run."""
    if run.wrong and not (run.code == 71 and run.cut):
        return run.wrong
    if run.code == 71 and not run.answers.by_id:
        return None if REASON.search(run.log) else "exits 71 without a reason"
    if run.code == 1 and not run.answers.by_id and REASON.search(run.log):
        return None   # the settings could not be read
    if GIVEN_UP in run.log and run.code in (0, -signal.SIGHUP):
        return None
    if run.code < 0:
        return "ends by signal %d" % -run.code
    if run.code:
        return "exits %d" % run.code
    # That a plugin is broken is no reason for anything else.
    log = "\n".join(line for line in run.log.split("\n") if "memory" in line
                    or not re.search(r"\bbroken\b|texts\.yaml|failed with -9", line))
    why = judge_reloads(run, good) or judge_answers(run, good, log)
    if why:
        return why
    a = run.answers
    if len(a.anonymous) != len(good.answers.anonymous) and not any(
            REASON.search(error_text(m) or "") for m in a.anonymous):
        return "%d answers without an id: %s" % (len(a.anonymous), json.dumps(a.anonymous)[:600])
    for m in a.notified:
        if m not in good.answers.notified and not session.may_come(m):
            return "a notification that is not of this session: %s" % json.dumps(m)[:300]
    return None


class Names:
    """FILE OFFSET to function:line, by addr2line in one go."""

    def __init__(self):
        self.known = {}

    def learn(self, frames):
        files = collections.defaultdict(set)
        for f in frames:
            if f not in self.known:
                path, _, offset = f.rpartition(" ")
                files[path].add(offset)
        for path, offsets in files.items():
            offsets = sorted(offsets)
            out = ""
            if os.path.exists(path) and not path.startswith(("/proc", "/usr", "/lib")):
                out = subprocess.run(["addr2line", "-a", "-i", "-f", "-e", path, *offsets],
                                     capture_output=True, text=True, check=False).stdout
            answers = re.split(r"(?m)^0x[0-9a-f]+\n", out)[1:]
            for i, offset in enumerate(offsets):
                name, ours = "[%s]" % os.path.basename(path), False
                # Inlined functions come first, each with its place on a line of its own.
                lines = answers[i].split("\n") if i < len(answers) else []
                for function, where in zip(lines[::2], lines[1::2]):
                    if function != "??":
                        where = where.split(" ")[0]
                        name = "%s:%s" % (function, where.rsplit(":", 1)[1])
                        ours = "/host/" in where
                        if function not in ALLOCATORS:
                            break
                if path.startswith("/proc/self/fd"):
                    name = "[plugin]"
                self.known["%s %s" % (path, offset)] = (name, ours)

    def site(self, frames):
        """The function of the host that asked, and through which library."""
        through = None
        for f in frames:
            name, ours = self.known[f]
            if "faultlib.so " in f:
                continue
            if ours and name.split(":")[0] not in ALLOCATORS:
                return name + (" through %s" % through if through else "")
            if not ours and not through:
                through = name.split(":")[0]
        return through or "?"

    def functions(self, frames):
        return [self.known[f][0].split(":")[0] for f in frames]


# --- all runs of one mode ---

def numbers(o, good):
    """Which allocations are to fail: all, or some of each stretch."""
    first, last = 1, None
    if o.part:
        parts = list(good.marks)
        first = 1 + (good.marks[parts[parts.index(o.part) - 1]] if parts[0] != o.part else 0)
        last = good.marks[o.part] + 1
        first = max(first, last - o.tail) if o.tail else first
    if o.all:
        return itertools.count(first) if last is None else range(first, last)
    count = (last or good.count + 1) - first
    runs = min(o.runs, count)
    return [first + random.Random("%s %d" % (o.seed, i)).randrange(
        i * count // runs, (i + 1) * count // runs) for i in range(runs)]


def make_run(o, n, mode, good):
    run = Run(o, n, mode).go()
    run.why = judge(run, good)
    run.given_up, run.fixed = GIVEN_UP in run.log, "fixed-size object" in run.log
    if not run.why and not o.only:   # nobody looks at the rest of a run that was as it must be
        run.answers, run.errors, run.log = None, b"", ""
    return run


def series(o, mode, pool, good):
    """All runs of one mode, in order of n."""
    n, clean, runs, wrong = iter(numbers(o, good)), 0, [], 0
    while clean < CLEAN:
        wave = list(itertools.islice(n, WAVE))
        if not wave:
            break
        for run in pool.map(lambda k: make_run(o, k, mode, good), wave):
            runs.append(run)
            clean = clean + 1 if not run.failed else 0
            # An abort may be libuv's and so an exception: that is told apart at the end.
            wrong += bool(run.why and run.code != -signal.SIGABRT and not run.sanitizer)
        if wrong >= o.enough:
            print("torture: %d runs are wrong already: stops" % wrong)
            break
    return runs


class Report:
    """What the runs of one mode came to."""

    def __init__(self, o, mode, runs, good, names):
        self.o, self.mode, self.good, self.names = o, mode, good, names
        names.learn({f for r in runs for s in r.sites for f in s if f})
        self.runs = runs
        self.hits = [r for r in runs if r.failed]
        self.sites, self.wrong = collections.defaultdict(collections.Counter), []
        self.exceptions, self.ends = collections.Counter(), collections.Counter()
        for r in self.hits:
            self.sites[names.site(r.sites[0])][self.part(r)] += 1
            self.sort(r)

    def part(self, run):
        """In which part of the session it was."""
        return next((p for p, count in self.good.marks.items() if run.n <= count), "stop")

    def sort(self, r):
        why = r.why
        libuv = [f for s in r.sites for f in self.names.functions(s) if f in LIBUV]
        if why and r.code == -signal.SIGABRT and libuv:
            self.exceptions["libuv aborts in %s()" % libuv[0]] += 1
        elif why and r.sanitizer:
            self.exceptions["a thread of the sanitizer"] += 1
        elif why:
            self.wrong.append((r, why))
        elif r.given_up:
            self.ends["gave the client up"] += 1
        else:
            self.ends["answered" if r.code == 0 else "exit %d at start" % r.code] += 1
            if r.fixed:
                self.exceptions["fixed object at start: %s" % self.names.site(r.sites[-1])] += 1

    def print(self):
        print("--- %s: %d runs, %d with a failure; %s" % (
            self.mode, len(self.runs), len(self.hits),
            ", ".join("%d %s" % (c, e) for e, c in sorted(self.ends.items()))))
        for name, count in sorted(self.exceptions.items()):
            print("exception: %s: %d runs" % (name, count))
        if not self.o.quiet:
            parts = list(self.good.marks)
            print("".join("%7s" % p for p in parts) + "  first site that failed")
            for name, of in sorted(self.sites.items(), key=lambda i: -sum(i[1].values())):
                print("".join("%7s" % (of[p] or "") for p in parts) + "  " + name)
        self.print_wrong()

    def print_wrong(self):
        names, seen = self.names, collections.Counter()
        for r, why in self.wrong:
            site = names.site(r.sites[0])
            seen[site, why[:40]] += 1
            if seen[site, why[:40]] == 1 and len(seen) <= FAILURES_SHOWN:
                print("WRONG: %s n=%d (%s): code %d: %s" % (
                    self.mode, r.n, self.part(r), r.code, why))
                for s in r.sites[:4]:
                    print("   failed: " + " < ".join(names.known[f][0] for f in s if f)[:400])
                print("   log: " + "\n        ".join(r.log.strip().split("\n")[-30:]))
        for (site, why), count in seen.most_common():
            print("WRONG %d times at %s: %s" % (count, site, why))


def options():
    ap = argparse.ArgumentParser()
    ap.add_argument("--all", action="store_true", help="every n")
    ap.add_argument("--runs", type=int, default=200, help="of each mode, unless --all")
    ap.add_argument("--seed", type=int, help="of the choice of n")
    ap.add_argument("--jobs", type=int, default=4, help="at a time: most of a run is waiting")
    ap.add_argument("--enough", type=int, default=200, help="wrong runs after which it stops")
    ap.add_argument("--mode", action="append", choices=["once", "forever"])
    ap.add_argument("--part", choices=["start", "calls", "told", "reload", "refused", "repaired", "stop"],
                    help="that part alone")
    ap.add_argument("--tail", type=int, help="of that part so many allocations at its end")
    ap.add_argument("--only", type=int, help="one n, with its whole log")
    ap.add_argument("--controls", action="store_true",
                    help="not BINARY, but the build without sanitizers that MANIFOLD_CONTROLS names")
    ap.add_argument("--quiet", action="store_true", help="no table of sites")
    ap.add_argument("--stacks", action="store_true", help="gdb at what hangs")
    for name in ("binary", "plugins", "bad", "faultlib"):
        ap.add_argument(name)
    o = ap.parse_args()
    if o.controls:
        o.binary = os.environ.get("MANIFOLD_CONTROLS", "")
        beside = os.path.dirname(os.path.abspath(o.binary))
        o.plugins, o.bad = os.path.join(beside, "plugins"), os.path.join(beside, "bad")
    o.binary, o.preload = os.path.abspath(o.binary), os.path.abspath(o.faultlib)
    o.seed = random.randrange(1 << 32) if o.seed is None else o.seed
    o.mode = o.mode or ["once", "forever"]
    o.steps = session.steps()
    return o


def reference_run(o):
    run = Run(o, 0, "once").go()
    if run.wrong or run.code or not run.count or len(reloads(run)) != session.RELOADS:
        sys.exit("torture: without a fault: code %d, %s allocations, %s\n%s" % (
            run.code, run.count, run.wrong, run.log))
    a = run.answers
    print("torture: %d allocations in a session without a fault (%s), %d answers, %d notifications" % (
        run.count, ", ".join("%s up to %d" % m for m in run.marks.items()),
        len(a.by_id) + len(a.anonymous), len(a.notified)))
    print("torture: every n" if o.all else "torture: %d of them in each mode, --seed %d" % (
        min(o.runs, run.count), o.seed))
    return run


def main():
    o = options()
    if not os.path.isfile(o.binary):
        print("MANIFOLD_CONTROLS names no build with controls: skipped")
        return 77
    begin, bad = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as o.scratch, \
            concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        o.common = session.Files.common(o.scratch + "/common", o.plugins, o.bad)
        good, names = reference_run(o), Names()
        for mode in o.mode:
            runs = [make_run(o, o.only, mode, good)] if o.only else series(o, mode, pool, good)
            report = Report(o, mode, runs, good, names)
            report.print()
            if o.only:
                print(runs[0].log, json.dumps(runs[0].answers.by_id)[:20000], "code",
                      runs[0].code, sep="\n")
            elif not report.hits:
                print("torture: nothing failed: the library is not in force")
                bad += 1
            bad += len(report.wrong)
    print("torture: %d runs were wrong; %.0f s" % (bad, time.monotonic() - begin))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
