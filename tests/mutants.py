#!/usr/bin/env python3
"""mutants.py BUILD [--steps N] - shows that the model test of admission can find something.

Each mutant is one line of host/engine broken in a copy, compiled as BUILD (Ninja)
compiles the file and linked in front of its libraries; the model test, which
passes without it, must fail.  Exit status 1 when one survives."""
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEST = "test_engine_model"
# what it is, file, the lines, the broken lines
MUTANTS = [
    ("no permit comes back on a late finish", "call.c",
     "    in->running--;\n    entry_of(c)->running--;\n",
     "    in->running -= c->client == CLIENT_WAITS;\n    entry_of(c)->running--;\n"),
    ("a permit comes back twice on cancel", "call.c",
     "    in->orphans++;\n", "    in->orphans++;\n    in->running -= why == CLIENT_CANCELLED;\n"),
    ("the queue is not shortened when queue_wait is over", "call.c",
     "    if (state == SLOT_QUEUED) {\n        leave_queue(c);\n        answer_refusal",
     "    if (state == SLOT_QUEUED) {\n        list_remove(&c->waiting);\n        answer_refusal"),
    ("a slot keeps its generation", "table.c", "    c->generation++;\n", ""),
    ("a leaked call that came back counts for ever", "call.c",
     "        in->orphans--;\n", "        in->orphans -= c->client == CLIENT_CANCELLED;\n"),
    ("who comes when others wait goes first", "call.c",
     "list_append(&in->waiting, &c->waiting);",
     "list_append(in->waiting.next, &c->waiting);"),
    ("a finished call can be finished again", "core.c",
     "    if (!c || c->state != SLOT_RUNNING) {\n", "    if (!c) {\n"),
    ("the permit of a blocking call comes back before its thread", "call.c",
     "    if (!c->blocking || c->thread_done)\n        give_back(c);\n", "    give_back(c);\n"),
    ("a generation is closed under its calls", "drain.c",
     "    return !in->running && !in->queued &&", "    return !in->queued &&"),
    ("who leaves the queue last does not let its generation come to rest", "call.c",
     "    entry_of(c)->queued--;\n    if (c->instance->drain)\n        drain_look(c->engine);\n",
     "    entry_of(c)->queued--;\n"),
    ("an heir waits for ever for one that is stuck", "drain.c",
     "    if (heir) {\n        struct buf none", "    if (!heir) {\n        struct buf none"),
]


def compile_command(build, name):
    """The compiler's words for host/engine/NAME, without source and object, and its directory."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if entry["file"].endswith(f"/host/engine/{name}"):
            words = shlex.split(entry["command"])
            at = words.index("-o")
            return [w for w in words[:at] + words[at + 2:] if w not in ("-c", entry["file"])], entry["directory"]
    sys.exit(f"mutants: {build} does not compile host/engine/{name}")


def link_command(build):
    """How the test is linked, up to where a mutant goes in, and the rest."""
    lines = subprocess.run(["ninja", "-C", str(build), "-t", "commands", TEST], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.splitlines()
    words = [w for w in shlex.split(lines[-1]) if w not in (":", "&&")]
    at = next(i for i, w in enumerate(words) if w.endswith("liblayer_engine.a"))
    return words[:at], words[at:]


def run(program, steps):
    return subprocess.run([str(program), "--steps", steps, "--seed", "1"], timeout=250,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")


def make(build, scratch, mutant):
    what, name, good, bad = mutant
    source = (ROOT / "host/engine" / name).read_text()
    if source.count(good) != 1:
        sys.exit(f"mutants: {name} has {source.count(good)} times: {good}")
    broken, made, program = scratch / name, scratch / "mutant.o", scratch / TEST
    broken.write_text(source.replace(good, bad))
    words, directory = compile_command(build, name)
    subprocess.run([*words, "-c", str(broken), "-o", str(made)], cwd=directory, check=True)
    before, after = link_command(build)
    before[before.index("-o") + 1] = str(program)
    subprocess.run([*before, str(made), *after], cwd=build, check=True)
    return program


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    steps = sys.argv[3] if sys.argv[2:3] == ["--steps"] else "100000"
    sound = run(build / TEST, steps)
    if sound.returncode != 0:
        sys.exit(f"mutants: the test fails without a mutant: {sound.stderr}")
    survived = 0
    for mutant in MUTANTS:
        with tempfile.TemporaryDirectory() as scratch:
            found = run(make(build, pathlib.Path(scratch), mutant), steps)
        said = next((s for s in found.stderr.splitlines() if s.strip()), "").split(": ")[-1]
        print(f"mutants: {'killed' if found.returncode else 'SURVIVED'}: {mutant[0]}: {said}", flush=True)
        survived += found.returncode == 0
    print(f"mutants: {len(MUTANTS) - survived} of {len(MUTANTS)} killed")
    return 1 if survived else 0


sys.exit(main())
