"""A Redis of the test's own, on a Unix socket (and a free port of the loopback where asked for), and a
server that is none."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

needs_redis = unittest.skipUnless(shutil.which("redis-server"), "there is no redis-server")


def reply(f):
    """One reply of the protocol, read from a file object."""
    line = f.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the connection ended")
    kind, rest = line[:1], line[1:-2]
    if kind in b"+-":
        return rest.decode()
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == b"-1" else f.read(int(rest) + 2)[:-2]
    return [reply(f) for _ in range(int(rest))]


class Redis:
    """Runs while the `with` block does; what was written before a restart is there after it."""

    def __init__(self, directory, password=None, tcp=False):
        self.path = os.path.join(directory, "redis.sock")
        self.directory = directory
        self.password = password
        self.port = 0
        if tcp:
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                self.port = s.getsockname()[1]
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
                   "--unixsocket", self.path, "--dir", self.directory, "--save", "",
                   "--appendonly", "yes", "--appendfsync", "always", "--logfile", "/dev/null"]
        if self.password:
            command += ["--requirepass", self.password]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if "LOADING" not in self.command("PING"):
                    return
            except OSError:
                pass
            time.sleep(0.001)
        raise AssertionError("redis-server does not answer")

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def command(self, *words):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.path)
            f = s.makefile("rwb")
            for line in ([("AUTH", self.password)] if self.password else []) + [words]:
                parts = [w if isinstance(w, bytes) else str(w).encode() for w in line]
                f.write(b"*%d\r\n" % len(parts))
                for p in parts:
                    f.write(b"$%d\r\n%s\r\n" % (len(p), p))
                f.flush()
                answer = reply(f)
            return answer

    def calls(self):
        """{command: how often it was called}"""
        text = self.command("INFO", "commandstats").decode()
        return {line.split(":")[0][len("cmdstat_"):]: int(line.split("calls=")[1].split(",")[0])
                for line in text.split("\r\n") if line.startswith("cmdstat_")}


class Garbage:
    """Answers every read with the same bytes; with `hello`, so that it is taken for a Redis first."""

    HELLO = (b"*3\r\n$9\r\nsubscribe\r\n$19\r\nmanifold:invalidate\r\n:1\r\n", b"+PONG\r\n")

    def __init__(self, directory, says, hello=False):
        self.path = os.path.join(directory, "garbage.sock")
        self.says = says
        self.hello = hello
        self.connections = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)

    def __enter__(self):
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            with s:
                while True:
                    data = s.recv(65536)
                    if not data:
                        return
                    if self.hello and b"SUBSCRIBE" in data:
                        s.sendall(self.HELLO[0])
                    elif self.hello and b"PING" in data:
                        s.sendall(self.HELLO[1])
                    else:
                        s.sendall(self.says)
        except OSError:
            pass
