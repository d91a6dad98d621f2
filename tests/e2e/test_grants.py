"""A plugin gets what it asks for and the operator gives: the sentence says which line gives it, that line
is enough, nothing is given by more than that, and secrets stay where they are."""

import json
import os
import re
import shutil
import stat
import unittest

import harness
import support
from harness import Server
from support import BAD, Files

STAMP = """manifold: 1
id: test.bad.stamp
name: stamp
version: 1.0.0
tools: [{ name: stamp }]
permissions: %s
config: { stamp: 7%s }
"""
ENV = "{ env: [TEST_GRANT] }"
NOTE = ', note: "${env:TEST_GRANT}"'
ALL = ('{ http: [{ name: web, host: "*" }, { name: api, host: api.example }], files: [{ name: root, mode: rw }, '
       '{ name: own, mode: rw, path: "${data}/own" }], tcp: [{ name: db, host: db.example, port: 5432 }], '
       'process: [{ name: git, path: /usr/bin/git }], env: [TEST_GRANT] }')
DENIED = ('plugin stamp asks for env "TEST_GRANT" (for ${env:...} in config), which is not granted; grant it '
          'with --grant stamp.env.TEST_GRANT or plugins: {stamp: {grants: {env: [TEST_GRANT]}}} in the host '
          'config')


class Base(unittest.TestCase):
    def setUp(self):
        self.f = Files()
        self.f.__enter__()
        self.addCleanup(self.f.__exit__)
        self.env = {"HOME": self.f.directory("home"), "TEST_GRANT": "granted"}
        self.socket = self.f.path + "/admin.sock"

    def stamp(self, permissions, config="", bad=BAD):
        os.makedirs(self.f.directory("p"), exist_ok=True)
        shutil.copy(os.path.join(bad, "stamp", "stamp.so"), self.f.at("p/stamp.so"))
        self.f.write("p/stamp.yaml", STAMP % (permissions, config))

    def config(self, text, trust=False):
        return self.f.write("host.yaml", "manifold: 1\nadmin: %s\nsources: [{ path: p, trust: %s }]\n%s"
                            % (self.socket, "true" if trust else "false", text))

    def serve(self, *args, plugins=None, **kw):
        kw["env"] = dict(self.env, **kw.get("env", {}))
        return Server(*args, plugins=[self.f.path + "/p"] if plugins is None else plugins, **kw)

    def run_command(self, *args, **kw):
        return harness.run(*args, env=self.env, **kw)

    def check(self, *args, **kw):
        return self.run_command("check", "--plugins", self.f.path + "/p", *args, **kw)

    def served(self, s):
        r = s.request("tools/call", {"name": "stamp"})
        return "result" in r and support.text_of(r["result"]).startswith("stamp 7 ")

    def problems(self, s):
        return support.problems(support.status(s)).get("stamp", [])


class OneLine(Base):
    def test_the_sentence_says_what_to_write(self):
        self.stamp(ENV, NOTE)
        with self.serve() as s:
            self.assertFalse(self.served(s))
            sentence = self.problems(s)[0]
            self.assertEqual(sentence, "%s/p/stamp.yaml:7:27: config.note: %s" % (self.f.path, DENIED))
        out, _ = self.check(expect=1)
        self.assertIn(DENIED, out)
        # Each of the two lines is enough.
        option = re.search(r"--grant \S+", sentence).group(0).split()
        with self.serve(*option) as s:
            self.assertTrue(self.served(s))
            self.assertEqual(self.problems(s), [])
        line = re.search(r"or (plugins: \{.*\}) in the host config", sentence).group(1)
        with self.serve("--config", self.config(line + "\n"), plugins=[]) as s:
            self.assertTrue(self.served(s))

    def test_trust_is_enough(self):
        self.stamp(ENV, NOTE)
        with self.serve("--trust") as s:
            self.assertTrue(self.served(s))
        for more in ("plugins: { stamp: { trust: true } }\n", "plugins: { stamp: { grants: asked } }\n"):
            with self.serve("--config", self.config(more), plugins=[]) as s:
                self.assertTrue(self.served(s))
        with self.serve("--grant", "stamp=asked") as s:
            self.assertTrue(self.served(s))

    def test_call_and_list_take_it_too(self):
        self.stamp(ENV, NOTE)
        where = ("--plugins", self.f.path + "/p")
        grant = ("--grant", "stamp.env.TEST_GRANT")
        self.assertIn("stamp 7 ", self.run_command("call", *where, *grant, "stamp")[0])
        self.run_command("call", *where, "stamp", expect=1)
        self.assertIn("stamp", self.run_command("list", *where, *grant)[0].split("Tools")[1])
        self.assertNotIn("Tools", self.run_command("list", *where)[0])

    def test_a_trusted_plugin_asks_or_gets_nothing(self):
        self.stamp("{}", NOTE)
        with self.serve("--trust") as s:
            self.assertIn('plugin stamp does not ask for env "TEST_GRANT"', self.problems(s)[0])


class Shown(Base):
    def test_check_says_what_is_granted_and_what_would(self):
        self.stamp(ALL)
        out, _ = self.check("--grant", "stamp.http.web.host=b.example", "--grant",
                            "stamp.files.root.path=" + self.f.directory("work"))
        for line in (r'granted http    web          host "b\.example", methods GET',
                     r'denied  http    api          host "api\.example"; granted by --grant stamp\.http\.api',
                     r'granted files   root         mode rw, path "%s/work"' % self.f.path,
                     r'denied  files   own          mode rw, path "\$\{data\}/own"; granted by --grant '
                     r'stamp\.files\.own',
                     r'denied  tcp     db           host "db\.example", port 5432; granted by --grant '
                     r'stamp\.tcp\.db',
                     r'denied  process git          path "/usr/bin/git"; granted by --grant stamp\.process\.git',
                     r'denied  env     TEST_GRANT   .*; granted by --grant stamp\.env\.TEST_GRANT'):
            self.assertRegex(out, "(?m)^      " + line + "$")
        out, _ = self.check("--trust")
        self.assertRegex(out, r'granted http    web          host "\*", methods GET \(reaches every public host\)')
        self.assertRegex(out, r'denied  files   root         mode rw; granted by --grant '
                         r'stamp\.files\.root\.path=DIRECTORY')
        asked = json.loads(self.check("--json")[0])["plugins"][0]["permissions"]
        self.assertEqual([(p["kind"], p["name"], p["granted"]) for p in asked],
                         [("http", "web", False), ("http", "api", False), ("files", "root", False),
                          ("files", "own", False), ("tcp", "db", False), ("process", "git", False),
                          ("env", "TEST_GRANT", False)])

    def test_status_has_names_alone(self):
        self.stamp(ALL)
        with self.serve("--trust") as s:
            document = support.status(s)
            self.assertIn({"kind": "files", "name": "own", "granted": True},
                          document["plugins"][0]["permissions"])
            text = json.dumps(document["plugins"][0]["permissions"])
            for word in ("example", "/", "${data}"):
                self.assertNotIn(word, text)

    def test_own_directories_are_made(self):
        self.stamp(ALL)
        own = self.f.path + "/home/.local/share/manifold/data/stamp/own"
        self.check()
        self.assertFalse(os.path.exists(own))
        self.check("--grant", "stamp.files.own")
        self.assertEqual(stat.S_IMODE(os.stat(own).st_mode), 0o700)


class Never(Base):
    def test_what_is_not_asked_for_warns(self):
        self.stamp("{ env: [TEST_GRANT] }", NOTE)
        with self.serve("--grant", "stamp=asked", "--grant", "stamp.files.root.path=/usr") as s:
            self.assertTrue(self.served(s))
            warnings = support.status(s)["plugins"][0]["warnings"]
            self.assertEqual(warnings, [
                '--grant stamp.files.root.path: plugins.stamp.grants.files.root: expected what '
                'permissions.files of the manifest asks for, found "root": nothing is granted by it'])
        with self.serve("--grant", "stemp.env.X") as s:
            self.assertIn("there is no plugin of that name", json.dumps(support.status(s)["problems"]))

    def test_places_that_are_nobodys_to_write(self):
        self.stamp("{ files: [{ name: root, mode: rw }] }")
        link = self.f.path + "/link"
        os.symlink(self.f.path + "/p", link)
        config = self.config("lock: { mode: warn, file: locks/manifold.lock }\n")
        self.f.directory("locks")
        self.f.directory("work")
        for path, served in (("/", False), ("~", False), (self.f.path + "/p", False), (link, False),
                             (self.f.path, False), ("/proc", False), ("/sys", False), ("/dev/shm", False),
                             (self.f.path + "/locks", False), (self.f.path + "/work", True)):
            with self.serve("--config", config, "--grant", "stamp.files.root.path=" + path,
                            plugins=[]) as s:
                self.assertEqual(self.served(s), served, path)
                if not served:
                    self.assertIn("stamp.grants.files.root.path: ", self.problems(s)[0])

    def test_a_mistake_in_the_option_ends_the_program(self):
        self.stamp(ENV)
        for grant, said in (("stamp.net.x", 'unknown key "net"'), ("stamp", "NAME.KIND.KEY"),
                            ("stamp.http.web.privat=true", 'unknown key "privat"')):
            _, err = self.run_command("serve", "--plugins", self.f.path + "/p", "--grant", grant, expect=1)
            self.assertIn(said, err)
            self.assertEqual(err.count("\n"), 1)


class Reload(Base):
    def reload(self, expect=0):
        return "".join(self.run_command("reload", "--socket", self.socket, expect=expect))

    def test_other_grants_are_another_generation(self):
        self.stamp('{ http: [{ name: web, host: "*" }], env: [TEST_GRANT] }', NOTE)
        self.config("plugins: { stamp: { grants: { env: [TEST_GRANT] } } }\n")
        with self.serve("--config", self.f.path + "/host.yaml", plugins=[]) as s:
            s.wait_log("admin socket: ")
            self.assertTrue(self.served(s))
            self.assertIn("1 kept", self.reload())
            self.config("plugins: { stamp: { grants: { env: [TEST_GRANT], http: { web: { host: a } } } } }\n")
            self.assertIn("1 plugins changed", self.reload())
            self.config("plugins: { stamp: { grants: { env: [TEST_GRANT], http: { web: { host: b } } } } }\n")
            self.assertIn("1 plugins changed", self.reload())
            self.assertIn("1 kept", self.reload())
            # Without what it can't do without, the generation that has it serves on.
            self.config("plugins: { stamp: { grants: { http: { web: {} } } } }\n")
            self.assertIn("1 refused", self.reload(expect=1))
            self.assertIn(DENIED, self.problems(s)[0])
            self.assertTrue(self.served(s))


class Secrets(Base):
    """No value of `secrets` in anything that the program says or writes."""

    VALUES = {"F": "file-7fd1a29c44d0", "E": "env-30be1c55ab21", "L": "literal-9ac24e77f310"}

    def configure(self, grants, more=""):
        self.stamp('{ http: [{ name: api, host: api.example }, { name: web, host: "*" }], env: [TEST_GRANT] }',
                   NOTE)
        self.f.write("secret", self.VALUES["F"] + "\n")
        self.env["TEST_SECRET"] = self.VALUES["E"]
        return self.config('secrets: { F: "${file:secret}", E: "Bearer ${env:TEST_SECRET}", L: %s, BAD: '
                           '"%s\\r\\nX: 1" }\nplugins: { stamp: { grants: { env: [TEST_GRANT], http: { api: { %s '
                           '} } } } }\n%s' % (self.VALUES["L"], self.VALUES["L"], grants, more))

    def clean(self, text, where):
        for value in self.VALUES.values():
            self.assertNotIn(value, text, where)

    def test_nothing_that_is_said_holds_one(self):
        for name in ("F", "E", "L"):
            config = self.configure("inject: { header: X-Api-Key, secret: %s }" % name,
                                    "lock: { mode: warn }\n")
            said = list(self.run_command("lock", "--config", config))
            for format in ("text", "json"):
                with self.serve("--config", config, "--log-level", "debug", "--log-format", format,
                                plugins=[]) as s:
                    s.wait_log("admin socket: ")
                    self.assertTrue(self.served(s))
                    said.append(json.dumps(support.status(s)))
                    said += self.run_command("status", "--json", "--socket", self.socket)
                    said += self.run_command("status", "--socket", self.socket)
                    said += self.run_command("reload", "--socket", self.socket)
                said.append(s.log())
            for command in (("check",), ("check", "--json"), ("list",), ("list", "--json"),
                            ("call", "stamp"), ("approve",)):
                said += self.run_command(*command, "--config", config)
            with open(self.f.path + "/manifold.lock") as f:
                said.append(f.read())
            self.clean("".join(said), name)
            self.assertIn("adds header X-Api-Key", "".join(said))
            os.unlink(self.f.path + "/manifold.lock")

    def test_no_mistake_shows_one(self):
        for grants, said in (
                ("inject: { header: Host, secret: F }", "expected a header such as Authorization"),
                ("inject: { header: X, secret: BAD }", "expected a secret of one line that fits a header"),
                ("inject: { header: X, secret: NONE }", "expected a name that stands under secrets"),
                ("host: other.example, inject: { header: X, secret: L }", ": a grant narrows and never widens"),
                ("response: 0B, inject: { header: X, secret: L }", "expected at least 1B")):
            config = self.configure(grants)
            with self.serve("--config", config, "--log-level", "debug", plugins=[]) as s:
                text = json.dumps(support.status(s))
            self.assertIn(said, text)
            self.clean(text + s.log(), grants)
            out, err = self.run_command("check", "--config", config, expect=None)
            self.clean(out + err, grants)
        os.unlink(self.f.path + "/secret")
        out, err = self.run_command("check", "--config", self.config(
            'secrets: { F: "${file:secret}", L: %s }\n' % self.VALUES["L"]), expect=1)
        self.assertIn("secrets.F: %s/secret: can't be opened" % self.f.path, err)
        self.clean(out + err, "unreadable")

    @unittest.skipIf(support.SANITIZE == "thread", "its shadow memory is too large to read")
    def test_a_core_dump_holds_none_that_came_from_a_file(self):
        config = self.configure("inject: { header: X-Api-Key, secret: F }")
        with self.serve("--config", config, plugins=[]) as s:
            self.assertTrue(self.served(s))
            dumped, kept = self.memory(s.process.pid)
            self.assertEqual(dumped.count(self.VALUES["F"].encode()), 0)
            self.assertGreater(kept.count(self.VALUES["F"].encode()), 0)

    def memory(self, pid):
        """What a core dump would take of the writable memory, and what it would leave out."""
        parts = {False: [], True: []}
        with open("/proc/%d/smaps" % pid) as f:
            areas = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) .*?^VmFlags: (.*?)$", f.read(), re.M | re.S)
        with open("/proc/%d/mem" % pid, "rb", buffering=0) as mem:
            for start, end, rights, flags in areas:
                start, end = int(start, 16), int(end, 16)
                if "w" not in rights or end - start > 1 << 28:
                    continue
                try:
                    parts["dd" in flags.split()].append(os.pread(mem.fileno(), end - start, start))
                except OSError:
                    pass
        return b"".join(parts[False]), b"".join(parts[True])


class Controls(Base):
    @support.needs_controls
    def test_without_grants_everything_is_granted(self):
        self.stamp(ENV, NOTE, support.controls_dir("bad"))
        for control, served in (("", False), ("grants", True)):
            with self.serve(binary=support.CONTROLS, env={"MANIFOLD_WITHOUT": control}) as s:
                self.assertEqual(self.served(s), served, control)
        self.stamp("{ files: [{ name: root, mode: rw, path: / }] }", "", support.controls_dir("bad"))
        for control, served in (("", False), ("grants", True)):
            with self.serve("--grant", "stamp.files.root", binary=support.CONTROLS,
                            env={"MANIFOLD_WITHOUT": control}) as s:
                self.assertEqual(self.served(s), served, control)


if __name__ == "__main__":
    harness.main()
