"""Names and http/1, with a name server of this test: rebinding, several addresses, a server that does not
answer.  In a network namespace of its own, where an address that counts as public is on the loopback
device and port 53 is ours; nothing leaves it.  Skipped where no namespace can be made."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

import harness
from http_support import EDENIED, EIO, ETIMEDOUT, Host, Stub
from support import CONTROLS, needs_controls, scaled

INSIDE = "MANIFOLD_TEST_NAMESPACE"
PUBLIC = "93.184.216.34"


def enter():
    """This program again, in namespaces of its own."""
    unshare = shutil.which("unshare")
    flags = ["--net", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    if not unshare or not shutil.which("ip") or subprocess.run([unshare, *flags, "true"]).returncode:
        print("no network namespace can be made here: skipped")
        sys.exit(77)
    os.environ[INSIDE] = "1"
    os.execv(unshare, [unshare, *flags, sys.executable, *sys.argv])


def set_up(directory):
    path = os.path.join(directory, "resolv.conf")
    with open(path, "w") as f:
        f.write("nameserver 127.0.0.1\noptions timeout:5 attempts:2\n")
    for command in (["ip", "link", "set", "lo", "up"], ["ip", "addr", "add", PUBLIC + "/32", "dev", "lo"],
                    ["mount", "--make-rprivate", "/"], ["mount", "--bind", path, "/etc/resolv.conf"]):
        subprocess.run(command, check=True)


class Names:
    """Answers A questions by table: {name: function(n) -> addresses, or None for no answer}; n counts."""

    def __init__(self, table):
        self.table = table
        self.asked = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            data, peer = self.socket.recvfrom(2048)
            if not data:  # from __exit__()
                return
            labels, at = [], 12
            while data[at]:
                labels.append(data[at + 1:at + 1 + data[at]].decode())
                at += 1 + data[at]
            kind = struct.unpack(">H", data[at + 1:at + 3])[0]
            name, question = ".".join(labels).lower(), data[12:at + 5]
            found, known = [], name in self.table or name.endswith(".hang.test")
            if known and name not in self.table:
                continue
            if known and kind == 1:
                n = self.asked[name] = self.asked.get(name, 0) + 1
                found = self.table[name](n)
            if found is None:
                continue
            answer = b"".join(b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04" + socket.inet_aton(a) for a in found)
            self.socket.sendto(data[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, len(found), 0, 0)
                               + question + answer, peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.sendto(b"", ("127.0.0.1", 53))
        self.thread.join()
        self.socket.close()


def page(r):
    r.answer(body=b"public", headers=[("Connection", "close")])
    return True


def anything(port):
    return [{"name": "web", "host": "*", "ports": [port], "methods": ["GET"]}]


class Http(unittest.TestCase):
    def pair(self):
        """Two servers on one port: the public one, and what must not be reached."""
        public = Stub({"/": page}, address=PUBLIC)
        return public, Stub({"/": page}, port=public.port)

    def test_a_name_that_is_bound_again(self):
        flip = {"rebind.test": lambda n: ["127.0.0.1" if n % 2 else PUBLIC]}
        public, inner = self.pair()
        with public, inner, Names(flip), Host(anything(public.port), config="http_client: { dns_ttl: 0s }\n") as h:
            seen, rounds = {}, scaled(1000, 10, 10)
            for _ in range(rounds):
                a = h.ask("http://rebind.test:%d/" % public.port)
                seen[a["status"]] = seen.get(a["status"], 0) + 1
            self.assertEqual(set(seen), {0, EDENIED}, seen)
            self.assertGreater(min(seen.values()), rounds // 3)
            self.assertEqual(inner.connections, 0)

    @needs_controls
    def test_without_the_check_it_is_reached(self):
        flip = {"rebind.test": lambda n: ["127.0.0.1" if n % 2 else PUBLIC]}
        public, inner = self.pair()
        with public, inner, Names(flip), Host(anything(public.port), config="http_client: { dns_ttl: 0s }\n",
                                              binary=CONTROLS, env={"MANIFOLD_WITHOUT": "private"}) as h:
            for _ in range(10):
                self.assertEqual(h.ask("http://rebind.test:%d/" % public.port)["code"], 200)
            self.assertGreater(inner.connections, 0)

    def test_several_addresses_and_the_cache(self):
        table = {"mixed.test": lambda n: ["127.0.0.1", "10.0.0.1", PUBLIC], "inner.test": lambda n: ["127.0.0.1"]}
        public, inner = self.pair()
        with public, inner, Names(table) as names, Host(anything(public.port)) as h:
            for _ in range(10):
                self.assertEqual(h.ask("http://mixed.test:%d/" % public.port)["code"], 200)
            self.assertEqual(names.asked["mixed.test"], 1)
            self.assertEqual(public.connections, 10)
            a = h.ask("http://inner.test:%d/" % public.port)
            self.assertEqual(a["status"], EDENIED)
            self.assertIn("may not connect to 127.0.0.1 (loopback)", a["why"])
            a = h.ask("http://none.test:%d/" % public.port)
            self.assertEqual(a["status"], EIO)
            self.assertIn("Could not resolve host: none.test", a["why"])
            self.assertEqual(inner.connections, 0)

    def test_a_name_server_that_does_not_answer_holds_up_nobody(self):
        public, inner = self.pair()
        with public, inner, Names({"fine.test": lambda n: [PUBLIC]}), \
                Host(anything(public.port), more={"other": (anything(public.port), None)}) as h:
            fine = "http://fine.test:%d/" % public.port
            self.assertEqual(h.ask(fine)["code"], 200)
            begin = time.monotonic()
            for i in range(32):
                a = h.ask("http://n%d.hang.test:%d/" % (i, public.port), timeout_ms=20)
                self.assertEqual(a["status"], ETIMEDOUT, a)
            self.assertLess(time.monotonic() - begin, 5)  # one look-up takes ten seconds
            a = h.ask("http://more.hang.test:%d/" % public.port)
            self.assertEqual(a["status"], EIO)
            self.assertIn("32 names that this plugin has asked for got no answer", a["why"])
            # It is that plugin's matter.
            text = h.call("other_request", {"url": fine})["content"][0]["text"]
            self.assertIn('"code":200', text)
            threads = len(os.listdir("/proc/%d/task" % h.process.pid))
            self.assertLess(threads, 32 + 16)


if __name__ == "__main__":
    if INSIDE not in os.environ:
        enter()
    import tempfile
    with tempfile.TemporaryDirectory() as d:
        set_up(d)
        harness.main()
