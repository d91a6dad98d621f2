#!/usr/bin/env python3
"""The cache from a plugin: operations a second in memory and through a real Redis, and what the calls
of a client notice when Redis is stopped in mid-run.

    python3 bench/cache.py [--build build] [--rounds N] [--seconds S]

Exit status 1 when a target is missed.  Needs redis-server."""

import argparse
import json
import os
import pathlib
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MEMORY = 1_000_000  # gets a second
REDIS = 50_000      # gets a second that Redis answers
MOVES = 1.1         # of p99, or the noise if that is more
IN_FLIGHT = 8
KEYS = 20_000


class Host:
    def __init__(self, binary, plugins, work, cache):
        self.config = work / "host.yaml"
        self.config.write_text("manifold: 1\nsources: [{ path: %s, trust: true }]\nadmin: none\n"
                               "log: { level: warn }\ncache: %s\n" % (json.dumps(str(plugins)), cache))
        self.process = subprocess.Popen([binary, "serve", "--config", self.config],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(work / "log", "ab"))
        self.id = 0
        self.buffer = b""
        self.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                    "clientInfo": {"name": "bench", "version": "1"}})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)

    def send(self, method, params):
        self.id += 1
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": self.id, "method": method,
                                             "params": params}).encode() + b"\n")
        self.process.stdin.flush()
        return self.id

    def lines(self, timeout):
        """Whole lines that are there, or come within the time."""
        fd = self.process.stdout.fileno()
        if select.select([fd], [], [], timeout)[0]:
            self.buffer += os.read(fd, 1 << 20)
        *whole, self.buffer = self.buffer.split(b"\n")
        return whole

    def request(self, method, params):
        id = self.send(method, params)
        while True:
            for line in self.lines(120):
                m = json.loads(line)
                if m.get("id") == id:
                    return m["result"]

    def call(self, **arguments):
        r = self.request("tools/call", {"name": "cached", "arguments": arguments})
        if r.get("isError"):
            raise SystemExit("bench: %r" % r)
        return json.loads(r["content"][0]["text"])

    def status(self):
        r = self.request("resources/read", {"uri": "manifold://status"})
        return json.loads(r["contents"][0]["text"])["cache"]

    def wait_redis(self):
        self.request("tools/call", {"name": "cached", "arguments": {"one": 0}})
        while True:
            r = self.status()["redis"]
            if r["state"] == "connected" and not r["pending"]:
                return


def start_redis(work):
    path = work / "redis.sock"
    p = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", "",
                          "--appendonly", "no", "--dir", work, "--logfile", "/dev/null"],
                         stdout=subprocess.DEVNULL)
    while not path.exists():
        time.sleep(0.001)
    return p, path


def rate(answer, of="ops"):
    return answer[of] / answer["seconds"]


def in_memory(a, host):
    host.call(sets=True, count=100_000, keys=100_000, size=100)
    gets, sets = [], []
    for _ in range(a.rounds):
        r = host.call(count=a.ops, keys=100_000)
        if r["hits"] != r["ops"]:
            raise SystemExit("bench: %r are not all hits" % r)
        gets.append(rate(r))
        sets.append(rate(host.call(sets=True, count=a.ops, keys=100_000, size=100)))
    return statistics.median(gets), statistics.median(sets)


def through_redis(a, host):
    """With a memory tier that holds a hundredth of the keys."""
    host.wait_redis()
    keys = 200_000
    sets, gets = [], []
    for _ in range(a.rounds):
        start = time.monotonic()
        for at in range(0, keys, 10_000):  # what Redis is told in one go is bounded
            host.call(sets=True, first=at, count=10_000, keys=keys, size=100, window=512)
            host.wait_redis()
        sets.append(keys / (time.monotonic() - start))
        before = host.status()["redisHits"]
        r = host.call(count=keys, keys=keys, window=512)
        r["redis"] = host.status()["redisHits"] - before
        gets.append(rate(r, "redis"))
        if r["hits"] < 0.99 * r["ops"]:
            print("bench: of %d gets %d were hits" % (r["ops"], r["hits"]), file=sys.stderr)
    return statistics.median(gets), statistics.median(sets)


def percentile(times, q):
    times = sorted(times)
    return times[min(len(times) - 1, int(q * len(times)))]


def drive(host, seconds, n):
    """Calls with IN_FLIGHT of them unanswered: (latencies, failures, next number)."""
    began, latency, failed = {}, [], 0
    end = time.monotonic() + seconds

    def begin():
        nonlocal n
        n = (n * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        id = host.send("tools/call", {"name": "cached", "arguments": {"one": (n >> 33) % KEYS}})
        began[id] = time.perf_counter()

    for _ in range(IN_FLIGHT):
        begin()
    while began:
        for line in host.lines(30):
            m = json.loads(line)
            latency.append(time.perf_counter() - began.pop(m["id"]))
            text = m.get("result", {}).get("content", [{}])[0].get("text")
            failed += text not in ("hit", "made")
            if time.monotonic() < end:
                begin()
    return latency, failed, n


def outage(a, host, redis):
    """p99 before, before again (the noise), and over the time after Redis was stopped."""
    host.wait_redis()
    _, failed, n = drive(host, a.seconds / 2, 1)
    first, f1, n = drive(host, a.seconds, n)
    second, f2, n = drive(host, a.seconds, n)
    redis.send_signal(signal.SIGSTOP)
    after, f3, n = drive(host, a.seconds, n)
    state = host.status()["redis"]["state"]
    redis.send_signal(signal.SIGCONT)
    print("%d, %d and %d calls; Redis then: %s; the longest %.1f ms"
          % (len(first), len(second), len(after), state, max(after) * 1000))
    return [percentile(x, 0.99) for x in (first, second, after)], failed + f1 + f2 + f3


def row(name, value, target, good, unit="/s"):
    print("%-44s %12s   target %-14s %s" % (name, value, target, "ok" if good else "MISSED"))
    return good


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--build", default="build")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--ops", type=int, default=2_000_000)
    a = p.parse_args()
    binary = pathlib.Path(a.build).resolve() / "manifold"
    good = True
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        plugins = work / "plugins"
        plugins.mkdir()
        (plugins / "cached.yaml").write_text((ROOT / "bench/cached/cached.yaml").read_text())
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", "-fvisibility=hidden",
                        "-I", ROOT / "sdk/include", ROOT / "bench/cached/cached.c",
                        "-o", plugins / "cached.so"], check=True)
        with Host(binary, plugins, work, "{ memory: 64MiB }") as host:
            gets, sets = in_memory(a, host)
        good &= row("in memory: gets from a plugin", "%.0f/s" % gets, ">= %d/s" % MEMORY, gets >= MEMORY)
        good &= row("in memory: sets from a plugin", "%.0f/s" % sets, ">= %d/s" % MEMORY, sets >= MEMORY)
        redis, path = start_redis(work)
        try:
            where = "redis: %s" % json.dumps("unix:%s" % path)
            with Host(binary, plugins, work, "{ memory: 1MiB, timeout: 2s, %s }" % where) as host:
                gets, sets = through_redis(a, host)
            good &= row("Redis: gets that it answered", "%.0f/s" % gets, ">= %d/s" % REDIS, gets >= REDIS)
            print("%-44s %12s" % ("Redis: sets, until it has confirmed them", "%.0f/s" % sets))
            with Host(binary, plugins, work, "{ memory: 64MiB, %s }" % where) as host:
                (first, second, after), failed = outage(a, host, redis)
        finally:
            redis.kill()
            redis.wait()
        noise = max(first, second) / min(first, second)
        moved = after / statistics.mean((first, second))
        good &= row("Redis stopped: failed calls", failed, "0", failed == 0)
        good &= row("Redis stopped: p99, of %.0f us before" % (second * 1e6), "%.2f" % moved,
                    "<= %.2f" % max(MOVES, noise), moved <= max(MOVES, noise))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
