"""The real binary, spoken to as a client does.  Python 3 standard library only.

    with Server() as s:
        s.initialize()
        answer = s.call("echo", {"message": "hi"})

Environment: MANIFOLD (path of the binary), MANIFOLD_PLUGINS (directory of the
bundled plugins, used unless `plugins` says otherwise).  A file that was not
given them exits 77, which ctest counts as skipped.

What every test gets without asking: each line on standard output must be one
JSON-RPC message; the process must have ended with the expected code when the
`with` block is left; no sanitizer may have reported anything.  All waits are
poll() with a deadline, there is no sleep.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

BINARY = os.environ.get("MANIFOLD")
PLUGINS = os.environ.get("MANIFOLD_PLUGINS")
TIMEOUT = 20
MODERN = "2026-07-28"
MODERN_META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Failure(AssertionError):
    """The host did not behave; the message says how."""


def main():
    """For the end of a test file: unittest, or 77 when there is no binary or nothing could run."""
    if not BINARY or not PLUGINS or not os.path.exists(BINARY):
        print("MANIFOLD and MANIFOLD_PLUGINS are not set, or there is no binary: skipped")
        sys.exit(77)
    import unittest
    result = unittest.main(module="__main__", verbosity=2, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if len(result.skipped) >= result.testsRun else 0)


def no_duplicates(pairs):
    keys = [k for k, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("duplicate key in %r" % keys)
    return dict(pairs)


def parse_line(line):
    """One line of standard output as the protocol wants it, or Failure."""
    try:
        message = json.loads(line.decode("utf-8"), object_pairs_hook=no_duplicates)
    except ValueError as e:
        raise Failure("no JSON on standard output: %r (%s)" % (line[:200], e))
    for m in message if isinstance(message, list) and message else [message]:
        if not isinstance(m, dict) or m.get("jsonrpc") != "2.0":
            raise Failure("no JSON-RPC message on standard output: %r" % line[:200])
        if not ("method" in m or ("result" in m) != ("error" in m)):
            raise Failure("neither call nor answer on standard output: %r" % line[:200])
    return message


def modern(method, params=None, id=None, meta=None):
    """A request (or, without id, a notification) of 2026-07-28."""
    params = dict(params or {})
    params["_meta"] = dict(MODERN_META, **(meta or {}))
    return legacy(method, params, id)


def legacy(method, params=None, id=None):
    message = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = params
    if id is not None:
        message["id"] = id
    return message


def sanitizer_environment(directory):
    """Reports go to files, because standard error is the log's.  ThreadSanitizer would sleep for a
    second at the end of each process, probes included; and the thread of a plugin that was busy to
    the end, which nobody can join, is no leak of the host's."""
    env = {}
    quick = {"TSAN": "atexit_sleep_ms=10:report_thread_leaks=0:suppressions=%s/tsan.supp"
             % os.path.dirname(os.path.abspath(__file__))}
    for name in ("ASAN", "UBSAN", "LSAN", "TSAN"):
        given = os.environ.get(name + "_OPTIONS", "")
        env[name + "_OPTIONS"] = ":".join(
            [o for o in (quick.get(name), given, "log_path=%s/%s" % (directory, name)) if o])
    return env


def run(*args, stdin=b"", env=None, expect=0, timeout=TIMEOUT):
    """One command to its end: (stdout, stderr) as text.  expect None: any code."""
    with tempfile.TemporaryDirectory() as reports:
        p = subprocess.run([BINARY, *args], input=stdin, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=timeout,
                           env=dict(os.environ, **sanitizer_environment(reports), **(env or {})))
        check_reports(reports)
    out, err = p.stdout.decode(), p.stderr.decode(errors="replace")
    if expect is not None and p.returncode != expect:
        raise Failure("manifold %s: exit code %d, expected %d\n%s%s"
                      % (" ".join(args), p.returncode, expect, out, err))
    return out, err


def check_reports(directory, expected=None):
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), errors="replace") as f:
            text = f.read()
        if not expected or expected not in text:
            raise Failure("sanitizer report:\n" + text[:8000])


class Server:
    """`manifold serve` as a child.

    args     further words of the command line
    plugins  directories for --plugins; None: MANIFOLD_PLUGINS, trusted; [] : none given
    stdin, stdout
             "pipe", "socket" (a socketpair each), "both" (one socketpair for the two; give it for
             both), "tty" (a pseudo terminal in raw mode), or a descriptor or file object
    stderr   "keep" (read by a thread, see .log()), "undrained" (a pipe nobody reads), or a file
    expect   exit code that leaving the `with` block demands; None: any
    binary   another build than MANIFOLD
    quiet    a failure is what the test wants: the log is not shown with it
    report   a sanitizer's report with this text in it is no failure
    """

    def __init__(self, *args, plugins=None, stdin="pipe", stdout="pipe", stderr="keep", env=None,
                 expect=0, binary=None, quiet=False,
                 report=None):
        self.quiet = quiet
        self.report = report
        self.expect = expect
        self.next_id = 1
        self.buffer = bytearray()
        self.other = []     # messages that were not the answer waited for
        self.received = 0   # lines
        self.writer = self.reader = None
        self.ended = False
        self.both = stdin == "both"
        self.reports = tempfile.TemporaryDirectory()
        if plugins is None:
            plugins, args = [PLUGINS], (*args, "--trust")
        command = [binary or BINARY, "serve", *args]
        for directory in plugins:
            command += ["--plugins", directory]
        mine, theirs = self._ends(stdin, stdout)
        self.writer, self.reader = mine
        self._log = bytearray()
        self.log_ended = False
        err_read, err_write = os.pipe() if stderr in ("keep", "undrained") else (None, stderr)
        self.process = subprocess.Popen(
            command, stdin=theirs[0], stdout=theirs[1], stderr=err_write,
            env=dict(os.environ, **sanitizer_environment(self.reports.name), **(env or {})))
        for fd in set(theirs):
            if isinstance(fd, int):
                os.close(fd)
        self.stderr = err_read
        if err_read is not None:
            os.close(err_write)
        self.drainer = None
        self.logged = threading.Condition()
        if stderr == "keep":
            self.drainer = threading.Thread(target=self._drain, daemon=True)
            self.drainer.start()

    @staticmethod
    def _ends(stdin, stdout):
        def end(kind, child_reads):
            if kind == "pipe":
                r, w = os.pipe()
                return (w, r) if child_reads else (r, w)
            if kind == "socket":
                a, b = socket.socketpair()
                return a.detach(), b.detach()
            if kind == "tty":
                import tty
                a, b = os.openpty()
                tty.setraw(b)
                return a, b
            return None, kind
        if stdin == "both":
            a, b = socket.socketpair()
            a, b = a.detach(), b.detach()
            return (a, os.dup(a)), (b, b)
        (mine_in, theirs_in), (mine_out, theirs_out) = end(stdin, True), end(stdout, False)
        return (mine_in, mine_out), (theirs_in, theirs_out)

    def _drain(self):
        while True:
            data = os.read(self.stderr, 65536)
            with self.logged:
                self._log += data
                self.log_ended = not data
                self.logged.notify_all()
            if not data:
                return

    def log(self):
        """Standard error so far, as text."""
        return bytes(self._log).decode(errors="replace")

    def wait_log(self, text, timeout=TIMEOUT):
        """Returns once the log has this text: it is written by a thread, after the answer perhaps."""
        with self.logged:
            self.logged.wait_for(lambda: self.log_ended or text.encode() in self._log, timeout)
            if text.encode() not in self._log:
                raise Failure("the log has no %r:\n%s" % (text, self.log()[-4000:]))

    # --- bytes ---

    def send_bytes(self, data, timeout=TIMEOUT, read=True):
        """Writes all of it; meanwhile takes in what the host writes unless read is False.
        Returns the bytes written (all, or less when the time is over)."""
        os.set_blocking(self.writer, False)
        deadline = time.monotonic() + timeout
        view, done = memoryview(data), 0
        while done < len(view):
            poll = select.poll()
            poll.register(self.writer, select.POLLOUT)
            if read and self.reader is not None:
                poll.register(self.reader, select.POLLIN)
            events = poll.poll(max(0, deadline - time.monotonic()) * 1000)
            if not events:
                return done
            for fd, what in events:
                if fd == self.reader and not self._read_some():
                    raise Failure("the host closed its output while it was written to\n" + self.log())
                if fd == self.writer:
                    try:
                        done += os.write(self.writer, view[done:done + 262144])
                    except BlockingIOError:
                        pass
        return done

    def _read_some(self):
        try:
            data = os.read(self.reader, 1 << 20)
        except OSError as e:  # a pseudo terminal whose other side is closed says EIO
            if e.errno != 5:
                raise
            data = b""
        self.buffer += data
        return bool(data)

    def recv_line(self, timeout=TIMEOUT):
        """The next line without its end; None at the end of the output."""
        deadline = time.monotonic() + timeout
        searched = 0
        while True:
            at = self.buffer.find(b"\n", searched)
            if at >= 0:
                line = bytes(self.buffer[:at])
                del self.buffer[:at + 1]
                self.received += 1
                return line
            searched = len(self.buffer)
            poll = select.poll()
            poll.register(self.reader, select.POLLIN)
            if not poll.poll(max(0, deadline - time.monotonic()) * 1000):
                raise Failure("no answer within %g s\n%s" % (timeout, self.log()))
            if not self._read_some():
                if self.buffer:
                    raise Failure("the output ends in mid-line: %r" % bytes(self.buffer[-200:]))
                return None

    # --- messages ---

    def send(self, *messages):
        """Each on its line, in one write."""
        self.send_bytes(b"".join(json.dumps(m).encode() + b"\n" for m in messages))

    def recv(self, timeout=TIMEOUT):
        """The next message; None at the end."""
        line = self.recv_line(timeout)
        return None if line is None else parse_line(line)

    def answer(self, id, timeout=TIMEOUT):
        """The response to `id`; everything before it lands in self.other."""
        for i, m in enumerate(self.other):
            if isinstance(m, dict) and m.get("id") == id and "method" not in m:
                return self.other.pop(i)
        deadline = time.monotonic() + timeout
        while True:
            m = self.recv(max(0, deadline - time.monotonic()))
            if m is None:
                raise Failure("the output ended before the answer to %r\n%s" % (id, self.log()))
            if isinstance(m, dict) and m.get("id") == id and "method" not in m:
                return m
            self.other.append(m)

    def new_id(self):
        self.next_id += 1
        return self.next_id - 1

    def request(self, method, params=None, meta=None, id=None, timeout=TIMEOUT):
        """A modern request and its whole response."""
        id = self.new_id() if id is None else id
        self.send(modern(method, params, id, meta))
        return self.answer(id, timeout)

    def legacy_request(self, method, params=None, id=None, timeout=TIMEOUT):
        id = self.new_id() if id is None else id
        self.send(legacy(method, params, id))
        return self.answer(id, timeout)

    def initialize(self, version="2025-11-25", capabilities=None):
        """The legacy handshake; the result of initialize."""
        r = self.legacy_request("initialize", {
            "protocolVersion": version, "capabilities": capabilities or {},
            "clientInfo": {"name": "e2e", "version": "1"}})
        if "result" not in r:
            raise Failure("initialize: %r" % r)
        self.send(legacy("notifications/initialized"))
        return r["result"]

    def call(self, tool, arguments=None, timeout=TIMEOUT, **kw):
        """A modern tools/call; its result, or Failure on a JSON-RPC error."""
        params = {"name": tool}
        if arguments is not None:
            params["arguments"] = arguments
        r = self.request("tools/call", params, timeout=timeout, **kw)
        if "result" not in r:
            raise Failure("tools/call %s: %r" % (tool, r))
        return r["result"]

    def echo(self, message="hi", timeout=TIMEOUT):
        """Proves that the host still serves."""
        text = self.call("echo", {"message": message}, timeout)["content"][0]["text"]
        if text != "Echo: " + message:
            raise Failure("echo answered %r" % text[:200])

    # --- the process ---

    def memory_kib(self, what="VmRSS"):
        with open("/proc/%d/status" % self.process.pid) as f:
            for line in f:
                if line.startswith(what + ":"):
                    return int(line.split()[1])
        raise Failure("no %s" % what)

    def close_stdin(self):
        if self.writer is not None:
            if self.both:  # another descriptor keeps it open
                with socket.socket(fileno=os.dup(self.writer)) as s:
                    s.shutdown(socket.SHUT_WR)
            os.close(self.writer)
            self.writer = None

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, timeout=TIMEOUT):
        """Exit code.  Reads the output to its end unless there is none to read."""
        pid = os.pidfd_open(self.process.pid) if self.process.poll() is None else None
        if pid is not None:
            poll = select.poll()
            poll.register(pid, select.POLLIN)
            ended = poll.poll(timeout * 1000)
            os.close(pid)
            if not ended:
                raise Failure("still running after %g s\n%s" % (timeout, self.log()))
        code = self.process.wait()
        if self.drainer:
            self.drainer.join(timeout)
        return code

    def finish(self, timeout=TIMEOUT):
        """Closes the input, reads what is left, and checks the end."""
        if self.ended:
            return
        self.ended = True
        self.close_stdin()
        while self.reader is not None and self.recv(timeout) is not None:
            pass
        code = self.wait(timeout)
        check_reports(self.reports.name, self.report)
        if self.expect is not None and code != self.expect:
            raise Failure("exit code %d, expected %d\n%s" % (code, self.expect, self.log()))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.finish()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if kind is not None and not self.quiet:
                sys.stderr.write("--- log of the host ---\n%s\n" % self.log()[-4000:])
                try:
                    check_reports(self.reports.name, self.report)
                except Failure as e:
                    sys.stderr.write(str(e))
            self.close_stdin()
            for fd in (self.reader, self.stderr if not self.drainer else None):
                if fd is not None:
                    os.close(fd)
            self.reports.cleanup()
