#!/usr/bin/env python3
"""mutants.py BUILD [NAME] [--steps N] - shows that the model tests can find something.

Each mutant is one place of host/ broken in a copy, compiled as BUILD (Ninja) compiles the file and
linked in front of its libraries; the model test, which passes without it, must fail.  NAME: engine
or services, else both.  Exit status 1 when one survives."""
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The test, and of each mutant what it is, the file, the lines, the broken lines.
ENGINE = ("test_engine_model", "engine", [
    ("no permit comes back on a late finish", "settle.c",
     "    in->running--;\n    call_entry(c)->running--;\n",
     "    in->running -= c->client == CLIENT_WAITS;\n    call_entry(c)->running--;\n"),
    ("a permit comes back twice on cancel", "call.c",
     "    in->orphans++;\n", "    in->orphans++;\n    in->running -= why == CLIENT_CANCELLED;\n"),
    ("the queue is not shortened when queue_wait is over", "call.c",
     "    if (state == SLOT_QUEUED) {\n        leave_queue(c);\n        call_answer_refusal",
     "    if (state == SLOT_QUEUED) {\n        list_remove(&c->waiting);\n        call_answer_refusal"),
    ("a slot keeps its generation", "table.c", "    c->generation++;\n", ""),
    ("a leaked call that came back counts for ever", "settle.c",
     "        in->orphans--;\n", "        in->orphans -= c->client == CLIENT_CANCELLED;\n"),
    ("who comes when others wait goes first", "call.c",
     "list_append(&in->waiting, &c->waiting);",
     "list_append(in->waiting.next, &c->waiting);"),
    ("a finished call can be finished again", "core.c",
     "    if (!c || c->state != SLOT_RUNNING) {\n", "    if (!c) {\n"),
    ("the permit of a blocking call comes back before its thread", "settle.c",
     "    if (!c->blocking || c->thread_done)\n        call_give_back(c);\n", "    call_give_back(c);\n"),
    ("a generation is closed under its calls", "drain.c",
     "    return !in->running && !in->queued &&", "    return !in->queued &&"),
    ("who leaves the queue last does not let its generation come to rest", "call.c",
     "    call_entry(c)->queued--;\n    if (c->instance->drain)\n        drain_look(c->engine);\n",
     "    call_entry(c)->queued--;\n"),
    ("an heir waits for ever for one that is stuck", "drain.c",
     "    if (heir) {\n        struct buf none", "    if (!heir) {\n        struct buf none"),
])
SERVICES = ("test_services_results_model", "services", [
    ("what failed is kept", "results/results.c",
     "    if (o->end != CALL_DONE ||", "    if (o->end > CALL_TOOL_ERROR ||"),
    ("a large result is kept", "results/results.c", "o->items.n + o->structured.n > RESULTS_VALUE_MAX", "0"),
    ("a run goes on that nobody waits for", "results/results.c",
     "    if (!f->wait_count && !f->ending)\n", "    if (!f->wait_count && f->asks)\n"),
    ("a run ends with the first who leaves", "results/results.c",
     "    if (!f->wait_count && !f->ending)\n", "    if (!f->ending)\n"),
    ("a run from before a change is kept", "results/results.c", "cache_ttl, &f->read.stamp)", "cache_ttl, NULL)"),
    ("a run from before a change is shared", "results/results.c", "            withdraw(f);\n", "            ;\n"),
    ("what was invalid is remembered as newer than it is", "results/results.c",
     "        cache_delete(own->space, key_kept(&f->key));\n        read->stamp = cache_stamp_now(own->space);\n",
     "        read->stamp = cache_stamp_now(own->space);\n        cache_delete(own->space, key_kept(&f->key));\n"),
    ("one principal gets what is another's", "results/key.c",
     "        buf_str(b, rq->principal);\n", "        buf_str(b, STR_NONE);\n"),
    ("arguments are compared as they are spelled", "results/key.c",
     "        json_write_canonical(b, d, args);\n", "        buf_str(b, json_raw(d, args));\n"),
    ("the lengths of two URIs do not count", "results/key.c",
     "(char)(n >> (8 * i));", "(char)(n >> 9);"),
    ("garbage of another host is given out", "results/value.c",
     "bytes.n != VALUE_HEAD + items + 1 + structured", "bytes.n > VALUE_HEAD + items + 1 + structured"),
    ("one that is late takes all along", "results/wait.c",
     "    if (!f->wait_count)\n        flight_abandon(f);\n", "    while (f->wait_count)\n        wait_end(container_of(f->waits.next, struct result_wait, in_flight));\n    flight_abandon(f);\n"),
    ("an instance may go while Redis is asked for it", "results/results.c",
     "    instance_hold(f->instance);\n", ""),
])


def compile_command(build, layer, name):
    """The compiler's words for host/LAYER/NAME, without source and object, and its directory."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if entry["file"].endswith(f"/host/{layer}/{name}"):
            words = shlex.split(entry["command"])
            at = words.index("-o")
            return [w for w in words[:at] + words[at + 2:] if w not in ("-c", entry["file"])], entry["directory"]
    sys.exit(f"mutants: {build} does not compile host/{layer}/{name}")


def link_command(build, test, layer):
    """How the test is linked, up to where a mutant goes in, and the rest."""
    lines = subprocess.run(["ninja", "-C", str(build), "-t", "commands", test], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.splitlines()
    words = [w for w in shlex.split(lines[-1]) if w not in (":", "&&")]
    at = next(i for i, w in enumerate(words) if w.endswith(f"liblayer_{layer}.a"))
    return words[:at], words[at:]


def run(program, steps):
    return subprocess.run([str(program), "--steps", steps, "--seed", "1"], timeout=250,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")


def make(build, scratch, test, layer, mutant):
    what, name, good, bad = mutant
    source = (ROOT / "host" / layer / name).read_text()
    if source.count(good) != 1:
        sys.exit(f"mutants: {name} has {source.count(good)} times: {good}")
    broken, made, program = scratch / pathlib.Path(name).name, scratch / "mutant.o", scratch / test
    broken.write_text(source.replace(good, bad))
    words, directory = compile_command(build, layer, name)
    subprocess.run([*words, "-c", str(broken), "-o", str(made)], cwd=directory, check=True)
    before, after = link_command(build, test, layer)
    before[before.index("-o") + 1] = str(program)
    subprocess.run([*before, str(made), *after], cwd=build, check=True)
    return program


def survivors(build, steps, test, layer, mutants):
    sound = run(build / test, steps)
    if sound.returncode != 0:
        sys.exit(f"mutants: {test} fails without a mutant: {sound.stderr}")
    survived = 0
    for mutant in mutants:
        with tempfile.TemporaryDirectory() as scratch:
            found = run(make(build, pathlib.Path(scratch), test, layer, mutant), steps)
        said = next((s for s in found.stderr.splitlines() if s.strip()), "").split(": ")[-1]
        print(f"mutants: {'killed' if found.returncode else 'SURVIVED'}: {mutant[0]}: {said}", flush=True)
        survived += found.returncode == 0
    print(f"mutants: {layer}: {len(mutants) - survived} of {len(mutants)} killed")
    return survived


def main():
    words = sys.argv[1:]
    steps = "100000"
    if "--steps" in words:
        at = words.index("--steps")
        steps = words[at + 1]
        del words[at:at + 2]
    build = pathlib.Path(words[0]).resolve()
    suites = [s for s in (ENGINE, SERVICES) if len(words) < 2 or s[1] == words[1]]
    return 1 if sum(survivors(build, steps, *s) for s in suites) else 0


sys.exit(main())
