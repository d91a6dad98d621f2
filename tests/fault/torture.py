#!/usr/bin/env python3
"""torture.py [OPTION]... BINARY PLUGINS FAULTLIB - every allocation fails once

Runs one session of the host again and again; in run n the n-th allocation since main() fails, once
or from then on, until a run in which none was left to fail.  A session is: start with four plugins
(one of them broken), lists, calls of all kinds, a batch, stop.  Each run must

  - answer every request as the session without a fault did, or with an error that says why, and
    exit 0; what is not served must have its reason in the log; or
  - end with code 71 and one sentence on standard error, before it serves or while it does

and never end by a signal, hang, print a sanitizer's report, or write a line that is no message.
What libuv itself aborts on is no fault of the host: those functions are in LIBUV, and their runs
are counted and named.  Prints the sites that failed, and ends with 1 when a run was not as it must.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import harness  # noqa: E402

LIMIT = 10          # seconds for one run
PATIENCE = 2        # seconds until the input is closed although an answer is missing
REPORT = 65536      # bytes, as faultlib.c has it
HEADER = struct.Struct("<QQI")
CLEAN = 3           # runs without a failure in a row that end the series: threads make n vary by a few
FAILURES_SHOWN = 60
LIBUV = {"uv__io_start"}   # grows the table of watched descriptors, or aborts (src/unix/core.c)
ALLOCATORS = {"xcalloc", "xstrndup"}
# Why something is not as it is without the fault.  What is no reason: an invalid message of ours.
REASON = re.compile(r"memory|not served|can't be (read|started|mapped|made|opened)|cannot|"
                    r"[Mm]emory|longer than what may wait|there is no thread|limits.calls|"
                    r"failed with -\d+|plugin.* (failed|ended)")
BROKEN = "manifold: 1\nid: x.broken\ntools: 17\n"
PROMPTS = """manifold: 1
id: dev.manifold.texts
name: texts
description: Texts alone
prompts:
  - name: greet
    description: "Says \\"hello\\" to somebody"
    arguments: [{ name: who, description: Whom, required: true, complete: [ada, "a\\tb", bob] }]
    messages: [{ role: user, text: "Hello {{who}}." }]
"""
PATTERNS = """manifold: 1
id: dev.manifold.echo
name: strict
version: 1.0.0
library: echo.so
isolation: inproc
prefix: strict
instructions: "Be strict\\tand short."
config: { dir: "${data}/x", list: [1, two], deep: { text: "a\\tb" } }
config_schema: { type: object, properties: { dir: { type: string, pattern: "^/" }, more: { type: string } } }
tools:
  - name: echo
    description: Takes few messages
    inputSchema:
      type: object
      properties:
        message: { type: string, pattern: "^[a-z]+$", maxLength: 40 }
        list: { type: array, uniqueItems: true, items: { $ref: "#/$defs/item" } }
      required: [message]
      $defs: { item: { anyOf: [{ type: string }, { type: integer }] } }
  - { name: echo_structured, description: x, inputSchema: { type: object } }
  - { name: sleep, description: x, inputSchema: { type: object } }
resources:
  - { name: greeting, uri: "strict://greeting" }
  - { name: shout, uriTemplate: "strict://shout{?text}" }
prompts:
  - { name: reply, description: x }
"""


def tool(name, arguments, id, meta=None):
    return harness.modern("tools/call", {"name": name, "arguments": arguments}, id, meta)


def session():
    """Two parts: the second is sent when the first is answered."""
    m, old = harness.modern, harness.legacy
    first = [
        tool("echo", {"message": "early"}, 1),   # waits for the library
        m("tools/list", id=2), m("prompts/list", id=3),
        m("resources/list", id=4), m("resources/templates/list", id=5),
        m("server/discover", id=6),
    ]
    long = "x" * 102400
    second = [
        tool("echo", {"message": "hi"}, 10),
        tool("echo", {"message": long}, 11),
        tool("echo_structured", {"message": "f\u00fcr \"alle\" " * 60}, 12),
        m("resources/read", {"uri": "echo://greeting"}, 13),
        m("resources/read", {"uri": "echo://shout/some%20words"}, 14),
        m("resources/read", {"uri": "echo://nowhere"}, 15),
        m("prompts/get", {"name": "recite", "arguments": {"topic": "n\u00e4chte"}}, 16),
        m("prompts/get", {"name": "greet", "arguments": {"who": "ada"}}, 17),
        m("prompts/get", {"name": "reply", "arguments": {"style": "short"}}, 18),
        m("completion/complete", {"ref": {"type": "ref/resource", "uri": "echo://shout/{text}"},
                                  "argument": {"name": "text", "value": "he"}}, 19),
        m("completion/complete", {"ref": {"type": "ref/prompt", "name": "greet"},
                                  "argument": {"name": "who", "value": "a"}}, 20),
        tool("echo", {"message": 5}, 21),        # refused by the schema
        tool("strict_echo", {"message": "abc", "list": list(range(40))}, 22),
        tool("strict_echo", {"message": "ABC"}, 23),
        tool("strict_echo", {"message": "abc", "list": [1, 2, 1]}, 24),
        tool("sleep", {"ms": 5}, 25, {"progressToken": "p"}),
        m("resources/read", {"uri": "manifold://status"}, 26),
        m("tools/list", {"cursor": "none of ours"}, 27),
        m("no/such", id=28),
        '{"jsonrpc":"2.0","id":29,"method":"tools\\/list","params":%s}' % json.dumps(m("x")["params"]),
        m("resources/read", {"uri": "strict://shout?text=" + "y" * 3000}, 33),
        tool("echo_structured", {"message": "caf\u00e9 \t" * 400}, 34),
        old("initialize", {"protocolVersion": "2025-03-26", "capabilities": {},
                           "clientInfo": {"name": "torture", "version": "1"}}, 30),
        old("notifications/initialized"),
        old("tools/list", id=31), old("tools/call", {"name": "echo_structured",
                                                     "arguments": {"message": "old"}}, 32),
        [old("ping", id=40), old("tools/call", {"name": "echo", "arguments": {"message": "b"}}, 41),
         old("tools/call", {"name": "sleep", "arguments": {"ms": 5}}, 42),
         old("prompts/list", id=43)],
        "no json",
    ]

    def lines(part):
        return "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in part).encode()
    ids = {x["id"] for m in first + second if not isinstance(m, str)
           for x in (m if isinstance(m, list) else [m]) if "id" in x} | {29}
    return lines(first), lines(second), {1, 2, 3, 4, 5, 6}, ids


def make_plugins(bundled, to):
    os.chmod(to, 0o755)
    for name in ("echo.so", "echo.yaml"):
        shutil.copy(os.path.join(bundled, name), to)
    for name, text in (("broken", BROKEN), ("texts", PROMPTS), ("strict", PATTERNS)):
        with open(os.path.join(to, name + ".yaml"), "w") as f:
            f.write(text)


class Wrong(Exception):
    """A run that was not as it must be."""


class Answers:
    """What a run wrote: {id: answer}, and the notifications."""

    def __init__(self):
        self.by_id = {}
        self.anonymous, self.notified = [], []

    def take(self, line):
        try:
            message = harness.parse_line(line)
        except harness.Failure as e:
            raise Wrong(str(e))
        for m in message if isinstance(message, list) else [message]:
            if "method" in m:
                self.notified.append(m)
            elif m.get("id") is None:
                self.anonymous.append(m)
            elif m["id"] in self.by_id:
                raise Wrong("id %r is answered twice" % m["id"])
            else:
                self.by_id[m["id"]] = m


class Run:
    """One process."""

    def __init__(self, o, n, mode):
        self.o, self.n, self.mode = o, n, mode
        self.answers = Answers()
        self.log = ""
        self.sanitizer = False   # it could not start a thread of ours for want of memory

    def start(self, scratch):
        self.reports = os.path.join(scratch, "reports")
        os.mkdir(self.reports)
        path = os.path.join(scratch, "fault")
        with open(path, "wb") as f:
            f.truncate(REPORT)
        self.report = path
        env = dict(os.environ, LD_PRELOAD=self.o.preload, FAULT_REPORT=path, FAULT_MODE=self.mode,
                   FAULT_NTH=str(self.n), HOME=scratch, XDG_DATA_HOME=scratch)
        for name, value in harness.sanitizer_environment(self.reports).items():
            env[name] = value
        # The preloaded malloc() goes first and calls the sanitizer's; an allocation that fails
        # at random leaves memory behind in the libc.
        env["ASAN_OPTIONS"] += ":verify_asan_link_order=0:detect_leaks=0"
        self.err = open(os.path.join(scratch, "err"), "w+b")
        self.p = subprocess.Popen(
            [self.o.binary, "serve", "--plugins", self.o.directory, "--trust",
             "--set", "strict.config.more=set"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err, env=env, bufsize=0)

    def talk(self):
        """Sends both parts and reads to the end of the output."""
        first, second, awaited, all_ids = self.o.session
        out, sink = self.p.stdout.fileno(), self.p.stdin.fileno()
        os.set_blocking(sink, False)
        end = time.monotonic() + LIMIT
        rest, buffer, part, close_at = memoryview(first), b"", 1, None
        while True:
            poll = select.poll()
            poll.register(out, select.POLLIN)
            if rest is not None and len(rest):
                poll.register(sink, select.POLLOUT)
            now = time.monotonic()
            known = set(self.answers.by_id)
            if no_batch(self.answers):
                known |= BATCH
            if close_at and (now >= close_at or all_ids <= known):
                close_at = None
                self.p.stdin.close()
            left = (close_at or end) - now
            ready = poll.poll(left * 1000) if left > 0 else []
            if not ready and time.monotonic() >= end:
                raise Wrong("hangs; answered: %s" % sorted(self.answers.by_id, key=str))
            for fd, _ in ready:
                if fd == sink:
                    try:
                        rest = rest[os.write(sink, rest):]
                    except (BrokenPipeError, ConnectionResetError):
                        rest = None
            if any(fd == out for fd, _ in ready):
                data = os.read(out, 1 << 20)
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self.answers.take(line)
                if not data:
                    break
            if part == 1 and awaited <= set(self.answers.by_id):
                part, rest = 2, None if rest is None else memoryview(second)
            elif part == 2 and (rest is None or not len(rest)):
                part, close_at = 3, time.monotonic() + PATIENCE
        if buffer:
            self.cut = bytes(buffer)
            raise Wrong("the output ends in mid-line: %r" % buffer[-120:])

    def finish(self):
        if not self.p.stdin.closed:
            self.p.stdin.close()
        try:
            self.code = self.p.wait(LIMIT)
        except subprocess.TimeoutExpired:
            raise Wrong("hangs after the end of its output")

    def read_report(self):
        with open(self.report, "rb") as f:
            data = f.read()
        self.count, self.failed, length = HEADER.unpack_from(data)
        text = data[HEADER.size:HEADER.size + length].decode(errors="replace")
        self.sites = [s.split("\n") for s in text.split("\n\n") if s.strip()]

    def go(self):
        with tempfile.TemporaryDirectory(dir=self.o.scratch) as scratch:
            self.wrong = None
            self.start(scratch)
            try:
                self.talk()
                self.finish()
            except Wrong as e:
                self.wrong = str(e)
            finally:
                if self.p.poll() is None:
                    if "hangs" in (self.wrong or "") and self.o.stacks:
                        subprocess.run(["gdb", "-p", str(self.p.pid), "-batch", "-ex",
                                        "thread apply all bt"], check=False)
                    self.p.kill()
                self.code = self.p.wait()
                for f in (self.p.stdout, self.p.stdin):
                    f.close()
                self.err.seek(0)
                self.log = self.err.read().decode(errors="replace")
                self.err.close()
                self.read_report()
            try:
                harness.check_reports(self.reports)
            except harness.Failure as e:
                self.wrong = str(e)
                self.sanitizer = "CHECK failed" in self.wrong and "pthread_getattr_np" in self.wrong
        return self


def error_text(answer):
    """The words of an error, of either kind; None: it is none."""
    if "error" in answer:
        return answer["error"].get("message", "") + json.dumps(answer["error"].get("data", ""))
    if answer["result"].get("isError"):
        return json.dumps(answer["result"])
    return None


def no_batch(answers):
    """One error came in the place of all its answers."""
    return any("batch" in (error_text(m) or "") for m in answers.anonymous)


def comparable(id, answer):
    if id == 26 and "result" in answer:   # status: counters and times differ
        json.loads(answer["result"]["contents"][0]["text"])
        return "status"
    return answer


def judge(run, good):
    """None, or what is wrong with the run."""
    if run.wrong and not (run.code == 71 and "mid-line" in run.wrong):
        return run.wrong
    if run.code < 0:
        return "ends by signal %d" % -run.code
    if run.code == 71:
        return None if REASON.search(run.log) else "exits 71 without a reason"
    if run.code == 1 and not run.answers.by_id and REASON.search(run.log):
        return None   # the settings could not be read
    if run.code:
        return "exits %d" % run.code
    a = run.answers
    explained = bool(re.search(r"memory|cannot|can't|not served|not read", re.sub(
        r"(?m)^.*\bbroken\b.*$", "", run.log)))
    for id, expected in good.by_id.items():
        if id in BATCH and id not in a.by_id and no_batch(a):
            continue
        if id not in a.by_id:
            return "%r is not answered" % id
        got, text = a.by_id[id], error_text(a.by_id[id])
        if comparable(id, got) == comparable(id, expected):
            continue
        if text is not None and REASON.search(text):
            continue
        if "error" in got and got["error"].items() <= expected.get("error", {}).items():
            continue   # without its data
        if not explained:   # a plugin that could not be read lacks in lists, and the log says why
            return "%r is answered otherwise, and nothing says why: %s" % (
                id, json.dumps(got)[:600])
        if text is None and "List" not in str(id) and id not in LISTS:
            return "%r has a wrong answer: %s" % (id, json.dumps(got)[:600])
    if len(a.anonymous) != len(good.anonymous) and not any(
            REASON.search(error_text(m) or "") for m in a.anonymous):
        return "%d answers without an id: %s" % (len(a.anonymous), json.dumps(a.anonymous)[:600])
    for m in a.notified:
        if m not in good.notified:
            return "a notification that is not of this session: %s" % json.dumps(m)[:300]
    return None


# Answers that name what is served.
BATCH = {40, 41, 42, 43}
LISTS = {2, 3, 4, 5, 6, 29, 30, 31, 43}


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
            out = []
            if os.path.exists(path) and not path.startswith(("/proc", "/usr", "/lib")):
                out = subprocess.run(["addr2line", "-f", "-e", path, *offsets],
                                     capture_output=True, text=True, check=False).stdout.split("\n")
            for i, offset in enumerate(offsets):
                if len(out) > 2 * i + 1 and out[2 * i] != "??":
                    where = out[2 * i + 1].split(" ")[0]
                    name = "%s:%s" % (out[2 * i], where.rsplit(":", 1)[1])
                    ours = "/host/" in where
                else:
                    name, ours = "[%s]" % os.path.basename(path), False
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
            if ours and name.split(":")[0] not in ALLOCATORS | {"buf_reserve", "buf_append_slow"}:
                return name + (" through %s" % through if through else "")
            if not ours and not through:
                through = name.split(":")[0]
        return through or "?"

    def functions(self, frames):
        return [self.known[f][0].split(":")[0] for f in frames]


def series(o, mode, pool, good):
    """All runs of one mode, in order of n."""
    n, clean, runs, step = o.first, 0, [], max(1, o.every)
    while clean < CLEAN:
        wave = [n + i * step for i in range(32)]
        n = wave[-1] + step
        for run in pool.map(lambda k: Run(o, k, mode).go(), wave):
            runs.append(run)
            clean = clean + 1 if not run.failed else 0
        if sum(1 for r in runs if judge(r, good)) > 200:
            print("torture: more than 200 runs are wrong already: stops")
            break
    return runs


def report(o, mode, runs, good, names):
    names.learn({f for r in runs for s in r.sites for f in s if f})
    sites, wrong, aborted, ends = collections.Counter(), [], collections.Counter(), collections.Counter()
    for r in runs:
        if not r.failed:
            continue
        sites[names.site(r.sites[0])] += 1
        why = judge(r, good)
        if why and r.code == -6:
            hit = [f for s in r.sites for f in names.functions(s) if f in LIBUV]
            if hit:
                aborted["libuv aborts in %s()" % hit[0]] += 1
                continue
        if why and r.sanitizer:
            aborted["a thread of the sanitizer"] += 1
            continue
        ends["answered" if not why and r.code == 0 else "exit %d" % r.code] += 1
        if why:
            wrong.append((r, why))
    hits = sum(1 for r in runs if r.failed)
    print("--- %s: %d runs, %d with a failure; %s" % (
        mode, len(runs), hits, ", ".join("%d %s" % (c, e) for e, c in sorted(ends.items()))))
    for name, count in sorted(aborted.items()):
        print("exception: %s: %d runs" % (name, count))
    if not o.quiet:
        for name, count in sites.most_common():
            print("%6d  %s" % (count, name))
    seen = collections.Counter()
    for r, why in wrong:
        site = names.site(r.sites[0])
        seen[site, why[:40]] += 1
        if seen[site, why[:40]] == 1 and len(seen) <= FAILURES_SHOWN:
            print("WRONG: %s n=%d: code %d: %s" % (mode, r.n, r.code, why))
            for s in r.sites[:4]:
                print("   failed: " + " < ".join(names.known[f][0] for f in s if f)[:400])
            print("   log: " + "\n        ".join(r.log.strip().split("\n")[-6:]))
    for (site, why), count in seen.most_common():
        print("WRONG %d times at %s: %s" % (count, site, why))
    return len(wrong), hits


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--every", type=int, default=1, help="only each K-th n")
    ap.add_argument("--jobs", type=int, default=2)
    ap.add_argument("--mode", action="append", choices=["once", "forever"])
    ap.add_argument("--only", type=int, help="one n, with its whole log")
    ap.add_argument("--tail", type=int, help="begin so many allocations before the end")
    ap.add_argument("--controls", action="store_true",
                    help="not BINARY, but the build without sanitizers that MANIFOLD_CONTROLS names")
    ap.add_argument("--quiet", action="store_true", help="no table of sites")
    ap.add_argument("--stacks", action="store_true", help="gdb at what hangs")
    ap.add_argument("binary")
    ap.add_argument("plugins")
    ap.add_argument("faultlib")
    o = ap.parse_args()
    if o.controls:
        o.binary = os.environ.get("MANIFOLD_CONTROLS", "")
        o.plugins = os.path.join(os.path.dirname(os.path.abspath(o.binary)), "plugins")
        if not os.path.exists(o.binary):
            print("MANIFOLD_CONTROLS names no build with controls: skipped")
            return 77
    o.binary, o.preload = os.path.abspath(o.binary), os.path.abspath(o.faultlib)
    o.session = session()
    begin = time.monotonic()
    bad = 0
    with tempfile.TemporaryDirectory() as scratch, \
            concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        o.scratch = scratch
        o.directory = os.path.join(scratch, "plugins")
        os.mkdir(o.directory)
        make_plugins(o.plugins, o.directory)
        reference = Run(o, 0, "once").go()
        good = reference.answers
        if reference.wrong or reference.code or not reference.count:
            sys.exit("torture: without a fault: code %d, %s allocations, %s\n%s" % (
                reference.code, reference.count, reference.wrong, reference.log))
        print("torture: %d allocations in a session without a fault, %d answers, %d notifications"
              % (reference.count, len(good.by_id) + len(good.anonymous), len(good.notified)))
        if o.only is not None:
            for mode in o.mode or ["once"]:
                r = Run(o, o.only, mode).go()
                report(o, mode, [r], good, Names())
                print(r.log, json.dumps(r.answers.by_id)[:20000], "code", r.code, sep="\n")
            return 0
        names = Names()
        o.first = max(1, reference.count - o.tail) if o.tail else 1
        for mode in o.mode or ["once", "forever"]:
            wrong, hits = report(o, mode, series(o, mode, pool, good), good, names)
            bad += wrong
            if not hits:
                print("torture: nothing failed: the library is not in force")
                bad += 1
    print("torture: %d runs were wrong; %.0f s" % (bad, time.monotonic() - begin))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
