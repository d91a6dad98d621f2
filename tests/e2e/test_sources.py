"""Where plugins come from: directories, prefixes, collisions, order, overrides, ceilings, and what is
said of files that can't be served, while the others are."""

import json
import os
import unittest

import harness
import support
from harness import Server, run
from support import BAD, Files, serve, text_of

SANDBOX = "no sandbox"


def manifest(id, *tools, more="", library="echo.so"):
    lines = ["manifold: 1", "id: " + id, "isolation: inproc"]
    if library:
        lines.append("library: " + library)
    lines += [more] if more else []
    if tools:
        lines.append("tools:")
    lines += ["  - { name: %s, description: of %s }" % (t, id) for t in tools]
    return "\n".join(lines) + "\n"


def prompts(id, *names, more=""):
    """A plugin without code."""
    return manifest(id, library=None, more=more) + "prompts:\n" + "".join(
        "  - { name: %s, messages: [{ role: user, text: of %s }] }\n" % (n, id) for n in names)


def names(s, what="tools"):
    return [e["name"] for e in s.request(what + "/list")["result"][what]]


def problem_list(s):
    return [(p["plugin"], p["problem"], p["served"]) for p in support.status(s)["problems"]]


class Base(unittest.TestCase):
    def setUp(self):
        self.f = Files()
        self.f.__enter__()
        self.addCleanup(self.f.__exit__)

    def config(self, text):
        return self.f.write("host.yaml", "manifold: 1\n" + text)

    def source(self, name, **more):
        return json.dumps(dict({"path": self.f.directory(name), "trust": True}, **more))

    def configured(self, text, **kw):
        return Server("--config", self.config(text), plugins=[], **kw)

    def plugin(self, s, name="echo"):
        return [p for p in support.status(s)["plugins"] if p["name"] == name][0]


class Order(Base):
    def test_directories_in_order_files_by_name(self):
        for d, stems in (("z", "cab"), ("a", "edf")):
            for stem in stems:
                self.f.write("%s/%s.yaml" % (d, stem), prompts("org.example." + stem, stem + "1",
                                                              stem + "0"))
        want = ["a1", "a0", "b1", "b0", "c1", "c0", "d1", "d0", "e1", "e0", "f1", "f0"]
        with serve(self.f.path + "/z", self.f.path + "/a") as s:
            self.assertEqual(names(s, "prompts"), want)
        with serve(self.f.path + "/a", self.f.path + "/z") as s:
            self.assertEqual(names(s, "prompts"), want[6:] + want[:6])

    def test_two_runs_are_equal_to_the_byte(self):
        for i in range(40):
            self.f.write("d/m%02d.yaml" % (i * 7 % 40), prompts("org.example.p%d" % i, "x%d" % i))
        self.f.echo("d")

        def one():
            with serve(self.f.path + "/d") as s:
                text = b""
                for method in ("tools/list", "prompts/list", "resources/list",
                               "resources/templates/list", "server/discover"):
                    s.send(harness.modern(method, None, 1))
                    text += s.recv_line() + b"\n"
                return text
        self.assertEqual(one(), one())

    def test_other_files_are_left_alone(self):
        self.f.echo("d")
        for name in (".hidden.yaml", "README.md", "echo.yaml~", "echo.yaml.bak", "yaml"):
            self.f.write("d/" + name, "{{{ no yaml")
        self.f.directory("d/sub.d")
        with serve(self.f.path + "/d") as s:
            self.assertEqual(problem_list(s), [])
            s.echo()


class Names(Base):
    def test_prefixes(self):
        """The source's, unless the manifest sets its own; the host config's over both; "" is none.
        URIs stay as they are."""
        for n, more in (("one", ""), ("two", "prefix: own"), ("three", 'prefix: ""'),
                        ("four", "prefix: own")):
            self.f.write("d/%s.yaml" % n, prompts("org.example." + n, n, more=more))
        self.f.echo("e")
        with self.configured("sources: [%s, %s]\nplugins: { four: { prefix: host } }\n"
                             % (self.source("d", prefix="src"), self.source("e", prefix="e"))) as s:
            self.assertEqual(names(s, "prompts"), ["host_four", "src_one", "three", "own_two",
                                                   "e_recite", "e_reply"])
            self.assertEqual(names(s), ["e_echo", "e_echo_structured", "e_sleep"])
            self.assertEqual(text_of(s.call("e_echo", {"message": "m"})), "Echo: m")
            self.assertIn("error", s.request("tools/call", {"name": "echo"}))
            uris = [r["uri"] for r in s.request("resources/list")["result"]["resources"]]
            self.assertEqual(uris, ["manifold://status", "perf://metrics", "echo://greeting"])

    def collide(self, how):
        self.f.write("a/first.yaml", prompts("org.example.first", "same", "only_first"))
        self.f.write("b/second.yaml", prompts("org.example.second", "same", "only_second"))
        text = "sources: [%s, %s]\n%s" % (self.source("a"), self.source("b"), how)
        with self.configured(text) as s:
            self.assertEqual(names(s, "prompts"), ["same", "only_first", "only_second"])
            r = s.request("prompts/get", {"name": "same"})["result"]
            self.assertEqual(r["messages"][0]["content"]["text"], "of org.example.first")
            return problem_list(s), s

    def test_collision_is_reported(self):
        for how in ("", "on_collision: error\n"):
            found, s = self.collide(how)
            self.assertEqual(len(found), 1)
            plugin, text, served = found[0]
            self.assertEqual((plugin, served), ("second", True))
            self.assertIn("prompt same is not served: plugin first", text)
            self.assertIn(text, s.log())
            out, _ = run("check", "--config", self.f.path + "/host.yaml", expect=1)
            self.assertIn(text, out)

    def test_collision_the_first_wins_quietly(self):
        found, s = self.collide("on_collision: first\n")
        self.assertEqual(found, [])
        self.assertNotIn("same", s.log())
        run("check", "--config", self.f.path + "/host.yaml", expect=0)

    def test_resources_collide_by_their_uri(self):
        self.f.echo("a", "one")
        self.f.echo("b", "two")
        with serve(self.f.path + "/a", self.f.path + "/b") as s:
            text = [p[1] for p in problem_list(s) if p[0] == "two"]
            self.assertEqual(len(text), 7)  # 3 tools, a resource, a template, 2 prompts
            self.assertEqual(sum("echo://greeting" in t for t in text), 1)
            s.echo()

    def test_the_status_can_not_be_taken(self):
        self.f.write("d/p.yaml", manifest("org.example.p", library=None)
                     + "resources: [{ name: r, uri: \"manifold://status\" }]\n")
        with serve(self.f.path + "/d") as s:
            self.assertIn("plugins", support.status(s))

    def test_long_names(self):
        """64 characters as a client sees them, the prefix included."""
        fits, long = "f" * 64, "l" * 65
        self.f.write("d/fits.yaml", prompts("org.example.fits", fits, "short"))
        self.f.write("d/long.yaml", prompts("org.example.long", long))
        with serve(self.f.path + "/d") as s:
            self.assertEqual(names(s, "prompts"), [fits, "short"])
            [(plugin, text, served)] = problem_list(s)
            self.assertEqual(plugin, "long")
            self.assertIn("64", text)
        out, _ = run("check", "--plugins", self.f.path + "/d", expect=1)
        self.assertIn(text, out)
        os.remove(self.f.path + "/d/long.yaml")
        config = "sources: [%s]\n" % self.source("d", prefix="p")
        with self.configured(config) as s:
            self.assertEqual(names(s, "prompts"), ["p_short"])
            [(plugin, text, served)] = problem_list(s)
            self.assertIn("at most 64 characters, found 66", text)
        out, _ = run("check", "--config", self.config(config), expect=1)
        self.assertIn(text, out)

    def test_one_library_two_instances(self):
        """One mapping, two of everything else."""
        with serve(BAD + "/open_twice") as s:
            for n, name in enumerate(("first", "second"), 1):
                self.assertEqual(text_of(s.call(name + "_open_twice")),
                                 'instance %s has config {"number":%d}' % (name, n))
            p = {p["name"]: p["sha256"] for p in support.status(s)["plugins"]}
            self.assertEqual(p["first"], p["second"])

    def test_two_instances_of_one_name(self):
        self.f.write("a/x.yaml", prompts("org.example.one", "one", more="name: same"))
        self.f.write("a/y.yaml", prompts("org.example.two", "two", more="name: same"))
        with serve(self.f.path + "/a") as s:
            self.assertEqual(names(s, "prompts"), ["one"])
            [(plugin, text, served)] = problem_list(s)
            self.assertIn("x.yaml", text)
            self.assertIn("y.yaml", text)
            self.assertFalse(served)


class Broken(Base):
    """A file that can't be served is told with its place; the plugin beside it answers."""

    SLIPS = {
        "syntax": ("manifold: 1\nid: [a\n", 3, 1, "expected ',' or ']'"),
        "unknown": ("manifold: 1\nid: a.b\ntools:\n  - { name: x, descripton: y }\n", 4, 16,
                    'unknown key "descripton"'),
        "duplicate": ("manifold: 1\nid: a.b\nid: a.c\n", 3, 1, "id"),
        "kind": ("manifold: 1\nid: a.b\ntools: 7\n", 3, 8, "tools: expected"),
        "anchor": ("manifold: 1\nid: &x a.b\n", 2, 5, "anchor"),
        "missing": ("manifold: 1\ntitle: t\n", 1, 1, "id"),
        "format": ("manifold: 2\nid: a.b\n", 1, 11, "manifold: expected 1, found number 2"),
        "duration": ("manifold: 1\nid: a.b\nlimits: { timeout: fast }\n", 3, 20, "duration"),
        "yes": ("manifold: 1\nid: a.b\nlibrary: echo.so\ntools: [{ name: t, annotations: "
                "{ readOnlyHint: yes } }]\n", 4, 49, "boolean"),
        "schema": ("manifold: 1\nid: a.b\nlibrary: echo.so\ntools:\n  - name: t\n    inputSchema: "
                   "{ type: object, frobnicate: 1 }\n", 6, None, "frobnicate"),
    }

    def test_slips(self):
        """Each with file, line and column, in log, status and `check`."""
        self.f.echo("d")
        for name, (text, *_) in self.SLIPS.items():
            self.f.write("d/%s.yaml" % name, text)
        with serve(self.f.path + "/d") as s:
            found = {p: t for p, t, _ in problem_list(s)}
            self.assertEqual(set(found), set(self.SLIPS))
            s.echo()
            s.finish()
            log = s.log()
        out, _ = run("check", "--trust", "--plugins", self.f.path + "/d", expect=1)
        for name, (_, line, column, text) in self.SLIPS.items():
            place = "%s/d/%s.yaml:%d:%s" % (self.f.path, name, line,
                                            "%d: " % column if column else "")
            self.assertTrue(found[name].startswith(place), (place, found[name]))
            self.assertIn(text, found[name])
            self.assertIn(found[name], log)
            self.assertIn(found[name], out)
        self.assertIn("ok    echo", out)

    def test_too_big_or_too_deep(self):
        self.f.echo("d")
        self.f.write("d/big.yaml", "manifold: 1\nid: a.b\n#" + "x" * (257 << 10))
        self.f.write("d/deep.yaml", "manifold: 1\nid: a.b\nconfig: " + "[" * 40 + "]" * 40)
        with serve(self.f.path + "/d") as s:
            found = {p: t for p, t, _ in problem_list(s)}
            self.assertIn("256", found["big"])
            self.assertIn("32", found["deep"])
            s.echo()

    def test_library_is_missing(self):
        self.f.write("d/lost.yaml", manifest("a.b", "t", library="lost.so"))
        self.f.echo("d")
        with serve(self.f.path + "/d") as s:
            [(plugin, text, served)] = problem_list(s)
            self.assertEqual((plugin, served), ("lost", False))
            self.assertIn("lost.so", text)
            self.assertNotIn("t", names(s))
            s.echo()

    def test_yml(self):
        self.f.echo("d")
        self.f.write("d/other.yml", prompts("a.b", "x"))
        with serve(self.f.path + "/d") as s:
            [(plugin, text, served)] = problem_list(s)
            self.assertIn("other.yml", text)
            self.assertIn(".yaml", text)
            s.wait_log(text)
            self.assertNotIn("x", names(s, "prompts"))

    def test_directories_that_are_refused(self):
        self.f.echo("good")
        self.f.echo("open")
        os.chmod(self.f.path + "/open", 0o777)
        self.f.write("file", "")
        where = [self.f.path + "/" + n for n in ("good", "open", "none", "file")]
        with serve(*where) as s:
            found = {p: t for p, t, _ in problem_list(s)}
            self.assertEqual(set(found), set(where[1:]))
            self.assertIn("0777", found[where[1]])
            self.assertIn("No such file", found[where[2]])
            s.echo()
        for path in where[1:]:
            run("check", "--plugins", path, expect=1)

    def test_files_that_others_may_write_or_link(self):
        self.f.echo("d", "linked")
        self.f.echo("d", "open")
        os.chmod(self.f.path + "/d/open.yaml", 0o666)
        os.rename(self.f.path + "/d/linked.yaml", self.f.path + "/elsewhere.yaml")
        os.symlink(self.f.path + "/elsewhere.yaml", self.f.path + "/d/linked.yaml")
        with serve(self.f.path + "/d") as s:
            found = {p: t for p, t, _ in problem_list(s)}
            self.assertIn("symbolic link", found["linked"])
            self.assertIn("0666", found["open"])
            self.assertEqual(names(s), [])

    def test_library_that_others_may_write_or_link(self):
        for name, what in (("open", "0666"), ("linked", "symbolic link")):
            with self.subTest(name):
                self.f.echo(name)
                library = self.f.path + "/%s/echo.so" % name
                if name == "open":
                    os.chmod(library, 0o666)
                else:
                    os.rename(library, self.f.path + "/real.so")
                    os.symlink(self.f.path + "/real.so", library)
                with serve(self.f.path + "/" + name) as s:
                    m = s.request("tools/call", {"name": "echo", "arguments": {"message": "m"}})
                    self.assertTrue("error" in m or m["result"]["isError"])
                    self.assertTrue([t for t in support.problems(support.status(s))["echo"]
                                     if "echo.so" in t])


class Overrides(Base):
    def timeout_of(self, s):
        """As the refusal says it."""
        return text_of(s.call("sleep", {"ms": 60000})).split(" within ")[1].split(" ms")[0]

    def test_later_wins(self):
        """Built-in, defaults, manifest, plugins.NAME, --set; then the ceilings."""
        timeout = "limits: { timeout: %s }"
        d = self.source("d")
        whole = "limits: { concurrency: 1024, timeout: 10m, result: 8MiB }\n"
        for own, defaults, named, sets, ceiling, want in (
                ("", "120ms", "", "", "", "120"),
                ("110ms", "120ms", "", "", "", "110"),
                ("110ms", "120ms", "90ms", "", "", "90"),
                ("110ms", "120ms", "90ms", "70ms", "", "70"),
                ("110ms", "", "", "10s", "60ms", "60"),
                ("", "", "", "", "50ms", "50")):
            self.f.echo("d", edits={whole: (timeout % own + "\n") if own else ""})
            text = "sources: [%s]\n" % d
            text += "defaults: { %s }\n" % (timeout % defaults) if defaults else ""
            text += "plugins: { echo: { %s } }\n" % (timeout % named) if named else ""
            text += "ceilings: { %s }\n" % (timeout % ceiling) if ceiling else ""
            args = ["--set", "echo.limits.timeout=" + sets] if sets else []
            with Server("--config", self.config(text), *args, plugins=[]) as s:
                self.assertEqual(self.timeout_of(s), want)
                cut = [w for w in self.plugin(s)["warnings"] if "ceiling" in w]
                self.assertEqual(bool(cut), bool(ceiling) and bool(own or sets), (cut, want))

    def test_config_merges(self):
        self.f.bad("open_twice", "d")
        with self.configured("sources: [%s]\nplugins: { first: { config: { more: [1] } } }\n"
                             % self.source("d")) as s:
            text = text_of(s.call("first_open_twice"))
            self.assertEqual(json.loads(text.split("config ")[1]), {"number": 1, "more": [1]})
        with serve(self.f.path + "/d", args=("--set", "first.config.number=9")) as s:
            self.assertIn('{"number":9}', text_of(s.call("first_open_twice")))
            self.assertIn('{"number":2}', text_of(s.call("second_open_twice")))

    def test_enabled_and_hide(self):
        self.f.echo("d")
        d = self.source("d")
        with self.configured("sources: [%s]\nplugins: { echo: { enabled: false } }\n" % d) as s:
            self.assertEqual(names(s), [])
        with self.configured("sources: [%s]\nplugins: { echo: { hide: [echo_*, re?ite] } }\n" % d) as s:
            self.assertEqual(names(s), ["echo", "sleep"])
            self.assertIn("error", s.request("tools/call", {"name": "echo_structured",
                                                            "arguments": {"message": "m"}}))
            self.assertIn("reply", names(s, "prompts"))

    def test_plugins_option_reads_no_config(self):
        self.f.echo("d")
        home = self.f.directory("home")
        self.f.write("home/.config/manifold/manifold.yaml", "manifold: 1\nserver: { name: mine }\n"
                     "sources: [%s]\n" % self.source("d", prefix="home"))
        with Server(plugins=[], env={"HOME": home}) as s:
            self.assertEqual(s.initialize()["serverInfo"]["name"], "mine")
            self.assertIn("home_echo", names(s))
        with serve(self.f.path + "/d", env={"HOME": home}) as s:
            self.assertEqual(s.initialize()["serverInfo"]["name"], "manifold")
            self.assertIn("echo", names(s))

    def test_wrong_config_ends_at_once(self):
        """With the place; there is nothing to serve."""
        for text, want in (("sorces: []\n", ":2:1: "), ("sources: 7\n", ":2:10: "),
                           ("limits: { message: 1 }\n", ":2:20: ")):
            path = self.config(text)
            for command in ("serve", "check", "list"):
                _, err = run(command, "--config", path, expect=1)
                self.assertIn(path + want, err, text)
        _, err = run("serve", "--config", self.f.path + "/none.yaml", expect=1)
        self.assertIn("none.yaml", err)
        for sets in ("echo.limits.tmeout=1s", "echo.limits.timeout=x", "echo"):
            _, err = run("serve", "--plugins", harness.PLUGINS, "--set", sets, expect=1)
            self.assertIn("--set", err)

    def test_keys_that_come_later(self):
        self.f.echo("d", edits={"library: echo.so": "library: echo.so\nreload: handover\n"
                                "breaker: { failures: 3 }\nworker: { spare: 1 }"})
        with serve(self.f.path + "/d") as s:
            late = " ".join(self.plugin(s)["notInForce"])
            self.assertNotIn("reload", late)
            self.assertNotIn("breaker", late)
            self.assertIn("worker", late)
            s.wait_log("not in force")
            s.echo()


class Sandbox(Base):
    """A plugin that asks for a worker, or gets it by default, runs inside: that is said."""

    def said(self, how, trusted=True):
        self.f.echo("d", edits={"isolation: inproc\n": how})
        with Server(*(["--trust"] if trusted else []), plugins=[self.f.path + "/d"]) as s:
            s.echo()
            p = self.plugin(s)
            s.finish()
        args = ["--plugins", self.f.path + "/d"] + (["--trust"] if trusted else [])
        out, _ = run("check", *args)
        document = json.loads(run("check", "--json", *args)[0])["plugins"][0]
        return [SANDBOX in text for text in (s.log(), p.get("isolationNote", ""), out,
                                             document.get("isolationNote", ""))], p["isolation"]

    def test_by_default(self):
        self.assertEqual(self.said(""), ([True] * 4, "worker"))

    def test_asked(self):
        self.assertEqual(self.said("isolation: worker\n"), ([True] * 4, "worker"))

    def test_trusted_inproc(self):
        self.assertEqual(self.said("isolation: inproc\n"), ([False] * 4, "inproc"))

    def test_inproc_where_nobody_trusts_it(self):
        self.assertEqual(self.said("isolation: inproc\n", trusted=False), ([True] * 4, "worker"))


if __name__ == "__main__":
    harness.main()
