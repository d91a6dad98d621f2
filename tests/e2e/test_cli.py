"""The commands other than serve, their exit codes, and that help and man page say the same."""

import json
import os
import re
import shutil
import tempfile
import unittest

import harness
from harness import run

OPTION = re.compile(r"^  --([a-z-]+)( [A-Z.=]+)?\s", re.M)
HERE = ["--plugins", harness.PLUGINS or "", "--trust"]
MAN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/manifold.1")


def options_of_help(*command):
    out, err = run(*command, "--help")
    return {(name, value.strip()) for name, value in OPTION.findall(out)}


class Directory:
    """A plugin directory of manifests and copies of the bundled library."""

    def __init__(self, **files):
        self.files = files

    def __enter__(self):
        self.dir = tempfile.TemporaryDirectory()
        os.chmod(self.dir.name, 0o755)
        for name, text in self.files.items():
            with open("%s/%s.yaml" % (self.dir.name, name), "w") as f:
                f.write(text)
        shutil.copy(harness.PLUGINS + "/echo.so", self.dir.name)
        return self.dir.name

    def __exit__(self, *a):
        self.dir.cleanup()


ECHO = """manifold: 1
id: dev.manifold.echo
library: echo.so
tools:
  - name: echo
    inputSchema: { type: object, properties: { message: { type: string } }, required: [message] }
"""


class Help(unittest.TestCase):
    def test_help_is_complete(self):
        out, _ = run("--help")
        for command in ("serve", "check", "list", "call", "status", "reload"):
            self.assertIn("\n  %s " % command, out)
            self.assertIn("Usage: manifold %s" % command, run(command, "--help")[0])
        self.assertNotIn("probe", out)

    def test_version(self):
        self.assertRegex(run("--version")[0], r"^manifold \d+\.\d+\.\d+\n$")

    def test_no_command_is_a_usage_error(self):
        out, err = run(expect=2)
        self.assertEqual(out, "")
        self.assertIn("Usage:", err)

    def test_unknown_words(self):
        for words, hint in ((["serv"], "--help"), (["serve", "--plugin", "x"], "--plugins"),
                            (["list", "--keep-libraries", "x"], "list --help"),
                            (["serve", "--plugins"], "DIR"), (["check", "--json=1"], "no value"),
                            (["serve", "--log-level", "loud"], "debug, info, warn, error"),
                            (["serve", "word"], "serve --help"), (["call"], "TOOL"),
                            (["call", "a", "{}", "b"], "\"b\""), (["serve", "-x"], "-x"),
                            (["status", "--pid", "0"], "from 1 on"),
                            (["status", "--pid", "1x"], "from 1 on"),
                            (["reload", "--json"], "reload --help"),
                            (["status", "--pid", "1", "--socket", "x"], "both"),
                            (["status", "--socket", "x" * 108], "at most 107"),
                            (["--frobnicate"], "--help")):
            out, err = run(*words, expect=2)
            self.assertEqual(out, "", words)
            self.assertIn(hint, err, words)
            self.assertEqual(err.count("\n"), 1, words)

    def test_man_page_has_the_same_options(self):
        with open(MAN) as f:
            man = f.read()
        synopsis = man[man.index(".Sh SYNOPSIS"):man.index(".Sh DESCRIPTION")]
        every = options_of_help()
        for block in synopsis.split(".Nm\n")[1:]:
            command = re.search(r"^\.Cm (\w+)", block)
            if command:
                listed = set(re.findall(r"^\.Op Fl -([a-z-]+)(?: Ar (\S+))?$", block, re.M))
                self.assertEqual(listed, options_of_help(command.group(1)), command.group(1))
                every |= listed
        described = set(re.findall(r"^\.It Fl -([a-z-]+)(?: Ar (\S+))?$", man, re.M))
        self.assertEqual(described, every)
        for command in re.findall(r"^  ([a-z]+) ", run("--help")[0], re.M):
            self.assertIn(".It Cm %s\n" % command, man)


class List(unittest.TestCase):
    def test_table(self):
        out, _ = run("list", *HERE)
        self.assertRegex(out, r"Tools\n(  .*\n)*  echo +echo +Echo\n")
        self.assertRegex(out, r"Resources\n(  .*\n)*  echo://greeting +echo +Greeting\n")

    def test_json(self):
        listed = json.loads(run("list", "--json", *HERE)[0])
        self.assertIn({"name": "echo", "plugin": "echo", "title": "Echo"}, listed["tools"])
        self.assertEqual(set(listed), {"tools", "resources", "resourceTemplates", "prompts"})

    def test_control_characters_do_not_reach_the_terminal(self):
        text = ECHO + '    title: "red\\e[31m"\n'
        with Directory(colour=text) as d:
            for command, expect in (("list", 0), ("check", 1)):
                out, err = run(command, "--plugins", d, expect=expect)
                self.assertNotIn("\x1b", out + err)
                self.assertNotIn("31m", out)
            self.assertIn('a control character (U+001B) behind "red"', out)


class Check(unittest.TestCase):
    def test_good(self):
        out, err = run("check", *HERE)
        self.assertRegex(out, r"(?m)^ok +echo +3 tools, 1 resource, 1 template, 2 prompts ")
        self.assertEqual(err, "")

    def test_worker_is_announced(self):
        with Directory(echo=ECHO) as d:
            out, _ = run("check", "--plugins", d)
            self.assertIn("asks for worker; this build has no sandbox yet, it runs in-process", out)
            plugin = json.loads(run("check", "--json", "--plugins", d)[0])["plugins"][0]
            self.assertEqual((plugin["state"], plugin["isolation"]), ("ok", "worker"))
            self.assertIn("no sandbox", plugin["isolationNote"])

    def test_bad_ones_have_their_place_and_the_others_are_checked(self):
        with Directory(a_bad=ECHO + "    frob: 1\n", echo=ECHO,
                       z_tool=ECHO.replace("name: echo", "name: ekko")) as d:
            out, _ = run("check", "--plugins", d, expect=1)
            self.assertRegex(out, r"(?m)^ok +echo ")
            self.assertRegex(out, r"(?m)^bad +a_bad +\S*/a_bad\.yaml:7:5: .*\"frob\".* expected ")
            self.assertRegex(out, r"(?m)^bad +z_tool .*\n .*ekko")
            result = json.loads(run("check", "--json", "--plugins", d, expect=1)[0])
            self.assertFalse(result["ok"])
            self.assertEqual({p["name"]: p["state"] for p in result["plugins"]},
                             {"echo": "ok", "z_tool": "bad"})
            self.assertEqual([p["plugin"] for p in result["problems"]], ["a_bad"])

    def test_dormant_keys_are_named(self):
        with Directory(echo=ECHO + "    retry: safe\n") as d:
            out, _ = run("check", "--plugins", d)
            self.assertRegex(out, r"not yet in force: .*retry")

    def test_bad_config(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write("manifold: 1\nsources: 5\n")
            f.flush()
            out, err = run("check", "--config", f.name, expect=1)
            self.assertIn(":2:", err)

    def test_missing_directory(self):
        out, _ = run("check", "--plugins", "/nowhere/at/all", expect=1)
        self.assertIn("/nowhere/at/all", out)


class Call(unittest.TestCase):
    def test_text(self):
        self.assertEqual(run("call", "echo", '{"message":"h\\u00e4 \\n"}', *HERE)[0],
                         "Echo: h\u00e4 \n")

    def test_standard_input(self):
        out, _ = run("call", "echo", "-", *HERE, stdin=b'{ "message":\n "in" }\n')
        self.assertEqual(out, "Echo: in\n")

    def test_json_is_the_whole_result(self):
        r = json.loads(run("call", "--json", "echo_structured", '{"message":"x"}', *HERE)[0])
        self.assertEqual(r["structuredContent"], {"echo": "x", "length": 1})

    def test_asynchronous_tool(self):
        self.assertIn("Slept", run("call", "sleep", '{"ms":30}', *HERE)[0])

    def test_error_of_the_tool(self):
        out, err = run("call", "echo", '{"massage":1}', *HERE, expect=1)
        self.assertEqual(out, "")
        self.assertIn("message", err)

    def test_unknown_tool(self):
        out, err = run("call", "nope", *HERE, expect=1)
        self.assertEqual((out, err), ("", 'manifold: there is no tool "nope"\n'))

    def test_arguments_that_are_none(self):
        for text in ("{", "[1]", '{"a":1,"a":2}'):
            out, err = run("call", "echo", text, *HERE, expect=2)
            self.assertEqual(out, "")
            self.assertEqual(err.count("\n"), 1)

    def test_full_output(self):
        import subprocess
        with open("/dev/full", "wb") as full:
            p = subprocess.run([harness.BINARY, "call", "echo", '{"message":"x"}', *HERE],
                               stdout=full, stderr=subprocess.PIPE, timeout=20)
        self.assertEqual(p.returncode, 71)
        self.assertIn(b"No space left", p.stderr)

    def test_set_reaches_the_plugin(self):
        out, err = run("call", "sleep", '{"ms":60000}', "--set", "echo.limits.timeout=50ms", *HERE,
                       expect=1)
        self.assertIn("50 ms", err)


if __name__ == "__main__":
    harness.main()
