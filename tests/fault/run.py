"""One process that is tortured: it is started, spoken to as session.py says, and watched to its end."""
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time

import session
from session import harness

LIMIT = 10          # seconds for one run
PATIENCE = 2        # seconds until the next step although an answer is missing
REPORT = 65536      # bytes, as faultlib.c has it
HEADER = struct.Struct("<QQI")
RELOAD = re.compile(rb"(?m)^\S+ +\w+ +manifold: reload: (?:nothing has changed|\d+ plugins changed).*$")


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
        self.errors = b""        # standard error
        self.log = ""
        self.marks = {}          # part of the session: allocations up to its end
        self.stop_took = 0       # seconds from the end of its input to that of its output
        self.cut = False         # the output ended in mid-line
        self.sanitizer = False   # it could not start a thread of ours for want of memory

    def start(self, scratch):
        self.files = session.Files(scratch, self.o.common)
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
        self.p = subprocess.Popen([self.o.binary, "serve", "--config", scratch + "/host.yaml"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=env, bufsize=0)
        self.end = time.monotonic() + LIMIT
        self.unsent, self.partial, self.ended = memoryview(b""), b"", False
        self.poll = select.poll()
        for pipe in (self.p.stdout, self.p.stderr):
            self.poll.register(pipe, select.POLLIN)
        os.set_blocking(self.p.stdin.fileno(), False)

    def read(self, pipe):
        data = os.read(pipe.fileno(), 1 << 20)
        if not data:
            self.poll.unregister(pipe)
            self.ended |= pipe == self.p.stdout
        elif pipe == self.p.stderr:
            self.errors += data
        else:
            *lines, self.partial = (self.partial + data).split(b"\n")
            for line in lines:
                self.answers.take(line)

    def write(self):
        try:
            self.unsent = self.unsent[os.write(self.p.stdin.fileno(), self.unsent):]
        except (BrokenPipeError, ConnectionResetError):
            self.unsent = memoryview(b"")
        if not self.unsent:
            self.poll.unregister(self.p.stdin)

    def wait(self, done, patience=LIMIT):
        """Lets the host work until done() or its output has ended; says whether it is done."""
        until = min(self.end, time.monotonic() + patience)
        while not self.ended and (self.unsent or not done()):
            left = until - time.monotonic()
            ready = self.poll.poll(left * 1000) if left > 0 else []
            if not ready:
                break
            for fd, _ in ready:
                if fd == self.p.stdout.fileno():
                    self.read(self.p.stdout)
                elif fd == self.p.stderr.fileno():
                    self.read(self.p.stderr)
                else:
                    self.write()
        return done()

    def answered(self, step):
        known = set(self.answers.by_id)
        return step.awaited <= (known | session.BATCH if no_batch(self.answers) else known)

    def ask_status(self):
        """`manifold status` as its command does it; without an admin socket, nothing."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE)
            try:
                s.connect(self.files.path + "/admin.sock")
                s.sendall(b'{"command":"status"}\n')
                line = b""
                while data := s.recv(1 << 20):
                    line += data
            except OSError:
                return
        if line:
            json.loads(line)

    def step(self, step):
        if step.change:
            step.change(self.files)
            self.p.send_signal(signal.SIGHUP)
        if step.data:
            self.poll.register(self.p.stdin, select.POLLOUT)
            self.unsent = memoryview(step.data)
        if step.reloads and not self.wait(lambda: len(RELOAD.findall(self.errors)) >= step.reloads):
            if not self.ended:
                raise Wrong("reload %d never ends" % step.reloads)
        if step.serves:
            self.wait(lambda: b" serves over stdio: " in self.errors)
            # It is opened a little later: the part must end behind it, whatever the machine is busy with.
            self.wait(lambda: b"admin socket" in self.errors, 1)
        self.wait(lambda: self.answered(step), PATIENCE)
        if step.reloads:   # what was replaced has ended, unless it never ran
            self.wait(lambda: self.errors.count(b"takes over") <= self.errors.count(b"has ended"), 0.1)
        if step.ask:
            self.ask_status()
        if step.close:
            self.p.stdin.close()
            closed = time.monotonic()
            if not self.wait(lambda: self.ended):
                raise Wrong("hangs; answered: %s" % sorted(self.answers.by_id, key=str))
            self.stop_took = time.monotonic() - closed
        self.marks[step.part] = self.read_report()

    def talk(self):
        for step in self.o.steps:
            if not self.ended:
                self.step(step)
        if self.partial:
            self.cut = True
            raise Wrong("the output ends in mid-line: %r" % self.partial[-120:])

    def finish(self):
        if not self.p.stdin.closed:
            self.p.stdin.close()
        try:
            self.code = self.p.wait(LIMIT)
        except subprocess.TimeoutExpired:
            raise Wrong("hangs after the end of its output")

    def read_report(self):
        """Reads it; how many allocations there have been."""
        with open(self.report, "rb") as f:
            data = f.read()
        self.count, self.failed, length = HEADER.unpack_from(data)
        text = data[HEADER.size:HEADER.size + length].decode(errors="replace")
        self.sites = [s.split("\n") for s in text.split("\n\n") if s.strip()]
        return self.count

    def end_process(self):
        if self.p.poll() is None:
            if "hangs" in (self.wrong or "") and self.o.stacks:
                subprocess.run(["gdb", "-p", str(self.p.pid), "-batch", "-ex",
                                "thread apply all bt"], check=False)
            self.p.kill()
        self.code = self.p.wait()
        os.set_blocking(self.p.stderr.fileno(), False)   # a child of its may live on
        self.errors += self.p.stderr.read() or b""
        self.log = self.errors.decode(errors="replace")
        for f in (self.p.stdout, self.p.stdin, self.p.stderr):
            f.close()
        self.read_report()

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
                self.end_process()
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
    return any(re.search("batch|memory", error_text(m) or "") for m in answers.anonymous)
