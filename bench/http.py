#!/usr/bin/env python3
"""1,000 small GETs to a local nginx over ten connections: fetch_many against `curl -Z --parallel-max 10`,
interleaved, curl before and after each of ours; its process start counts for it as it does for its users.
nginx's own log must show 1,000 requests and at most ten connections of each arm.  Exit status 1 when
ours takes more than 1.3 times as long (median of the rounds), or the log shows something else."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))

REQUESTS = 1000
CONNECTIONS = 10
RATIO = 1.3


class Curl:
    def __init__(self, work, url):
        self.config = work / "urls"
        self.config.write_text("".join('url = "%s/small?%d"\noutput = /dev/null\n' % (url, i)
                                       for i in range(REQUESTS)))

    def run(self):
        begin = time.perf_counter()
        subprocess.run(["curl", "-q", "-s", "--no-progress-meter", "-Z", "--parallel-max", str(CONNECTIONS), "-K", self.config], check=True)
        return time.perf_counter() - begin


class Ours:
    def __init__(self, server, url):
        self.server = server
        self.urls = [url + "/small?%d" % i for i in range(REQUESTS)]

    def run(self):
        arguments = {"urls": self.urls, "max_concurrent": CONNECTIONS, "timeout": 60}
        begin = time.perf_counter()
        r = self.server.call("fetch_many", arguments, timeout=120)
        took = time.perf_counter() - begin
        if r["structuredContent"]["succeeded"] != REQUESTS:
            raise SystemExit("bench: %s" % json.dumps(r)[:500])
        return took


def watched(nginx, arm, failures):
    """The time of one run; what nginx logged for it is looked at."""
    before = len(nginx.log())
    took = arm.run()
    log = nginx.log()[before:]
    connections = len({r["connection"] for r in log})
    if len(log) != REQUESTS or connections > CONNECTIONS:
        failures.append("%s: %d requests over %d connections" % (type(arm).__name__, len(log), connections))
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-gate", action="store_true", help="exit 0 whatever comes of it")
    args = parser.parse_args()
    build = pathlib.Path(args.build).resolve()
    os.environ.update(MANIFOLD=str(build / "manifold"), MANIFOLD_PLUGINS=str(build / "plugins"),
                      MANIFOLD_BAD=str(build / "bad"))
    from harness import Server
    from http_support import Nginx
    if not shutil.which("curl"):
        raise SystemExit("bench: curl is missing")
    failures, ratios, noise, ours_ms, curl_ms = [], [], [], [], []
    grants = ["--grant", "fetch.http.web.host=127.0.0.1", "--grant", "fetch.http.web.private=true", "--grant",
              "fetch.http.web.per_host=%d" % CONNECTIONS, "--set", "fetch.config.ignore_robots_txt=true"]
    with tempfile.TemporaryDirectory() as d, Nginx() as nginx, Server(*grants) as server:
        arms = Ours(server, nginx.url), Curl(pathlib.Path(d), nginx.url)
        for arm in arms:
            arm.run()
        for _ in range(args.rounds):
            a, ours, b = (watched(nginx, arm, failures) for arm in (arms[1], arms[0], arms[1]))
            ratios.append(ours / ((a + b) / 2))
            noise.append(max(a, b) / min(a, b))
            ours_ms.append(ours * 1e3)
            curl_ms.append((a + b) / 2 * 1e3)
    ratio = statistics.median(ratios)
    print("%-44s %8s %8s %8s %8s %s" % ("1,000 small GETs over 10 connections", "curl", "ours", "ratio", "target", "curl/curl"))
    print("%-44s %6.1fms %6.1fms %8.2f %8s %.2f" % (
        "fetch_many / curl -Z --parallel-max 10", statistics.median(curl_ms), statistics.median(ours_ms), ratio,
        "<= %.1f" % RATIO, statistics.median(noise)))
    for f in failures:
        print("bench: " + f)
    return 1 if (failures or ratio > RATIO) and not args.no_gate else 0


sys.exit(main())
