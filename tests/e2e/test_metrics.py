"""perf://metrics, `manifold metrics` as a Prometheus parser reads it, the figures that plugins keep
themselves, and the slow-call log: each against the calls that the test has made."""

import json
import math
import os
import re
import time
import unittest

import harness
from harness import Server, modern
from support import (BAD, CONTROLS, HERE, Files, controls_dir, from_pip, needs_controls, scaled, serve,
                     status, text_of)

PARSER = "prometheus-client==0.26.0"
SECONDS = [f * 10 ** e for e in range(-6, 2) for f in (1, 2.5, 5)] + [100]


def perf(s):
    r = s.request("resources/read", {"uri": "perf://metrics"})
    return json.loads(r["result"]["contents"][0]["text"])


def figures(s, **arguments):
    return text_of(s.call("figures", arguments))


class Base(unittest.TestCase):
    def setUp(self):
        self.f = Files()
        self.f.__enter__()
        self.addCleanup(self.f.__exit__)
        self.socket = self.f.path + "/socket"

    def configured(self, text="", plugins=(BAD + "/figures", harness.PLUGINS), **kw):
        sources = ", ".join("{ path: %s, trust: true }" % json.dumps(p) for p in plugins)
        path = self.f.write("host.yaml", "manifold: 1\nsources: [%s]\nadmin: %s\n%s"
                            % (sources, self.socket, text))
        return Server("--config", path, plugins=[], **kw)

    def metrics(self, s, *args):
        s.wait_log("admin socket: ")
        return harness.run("metrics", "--socket", self.socket, *args)[0]


class Resource(Base):
    def test_the_fields_say_what_was_called(self):
        with self.configured() as s:
            for i in range(40):
                s.echo("m%d" % i)
            for ms in (10, 30, 50):
                s.call("sleep", {"ms": ms})
            for _ in range(10):
                s.call("echo", {"message": 7})  # does not fit the schema
            figures(s, kind=1, name="a", fail=1)
            for text in ("a", "b"):
                s.request("resources/read", {"uri": "echo://shout/" + text})
            s.request("resources/read", {"uri": "echo://greeting"})
            s.request("prompts/get", {"name": "reply"})
            p = perf(s)
            echo = p["tools"]["echo"]
            self.assertEqual((echo["total_calls"], echo["errors"]), (50, 10))
            self.assertEqual(echo["success_rate"], 0.8)
            sleep = p["tools"]["sleep"]
            self.assertEqual((sleep["total_calls"], sleep["success_rate"]), (3, 1))
            self.assertGreaterEqual(sleep["min_duration"], 0.010)
            self.assertGreaterEqual(sleep["median_duration"], 0.030)
            self.assertGreaterEqual(sleep["max_duration"], 0.050)
            self.assertGreaterEqual(sleep["avg_duration"], 0.030)
            for t in p["tools"].values():
                order = [t["min_duration"], t["median_duration"], t["p95_duration"],
                         t["p99_duration"], t["max_duration"]]
                self.assertEqual(order, sorted(order))
                self.assertTrue(order[0] <= t["avg_duration"] <= order[-1])
            self.assertEqual(p["tools"]["figures"]["success_rate"], 0)
            self.assertNotIn("echo_structured", p["tools"])  # never called
            self.assertEqual(p["resources"]["echo://shout/{text}"]["total_accesses"], 2)
            self.assertEqual(p["resources"]["echo://greeting"]["total_accesses"], 1)
            self.assertEqual(p["prompts"]["reply"]["total_calls"], 1)
            self.assertEqual(p["errors"], {"tool_echo": 10, "tool_figures": 1})
            # The same over all, and over the window, which is younger than its length.
            self.assertEqual((p["request_count"], p["error_count"]), (58, 11))
            self.assertEqual(p["window_request_count"], 58)
            self.assertAlmostEqual(p["error_rate"], 11 / 58)
            self.assertAlmostEqual(p["request_rate"] * p["window"], 58)
            self.assertTrue(0 < p["window"] <= p["uptime"] < 60)
            self.assertTrue(0 < p["median_response_time"] <= p["p95_response_time"]
                            <= p["p99_response_time"])
            self.assertGreaterEqual(p["p99_response_time"], 0.045)
            self.assertTrue(0 < p["avg_response_time"] < p["p99_response_time"])
            self.assertLess(abs(p["timestamp"] - time.time()), 10)
            self.assertEqual((p["active_connections"], p["subscriptions"]), (1, 0))
            self.assertEqual(p["plugins"]["echo"]["in_flight"], 0)
            self.assertGreater(p["plugins"]["echo"]["loop_time"], 0)

    def test_process_figures_are_the_kernels(self):
        with self.configured() as s:
            s.echo()
            p = perf(s)
            with open("/proc/%d/stat" % s.process.pid) as f:
                fields = f.read().rsplit(")", 1)[1].split()
            cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            self.assertLess(abs(p["cpu_time"] - cpu), 0.1)
            self.assertGreater(p["cpu_usage"], 0)
            rss = s.memory_kib() * 1024
            self.assertLess(abs(p["memory_rss_bytes"] - rss), rss / 4)
            self.assertTrue(0 < p["memory_pss_bytes"] <= p["memory_rss_bytes"])
            total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            self.assertAlmostEqual(p["memory_usage"], p["memory_rss_bytes"] * 100 / total)
            self.assertEqual(p["open_files"], len(os.listdir("/proc/%d/fd" % s.process.pid)))

    def test_what_is_under_way(self):
        with self.configured() as s:
            s.send(*[modern("tools/call", {"name": "figures", "arguments": {"sleep": 60000}}, "h%d" % i)
                     for i in range(20)])
            p = perf(s)["plugins"]["figures"]
            while not p["in_flight"]:  # it is loaded first
                p = perf(s)["plugins"]["figures"]
            self.assertEqual((p["in_flight"], p["queued"]), (16, 4))
            s.send(*[{"jsonrpc": "2.0", "method": "notifications/cancelled",
                      "params": {"requestId": "h%d" % i}} for i in range(20)])
            self.assertEqual(perf(s)["plugins"]["figures"]["queued"], 0)
            self.assertEqual(perf(s)["tools"]["figures"]["cancelled"], 20)
            s.expect = None  # its threads sleep on
            s.signal(9)

    def test_the_window_forgets(self):
        with self.configured("metrics: { window: 1s }\n") as s:
            for _ in range(20):
                s.call("echo", {"message": 7})
            p = perf(s)
            self.assertEqual((p["window_request_count"], p["error_rate"]), (20, 1))
            deadline = time.monotonic() + harness.TIMEOUT
            while perf(s)["window_request_count"]:
                self.assertLess(time.monotonic(), deadline)
            p = perf(s)
            self.assertEqual((p["request_rate"], p["error_rate"], p["p95_response_time"]), (0, 0, 0))
            self.assertTrue(0.9 <= p["window"] <= 1)
            self.assertEqual(p["request_count"], 20)

    def test_cache_hits(self):
        self.f.echo("p", edits={"    description: Echoes back the input string\n":
                                "    description: Echoes back the input string\n    cache: { ttl: 1h }\n"})
        with self.configured(plugins=(self.f.path + "/p",)) as s:
            s.call("sleep", {"ms": 1})  # before the library is there the cache is not asked
            self.assertIsNone(perf(s)["cache_hit_rate"])
            for i in range(12):
                s.echo("m%d" % (i % 3))
            p = perf(s)
            self.assertEqual(p["cache_hit_rate"], 0.75)
            echo = p["tools"]["echo"]
            self.assertEqual((echo["total_calls"], echo["cache_hits"], echo["cache_misses"]), (3, 9, 3))
            self.assertEqual(p["cache"]["memory_hits"], 9)
            self.assertEqual(p["request_count"], 13)

    def test_counts_go_on_through_a_reload(self):
        self.f.echo("p")
        with self.configured(plugins=(self.f.path + "/p",)) as s:
            for _ in range(5):
                s.echo()
            before = perf(s)["tools"]["echo"]
            self.f.echo("p", edits={"title: Greeting": "title: Greetings"})
            s.wait_log("admin socket: ")
            harness.run("reload", "--socket", self.socket)
            s.wait_log("generation 2 takes over")
            for _ in range(3):
                s.echo()
            p = perf(s)
            self.assertEqual(p["tools"]["echo"]["total_calls"], 8)
            self.assertGreaterEqual(p["tools"]["echo"]["max_duration"], before["max_duration"])
            self.assertEqual(status(s)["plugins"][0]["generation"], 2)
            self.assertEqual(status(s)["plugins"][0]["calls"], 8)


class Prometheus(Base):
    @classmethod
    def setUpClass(cls):
        from_pip(PARSER)
        from prometheus_client.parser import text_string_to_metric_families
        cls.parse = staticmethod(text_string_to_metric_families)

    def read(self, s):
        """{sample name: {frozen labels: value}}; every line must be the parser's, once."""
        text = self.metrics(s)
        found, types = {}, {}
        for family in self.parse(text):
            types[family.name] = family.type
            self.assertTrue(family.documentation or family.name.startswith("manifold_plugin_"))
            self.assertIn(family.type, ("counter", "gauge", "histogram"), family.name)
            for sample in family.samples:
                of = found.setdefault(sample.name, {})
                labels = frozenset(sample.labels.items())
                self.assertNotIn(labels, of, sample)
                of[labels] = sample.value
        lines = [l for l in text.splitlines() if not l.startswith("#")]
        self.assertEqual(len(lines), sum(len(of) for of in found.values()))
        self.assertEqual(len(re.findall("^# TYPE ", text, re.M)), len(re.findall("^# HELP ", text, re.M)))
        self.types = types
        return found

    def of(self, found, name, /, **labels):
        return found[name][frozenset(labels.items())]

    def check_histogram(self, found, name, /, **labels):
        """Its buckets rise to the count; {bound: count}."""
        buckets = {dict(l)["le"]: v for l, v in found[name + "_bucket"].items()
                   if dict(l, le="") == dict(labels, le="")}
        bounds = sorted(buckets, key=float)
        counts = [buckets[b] for b in bounds]
        self.assertEqual(counts, sorted(counts))
        self.assertEqual(bounds[-1], "+Inf")
        self.assertEqual(counts[-1], self.of(found, name + "_count", **labels))
        return {float(b): buckets[b] for b in bounds}

    def test_it_agrees_with_the_calls(self):
        with self.configured() as s:
            for _ in range(30):
                s.echo()
            for ms in (20, 60):
                s.call("sleep", {"ms": ms})
            s.call("echo", {"message": 7})
            s.request("resources/read", {"uri": "echo://shout/a"})
            s.request("tools/call", {"name": "echo", "arguments": {"message": "x" * (5 << 20)}})
            p, found = perf(s), self.read(s)
            echo = {"plugin": "echo", "kind": "tool", "name": "echo"}
            self.assertEqual(self.of(found, "manifold_calls_total", **echo), 31)
            self.assertEqual(self.of(found, "manifold_call_errors_total", **echo), 1)
            self.assertEqual(self.of(found, "manifold_call_timeouts_total", **echo), 0)
            shout = dict(echo, kind="template", name="echo://shout/{text}")
            self.assertEqual(self.of(found, "manifold_calls_total", **shout), 1)
            took = self.check_histogram(found, "manifold_call_duration_seconds", **echo)
            self.assertEqual(took[math.inf], 30)
            self.assertEqual(len(took), len(SECONDS) + 1)
            for bound, exact in zip(took, SECONDS):
                self.assertAlmostEqual(bound, exact)
            slept = self.check_histogram(found, "manifold_call_duration_seconds",
                                         **dict(echo, name="sleep"))
            self.assertEqual((slept[0.01], slept[math.inf]), (0, 2))
            total = self.of(found, "manifold_call_duration_seconds_sum", **dict(echo, name="sleep"))
            self.assertAlmostEqual(total / 2, p["tools"]["sleep"]["avg_duration"])
            # The first call waited while the library was loaded.
            waits = self.check_histogram(found, "manifold_call_queue_wait_seconds", **echo)
            self.assertEqual(waits[math.inf], 1)
            self.assertEqual(self.of(found, "manifold_requests_total"), p["request_count"])
            self.assertEqual(self.of(found, "manifold_request_errors_total"), p["error_count"])
            self.assertAlmostEqual(self.of(found, "manifold_window_error_ratio"), p["error_rate"])
            self.assertEqual(self.of(found, "manifold_connections"), 1)
            self.assertEqual(self.of(found, "manifold_generation", plugin="echo"), 1)
            self.assertGreater(self.of(found, "process_cpu_seconds_total"), 0)
            self.assertGreater(self.of(found, "process_resident_memory_bytes"), 1 << 20)
            self.assertEqual(self.types["manifold_call_duration_seconds"], "histogram")
            self.assertEqual(self.types["manifold_calls"], "counter")
            self.assertEqual(self.of(found, "manifold_build_info", version=status(s)["server"]["version"]), 1)

    def test_hits_of_the_cache(self):
        self.f.echo("p", edits={"    description: Echoes back the input string\n":
                                "    description: Echoes back the input string\n    cache: { ttl: 1h }\n"})
        with self.configured(plugins=(self.f.path + "/p",)) as s:
            s.call("sleep", {"ms": 1})
            for _ in range(5):
                s.echo("m")
            found = self.read(s)
            echo = {"plugin": "echo", "kind": "tool", "name": "echo"}
            self.assertEqual(self.of(found, "manifold_call_hits_total", **echo), 4)
            self.assertEqual(self.of(found, "manifold_call_misses_total", **echo), 1)
            self.assertEqual(len(found["manifold_call_hits_total"]), 1)
            self.assertEqual(self.of(found, "manifold_cache_memory_hits_total"), 4)
            self.assertEqual(self.of(found, "manifold_window_cache_hit_ratio"), 0.8)
            self.assertEqual(self.of(found, "manifold_cache_limit_bytes"), 64 << 20)

    def test_refusals_by_reason(self):
        with self.configured("plugins: { echo: { limits: { rate: 1/s } } }\n") as s:
            for _ in range(5):
                s.call("echo", {"message": "x"})
            found = self.read(s)
            self.assertEqual(self.of(found, "manifold_call_refusals_total", plugin="echo", kind="tool",
                                     name="echo", reason="rate"), 4)

    def test_the_documentation_has_them_all(self):
        with open(os.path.join(HERE, "..", "..", "docs", "operators.md")) as f:
            page = f.read().split("\n## Metrics\n")[1].split("\n## ")[0]
        rows = [l for l in page.splitlines() if l.startswith("| `manifold_") or l.startswith("| `process_")]
        told = set(re.findall(r"`((?:manifold|process)_[a-z_]+)`", "".join(rows)))
        with self.configured() as s:
            s.echo()
            text = self.metrics(s)
        found = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
        self.assertEqual(told - found, {"manifold_window_cache_hit_ratio"})  # nothing was looked up
        self.assertEqual(found - told, set())
        shown = set(re.findall(r"`([a-z_0-9]+)`", page))
        with self.configured() as s:
            s.echo()
            s.request("resources/read", {"uri": "echo://greeting"})
            p = perf(s)
            for keys in (p, p["tools"]["echo"], p["resources"]["echo://greeting"], p["plugins"]["echo"], p["series"]):
                self.assertEqual(set(keys) - shown - {"plugin_metrics"}, set())

    def test_figures_of_plugins(self):
        odd = "a\"b\\c\nd\u00e4{},= "
        with self.configured() as s:
            figures(s, kind=1, name="jobs", help="Jobs\\done\nhere", label="queue", value=odd, op="add",
                    amount=1.5, times=4)
            figures(s, kind=2, name="load", op="set", amount=-2.25)
            figures(s, kind=2, name="size", unit="bytes", op="set", amount=2 ** 40)
            for amount in (0.0005, 0.002, 0.002, 3, 1000):
                figures(s, kind=3, name="wait", unit="seconds", op="observe", amount=amount)
            found = self.read(s)
            self.assertEqual(self.of(found, "manifold_plugin_jobs_total", plugin="figures", queue=odd), 6)
            self.assertEqual(self.of(found, "manifold_plugin_load", plugin="figures"), -2.25)
            self.assertEqual(self.of(found, "manifold_plugin_size_bytes", plugin="figures"), 2 ** 40)
            name = "manifold_plugin_wait_seconds"
            took = self.check_histogram(found, name, plugin="figures")
            self.assertEqual([took[b] for b in (0.00025, 0.0005, 0.001, 0.0025, 2.5, 5, 100, math.inf)],
                             [0, 1, 1, 3, 3, 4, 4, 5])
            self.assertAlmostEqual(self.of(found, name + "_sum", plugin="figures"), 1003.0045)
            self.assertEqual(self.of(found, "manifold_series"), 4)
            self.assertEqual(self.of(found, "manifold_series_refused_total", plugin="figures"), 0)
            self.assertEqual(figures(s, kind=2, name="jobs"), "no")
            self.assertEqual(figures(s, kind=2, name="Jobs"), "no")
            found = self.read(s)
            self.assertEqual(self.of(found, "manifold_series_refused_total", plugin="figures"), 2)
            s.wait_log("figures: metrics: series jobs is refused: there is another kind or unit")
            # The same over MCP.
            shown = {(m["name"], m.get("labels", {}).get("queue")): m for m in perf(s)["plugin_metrics"]}
            self.assertEqual(shown["manifold_plugin_jobs_total", odd]["value"], 6)
            self.assertEqual(shown[name, None]["count"], 5)
            self.assertEqual(shown[name, None]["max"], 1000)
            self.assertEqual(len(shown), 4)

    def test_many_threads_and_a_client_that_looks(self):
        times, threads = scaled(20000), 8
        with self.configured() as s:
            figures(s, kind=1, name="n")
            s.send(modern("tools/call", {"name": "figures", "arguments": {
                "kind": 1, "name": "n", "op": "add", "times": times, "threads": threads}}, "x"))
            seen = []
            while not seen or seen[-1] < times * threads:
                seen.append(self.of(self.read(s), "manifold_plugin_n_total", plugin="figures"))
            self.assertEqual(seen, sorted(seen))
            s.answer("x")
            self.assertEqual(self.of(self.read(s), "manifold_plugin_n_total", plugin="figures"),
                             times * threads)

    def test_json_and_no_host(self):
        with self.configured() as s:
            s.echo()
            here = json.loads(self.metrics(s, "--json"))
            self.assertEqual(set(here), set(perf(s)))
            self.assertEqual(here["tools"]["echo"]["total_calls"], 1)
        _, err = harness.run("metrics", "--socket", self.socket, expect=3)
        self.assertIn(self.socket, err)


class Series(Base):
    def two(self, text="", bad=None, **kw):
        for name in ("one", "two"):
            self.f.bad("figures", name, bad)
            with open(BAD + "/figures/figures.yaml") as f:
                manifest = f.read().replace("name: figures\nversion", "name: %s\nprefix: %s\nversion"
                                            % (name, name))
            os.remove(self.f.path + "/%s/figures.yaml" % name)
            self.f.write("%s/%s.yaml" % (name, name), manifest.replace(
                "tools:", "library: figures.so\ntools:"))
        return self.configured(text, plugins=(self.f.path + "/one", self.f.path + "/two"), **kw)

    def ask(self, s, plugin, **arguments):
        return text_of(s.call(plugin + "_figures", arguments))

    def test_one_plugin_can_not_take_them_all(self):
        with self.two("metrics: { series: 100 }\n") as s:
            self.assertEqual(self.ask(s, "one", many=1000, name="c", label="n"), "50")
            self.assertEqual(self.ask(s, "two", many=10, name="c", label="n"), "10")
            self.assertEqual(self.ask(s, "two", kind=2, name="c"), "no")  # a counter by now
            self.assertEqual(self.ask(s, "one", many=20, name="c", label="n"), "20")  # those it has
            p = perf(s)
            self.assertEqual(p["plugins"]["one"]["series"], 50)
            self.assertEqual(p["plugins"]["one"]["series_refused"], 950)
            self.assertEqual((p["series"]["count"], p["series"]["limit"]), (60, 100))
            s.wait_log("one: metrics: series c is refused: too many (metrics.series")

    @needs_controls
    def test_without_the_bound(self):
        with self.two("metrics: { series: 100 }\n", bad=controls_dir("bad"), binary=CONTROLS,
                      env={"MANIFOLD_WITHOUT": "series"}) as s:
            self.assertEqual(self.ask(s, "one", many=1000, name="c", label="n"), "1000")

    def test_figures_survive_a_reload_and_go_with_the_plugin(self):
        with self.two() as s:
            self.ask(s, "one", name="c", op="add", amount=5)
            self.ask(s, "two", name="c", op="add", amount=7)
            s.wait_log("admin socket: ")
            path = self.f.path + "/one/one.yaml"
            with open(path) as f:
                manifest = f.read()
            self.f.write("one/one.yaml", manifest.replace("Counts what", "Counts all that"))
            harness.run("reload", "--socket", self.socket)
            s.wait_log("one: generation 2 takes over")
            self.ask(s, "one", name="c", op="add", amount=5)
            by_plugin = {m["plugin"]: m["value"] for m in perf(s)["plugin_metrics"]}
            self.assertEqual(by_plugin, {"one": 10, "two": 7})
            os.remove(path)
            harness.run("reload", "--socket", self.socket)
            s.wait_log("one: generation 2 has ended")
            by_plugin = {m["plugin"]: m["value"] for m in perf(s)["plugin_metrics"]}
            self.assertEqual(by_plugin, {"two": 7})
            self.f.write("one/one.yaml", manifest)
            harness.run("reload", "--socket", self.socket)
            self.ask(s, "one", name="c", op="add", amount=1)
            by_plugin = {m["plugin"]: m["value"] for m in perf(s)["plugin_metrics"]}
            self.assertEqual(by_plugin, {"one": 1, "two": 7})

    def test_the_list_over_mcp_is_bounded(self):
        with self.two() as s:
            self.assertEqual(self.ask(s, "one", many=700, name="c", label="n"), "700")
            p = perf(s)
            self.assertEqual((len(p["plugin_metrics"]), p["plugin_metrics_left_out"]), (500, 200))


class Busy(Exception):
    """What was to be quick was not, as this client sees, too: the machine has other things to do."""


def quick(s, limit, tool, **arguments):
    """A call that the host must not find to be slow."""
    began = time.monotonic()
    result = s.call(tool, arguments)
    if (time.monotonic() - began) * 1000 >= limit:
        raise Busy()
    return result


def undisturbed(test):
    """Made again while the machine is too busy for it."""
    def again(self):
        for _ in range(20):
            try:
                return test(self)
            except Busy:
                continue
        self.fail("the machine is too busy")
    return again


class Slow(Base):
    def lines(self, s):
        return re.findall(r"warn +figures: figures: slow call, (\d+) ms: it waited (\d+) ms and ran "
                          r"(\d+) ms; its end: (.*) \(slow: 300ms\)(.*)", s.log())

    @undisturbed
    def test_where_the_time_went(self):
        with serve(BAD + "/figures", args=("--set", "figures.limits.concurrency=1")) as s:
            quick(s, 300, "figures")
            s.send(*[modern("tools/call", {"name": "figures", "arguments": {"sleep": 400, "fail": i}},
                            "c%d" % i) for i in (0, 1)])
            for i in (0, 1):
                s.answer("c%d" % i)
            quick(s, 300, "figures", sleep=10)
            s.wait_log("an error of the tool")
            first, second = self.lines(s)
            self.assertEqual((first[3], second[3]), ("a result", "an error of the tool"))
            took, waited, ran = map(int, first[:3])
            self.assertTrue(took >= ran >= 400 and waited < 100)
            took, waited, ran = map(int, second[:3])
            self.assertTrue(waited >= 300 and ran >= 400 and abs(took - waited - ran) <= 1)
            p = status(s)["plugins"][0]
            self.assertEqual(p["slow"], 2)
            self.assertEqual(p["entries"][0]["slow"], 2)
            self.assertEqual(perf(s)["tools"]["figures"]["slow"], 2)

    def test_a_timeout_is_slow(self):
        with serve(BAD + "/figures", args=("--set", "figures.limits.timeout=350ms")) as s:
            figures(s)
            s.call("figures", {"sleep": 500})
            s.wait_log("its end: timeout (slow: 300ms)")

    @undisturbed
    def test_the_log_is_bounded(self):
        with serve(BAD + "/figures", args=("--set", "figures.limits={concurrency: 200, queue: 0}")) as s:
            quick(s, 300, "figures")
            s.send(*[modern("tools/call", {"name": "figures", "arguments": {"sleep": 350}}, "c%d" % i)
                     for i in range(100)])
            for i in range(100):
                s.answer("c%d" % i, timeout=60)
            self.assertEqual(status(s)["plugins"][0]["slow"], 100)
            figures(s, sleep=1100)  # in another second, which tells of those that were left out
            s.wait_log("more since the last line")
            with s.logged:
                s.logged.wait_for(lambda: any(int(l[0]) >= 1100 for l in self.lines(s)), harness.TIMEOUT)
            lines = self.lines(s)
            self.assertLess(len(lines), 50)
            told = sum(int(n) for n in re.findall(r"; (\d+) more since", s.log()))
            self.assertEqual(len(lines) + told, 101)

    @undisturbed
    def test_the_hosts_own_bound(self):
        with self.configured("log: { slow: 40ms }\n") as s:
            s.echo()
            quick(s, 40, "sleep", ms=1)
            s.call("sleep", {"ms": 60})
            s.wait_log("echo: sleep: slow call, ")
            self.assertEqual(len(re.findall("sleep: slow call", s.log())), 1)
            self.assertEqual(status(s)["notInForce"], [])


if __name__ == "__main__":
    harness.main()
