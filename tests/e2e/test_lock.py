"""What was approved stays what is served: a text, a library or a permission that differs from the lock
is not served, or leaves the old generation serving, until somebody has seen the difference."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import unittest

import harness
import support
from harness import Failure, Server
from support import Files, STATUS

RUNTIME = "/run/user/%d" % os.getuid()
ECHOES = "Echoes back the input string"


class Base(unittest.TestCase):
    def setUp(self):
        self.f = Files()
        self.f.__enter__()
        self.addCleanup(self.f.__exit__)
        self.socket = self.f.path + "/admin.sock"
        self.env = {"HOME": self.f.directory("home")}

    def configure(self, mode="enforce", more="", build=harness.PLUGINS):
        """Two plugins, echo and other, of one code."""
        for name in ("echo", "other"):
            self.f.echo(name, name)
            shutil.copy(build + "/echo.so", self.f.at(name + "/echo.so"))
        # prefixed, so that the two do not take names from one another
        self.config = self.f.write(
            "host.yaml", "manifold: 1\nadmin: %s\nlock: { mode: %s }\nsources: [{ path: echo, trust: true }, "
            "{ path: other, trust: true, prefix: o }]\n%s" % (self.socket, mode, more))
        self.lock = self.f.path + "/manifold.lock"

    def run_command(self, *args, **kw):
        return harness.run(*args, "--config", self.config, env=self.env, **kw)

    def serve(self, **kw):
        kw["env"] = dict(self.env, **kw.get("env", {}))
        return Server("--config", self.config, plugins=[], **kw)

    def edit(self, old, new, name="echo"):
        """As a deployment does: written beside, then renamed."""
        path = self.f.at("%s/%s.yaml" % (name, name))
        with open(path) as f:
            text = f.read()
        if old not in text:
            raise Failure("%s has no %r" % (path, old))
        with open(path + ".new", "w") as f:
            f.write(text.replace(old, new, 1))
        os.rename(path + ".new", path)

    def touch_library(self, name="echo"):
        """One more byte behind the end of the file: the code is the same, the hash is not."""
        path = self.f.at(name + "/echo.so")
        shutil.copy(path, path + ".new")
        with open(path + ".new", "ab") as f:
            f.write(b"\0")
        os.rename(path + ".new", path)

    def description(self, s, tool="echo"):
        tools = s.request("tools/list")["result"]["tools"]
        return [t["description"] for t in tools if t["name"] == tool][0]

    def reload(self, s, refused=None):
        """manifold reload over the socket; `refused`: what the plugin's last error must have."""
        out, err = harness.run("reload", "--socket", self.socket, env=self.env,
                               expect=1 if refused else 0)
        if refused:
            self.assertIn("1 refused", err)
            self.assertIn(refused, self.plugin(s)["lastError"])
        return out

    def plugin(self, s, name="echo"):
        return [p for p in support.status(s)["plugins"] if p["name"] == name][0]


class RugPull(Base):
    def test_one_byte_of_a_description(self):
        self.configure()
        out, _ = self.run_command("lock")
        self.assertIn("2 plugins locked", out)
        with self.serve() as s:
            s.wait_log("admin socket: ")
            s.echo()
            self.assertEqual(support.status(s)["server"]["lock"],
                             {"mode": "enforce", "file": self.lock})
            self.edit(ECHOES, "Echoes back the input String")
            self.reload(s, "tools/echo/description has changed")
            self.assertIn('"manifold approve echo" shows the difference', self.plugin(s)["lastError"])
            self.assertEqual(self.description(s), ECHOES)
            s.echo()
            self.assertEqual(self.plugin(s)["generation"], 1)
            # Shown, and not accepted by being shown.
            out, err = self.run_command("approve", "echo", expect=1)
            self.assertIn('  tools/echo/description\n    - "%s"\n    + "Echoes back the input String"\n'
                          % ECHOES, out)
            self.assertIn("nothing is accepted", err)
            self.reload(s, "tools/echo/description has changed")
            self.assertEqual(self.description(s), ECHOES)
            # Accepted: the host that runs takes it.
            out, _ = self.run_command("approve", "echo", "--yes", "--socket", self.socket)
            self.assertIn("1 plugin approved", out)
            self.assertIn("1 plugins changed", out)
            self.assertEqual(self.description(s), "Echoes back the input String")
            s.echo()
            self.assertEqual(self.plugin(s)["generation"], 2)
            self.assertNotIn("lastError", self.plugin(s))
        out, _ = self.run_command("approve")
        self.assertIn("nothing differs", out)

    def test_the_others_are_reloaded_all_the_same(self):
        self.configure()
        self.run_command("lock")
        with self.serve() as s:
            s.wait_log("admin socket: ")
            self.edit(ECHOES, "Rug")
            self.edit(ECHOES, "New", "other")
            self.run_command("approve", "other", "--yes")
            self.reload(s, "tools/echo/description has changed")
            self.assertEqual(self.description(s, "o_echo"), "New")
            self.assertEqual(self.description(s), ECHOES)

    def test_every_running_host_that_compares_with_it_is_told(self):
        self.configure()
        self.run_command("lock")
        with self.serve() as s:
            s.wait_log("admin socket: ")
            self.edit(ECHOES, "Told")
            # The socket is not where hosts are looked for, so this one is not found.
            out, _ = self.run_command("approve", "--yes")
            self.assertIn("no running host compares with it", out)
            self.assertEqual(self.description(s), ECHOES)
        runtime = RUNTIME if os.path.isdir(RUNTIME) else self.f.path + "/home/.cache"
        with open(self.config) as f:
            text = f.read().replace("admin: " + self.socket, "admin: auto")
        self.f.write("host.yaml", text)
        with self.serve() as s:
            s.wait_log("admin socket: ")
            self.assertTrue(os.path.exists("%s/manifold/%d.sock" % (runtime, s.process.pid)))
            self.edit("Told", "Again")
            out, _ = self.run_command("approve", "--yes")
            self.assertIn("host %d: 1 plugins changed" % s.process.pid, out)
            self.assertEqual(self.description(s), "Again")

    def test_a_library_that_differs(self):
        self.configure()
        self.run_command("lock")
        with self.serve() as s:
            s.wait_log("admin socket: ")
            s.echo()
            before = self.plugin(s)["sha256"]
            self.touch_library()
            self.reload(s, "library has changed")
            s.echo()
            self.assertEqual(self.plugin(s)["sha256"], before)
            out, _ = self.run_command("approve", "--yes", "--socket", self.socket)
            self.assertRegex(out, r"  library\n    - sha256 %s\n    \+ sha256 [0-9a-f]{64}\n" % before)
            s.echo()
            self.assertNotEqual(self.plugin(s)["sha256"], before)

    def test_a_library_replaced_between_start_and_first_call(self):
        self.configure()
        self.run_command("lock")
        with self.serve() as s:
            s.initialize()
            self.touch_library()
            r = s.call("echo", {"message": "x"})
            self.assertTrue(r["isError"])
            self.assertIn("expected the library that the lock names", support.text_of(r))
            # The one that is as it was locked serves.
            self.assertIn("x", support.text_of(s.call("o_echo", {"message": "x"})))

    def test_a_permission_that_is_widened(self):
        self.configure()
        self.edit("tools:", "permissions: { http: [{ name: web, host: api.example }] }\ntools:")
        self.run_command("lock")
        with self.serve() as s:
            s.wait_log("admin socket: ")
            s.echo()
            self.edit("host: api.example", 'host: "*"')
            self.reload(s, "permissions/http/web has changed")
            s.echo()
            self.edit("http: [{", "env: [HOME], http: [{")
            self.reload(s, "permissions/env/HOME is new")
            out, _ = self.run_command("approve", "--yes", "--socket", self.socket)
            self.assertIn('  permissions/http/web\n    - {"name":"web","host":"api.example"}\n'
                          '    + {"name":"web","host":"*"}\n', out)
            self.assertIn('  permissions/env/HOME\n    + "HOME"\n', out)
            self.assertEqual(self.plugin(s)["permissions"],
                             [{"kind": "http", "name": "web", "granted": True},
                              {"kind": "env", "name": "HOME", "granted": True}])


class Start(Base):
    def unserved(self, s):
        return {p["name"] for p in support.status(s)["plugins"] if p["state"] == "not served"}

    def test_what_is_not_in_the_lock_is_not_served(self):
        self.configure()
        with self.serve() as s:
            self.assertEqual(self.unserved(s), {"echo", "other"})
            self.assertIn("manifold.lock: can't be opened",
                          support.problems(support.status(s))["echo"][0])
        self.run_command("approve", "other", "--yes")
        with self.serve() as s:
            self.assertEqual(self.unserved(s), {"echo"})
            self.assertIn("it is not in %s" % self.lock,
                          support.problems(support.status(s))["echo"][0])
            s.call("o_echo", {"message": "x"})
            names = {t["name"] for t in s.request("tools/list")["result"]["tools"]}
            self.assertNotIn("echo", names)
        out, _ = self.run_command("check", expect=1)
        self.assertIn("it is not in %s" % self.lock, out)

    def test_a_sentence_that_is_too_long_changes_nothing(self):
        """What can't be said in full is refused all the same."""
        self.configure()
        far = "/".join(["d" * 200] * 6)
        self.f.write(far + "/manifold.lock", '{"manifold-lock": 1, "plugins": {}}')
        with open(self.config) as f:
            text = f.read().replace("mode: enforce", "mode: enforce, file: %s/manifold.lock" % far)
        self.f.write("host.yaml", text)
        with self.serve() as s:
            self.assertEqual(self.unserved(s), {"echo", "other"})

    def test_what_differs_is_not_served(self):
        self.configure()
        self.run_command("lock")
        self.edit(ECHOES, "Rug")
        with self.serve() as s:
            self.assertEqual(self.unserved(s), {"echo"})
            # What is approved while it runs is served from the next reload on.
            s.wait_log("admin socket: ")
            self.run_command("approve", "--yes", "--socket", self.socket)
            self.assertEqual(self.description(s), "Rug")

    def test_warn_serves_and_says_so(self):
        self.configure("warn")
        self.run_command("lock")
        self.edit(ECHOES, "Warned")
        with self.serve() as s:
            self.assertEqual(self.description(s), "Warned")
            self.assertIn("tools/echo/description has changed; it is served, since lock.mode is warn",
                          support.problems(support.status(s))["echo"][0])
            s.echo()

    def test_enforce_by_a_reload(self):
        """What was called serves on; what was not is held to the lock before its first call."""
        self.configure(mode="none")
        self.run_command("lock")
        self.edit(ECHOES, "Echoes", name="other")
        with self.serve() as s:
            s.wait_log("admin socket: ")
            with open(self.config) as f:
                text = f.read()
            self.f.write("host.yaml", text.replace("mode: none", "mode: enforce"))
            harness.run("reload", "--socket", self.socket, env=self.env, expect=1)
            names = [t["name"] for t in s.request("tools/list")["result"]["tools"]]
            self.assertIn("echo", names)
            self.assertFalse([n for n in names if n.startswith("o_")], names)
            self.assertIn("tools/echo/description has changed",
                          support.problems(support.status(s))["other"][0])
            # The bytes that were approved, not those that are there by the first call.
            self.touch_library()
            r = s.call("echo", {"message": "x"})
            self.assertIn("expected the library that the lock names", support.text_of(r))

    def test_none_reads_no_lock(self):
        self.configure("none")
        self.f.write("manifold.lock", "nonsense")
        with self.serve() as s:
            s.echo()
            self.assertNotIn("lock", support.status(s)["server"])

    def test_a_lock_that_is_damaged_or_not_ours_serves_nothing(self):
        self.configure()
        self.run_command("lock")
        with open(self.lock) as f:
            good = f.read()
        for damage, said in ((lambda: self.f.write("manifold.lock", good[:-20]), "manifold.lock: "),
                             (lambda: self.f.write("manifold.lock", good.replace(ECHOES, "Rug")),
                              "the file was changed by hand"),
                             (lambda: os.chmod(self.lock, 0o666), "not everybody can write")):
            damage()
            with self.serve() as s:
                self.assertEqual(self.unserved(s), {"echo", "other"})
                self.assertIn(said, support.problems(support.status(s))["echo"][0])
            self.run_command("approve", "--yes", expect=1)
            self.f.write("manifold.lock", good)
            os.chmod(self.lock, 0o600)
        with self.serve() as s:
            s.echo()


class Approve(Base):
    def on_terminal(self, answer):
        """`approve` with a terminal that types `answer`; (exit code, what it showed)."""
        main, other = pty.openpty()
        p = subprocess.Popen([harness.BINARY, "approve", "--config", self.config], stdin=other,
                             stdout=other, stderr=other, env=dict(os.environ, **self.env))
        os.close(other)
        shown = b""
        while True:
            self.assertTrue(select.select([main], [], [], harness.TIMEOUT)[0])
            try:
                more = os.read(main, 65536)
            except OSError:  # the other side is closed
                break
            shown += more
            if answer and shown.endswith(b"[y/N] "):
                os.write(main, answer)
                answer = b""
        os.close(main)
        return p.wait(harness.TIMEOUT), shown.decode()

    def test_it_asks(self):
        self.configure()
        self.run_command("lock")
        self.edit(ECHOES, "Asked")
        with open(self.lock) as f:
            before = f.read()
        for answer in (b"n\n", b"\n", b"\x04"):
            code, shown = self.on_terminal(answer)
            self.assertEqual(code, 1, shown)
            self.assertIn("Accept this of 1 plugin?", shown)
            with open(self.lock) as f:
                self.assertEqual(f.read(), before)
        code, shown = self.on_terminal(b"y\n")
        self.assertEqual(code, 0, shown)
        with open(self.lock) as f:
            self.assertIn("Asked", f.read())

    def test_new_and_gone(self):
        self.configure()
        self.run_command("lock")
        shutil.move(self.f.path + "/other/other.yaml", self.f.path + "/other/third.yaml")
        path = self.f.path + "/other/third.yaml"
        with open(path) as f:
            text = f.read().replace("name: other\n", "name: third\n", 1)
        self.f.write("other/third.yaml", text)
        out, _ = self.run_command("approve", "--yes")
        self.assertIn("third: a new plugin\n", out)
        self.assertIn("other: the plugin is gone\n", out)
        with open(self.lock) as f:
            self.assertEqual(set(json.load(f)["plugins"]), {"echo", "third"})
        _, err = self.run_command("approve", "fourth", expect=1)
        self.assertIn("there is no plugin fourth", err)

    def test_long_texts_show_their_place(self):
        self.configure()
        self.edit(ECHOES, "a" * 300 + "b" + "c" * 300)
        self.run_command("lock")
        self.edit("ab", "aX")
        out, _ = self.run_command("approve", expect=1)
        self.assertIn("    from byte 301 on: ..." + "a" * 30 + "b" + "c" * 29 + "... became ..."
                      + "a" * 30 + "X" + "c" * 29 + "...\n", out)

    def test_what_was_shown_is_what_is_written(self):
        """A text that changes while the question stands is not accepted with it."""
        self.configure()
        self.run_command("lock")
        self.edit(ECHOES, "Shown")
        main, other = pty.openpty()
        p = subprocess.Popen([harness.BINARY, "approve", "--config", self.config], stdin=other,
                             stdout=other, stderr=other, env=dict(os.environ, **self.env))
        os.close(other)
        shown = b""
        while not shown.endswith(b"[y/N] "):
            self.assertTrue(select.select([main], [], [], harness.TIMEOUT)[0])
            shown += os.read(main, 65536)
        self.edit("Shown", "Slipped in")
        os.write(main, b"y\n")
        self.assertEqual(p.wait(harness.TIMEOUT), 0)
        os.close(main)
        with open(self.lock) as f:
            text = f.read()
        self.assertIn("Shown", text)
        self.assertNotIn("Slipped in", text)
        self.run_command("check", expect=1)

    def test_the_lock_is_for_people(self):
        """One line a field, sorted, the same for the same plugins."""
        self.configure()
        self.run_command("lock")
        with open(self.lock) as f:
            first = f.read()
        out, _ = self.run_command("lock")
        self.assertEqual(out.count("as before"), 2)
        with open(self.lock) as f:
            self.assertEqual(f.read(), first)
        self.edit(ECHOES, "Another")
        out, _ = self.run_command("lock")
        self.assertIn("1 of ", out)
        with open(self.lock) as f:
            second = f.read()
        changed = [(a, b) for a, b in zip(first.split("\n"), second.split("\n")) if a != b]
        self.assertEqual(len(changed), 1)
        self.assertIn('"value": "Another"', changed[0][1])
        self.assertEqual(sorted(os.listdir(self.f.path)),
                         ["echo", "home", "host.yaml", "manifold.lock", "other"])


class Hidden(Base):
    """Text that a person does not see is not served, whatever the lock says."""

    def test_a_manifest_with_hidden_characters(self):
        self.configure("none")
        with self.serve() as s:
            s.wait_log("admin socket: ")
            s.echo()
            for c in ("\\u202E", "\\u200B", "\\U000E0041", "\\e"):
                self.edit("description: " + ECHOES, 'description: "%s%s"' % (ECHOES, c))
                self.reload(s, "expected text without hidden characters")
                self.assertEqual(self.description(s), ECHOES)
                s.echo()
                self.edit('description: "%s%s"' % (ECHOES, c), "description: " + ECHOES)


class Controls(Base):
    def changed(self, control):
        """The description that a client sees after it has changed."""
        self.configure(build=support.controls_dir("plugins"))
        self.run_command("lock")
        with self.serve(binary=support.CONTROLS, env={"MANIFOLD_WITHOUT": control}) as s:
            s.wait_log("admin socket: ")
            s.echo()
            self.edit(ECHOES, "Rug")
            before = support.status(s)["server"]["reloads"]
            s.signal(signal.SIGHUP)
            while support.status(s)["server"]["reloads"] == before:
                select.select([], [], [], 0.002)
            return self.description(s)

    @support.needs_controls
    def test_without_the_lock_the_rug_is_pulled(self):
        self.assertEqual(self.changed(""), ECHOES)
        self.assertEqual(self.changed("lock"), "Rug")

    @support.needs_controls
    def test_without_the_look_at_texts_they_are_served(self):
        self.configure("none", build=support.controls_dir("plugins"))
        self.edit("description: " + ECHOES, 'description: "Hidden\\u202E"')
        for control, served in (("", False), ("hidden", True)):
            with self.serve(binary=support.CONTROLS, env={"MANIFOLD_WITHOUT": control}) as s:
                names = [t["name"] for t in s.request("tools/list")["result"]["tools"]]
                self.assertEqual("echo" in names, served, control)


if __name__ == "__main__":
    harness.main()
