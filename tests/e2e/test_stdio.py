"""stdio that can't be broken: every kind of standard input and output, slow readers, odd lines, and
each way to end."""

import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

import harness
import support
from harness import Server, legacy, modern

LIMIT = 4 << 20  # limits.message


def echo_request(id, message):
    return modern("tools/call", {"name": "echo", "arguments": {"message": message}}, id)


def lines(*messages):
    return b"".join(json.dumps(m).encode() + b"\n" for m in messages)


def sleep_request(id, ms):
    return modern("tools/call", {"name": "sleep", "arguments": {"ms": ms}}, id,
                  meta={"progressToken": "p%s" % id})


class Kinds(unittest.TestCase):
    """Each kind of descriptor as input and as output."""

    def serve(self, stdin, stdout):
        with Server(stdin=stdin, stdout=stdout) as s:
            s.echo()
            s.echo("x" * 300000)  # more than any kernel buffer
            s.initialize()
            s.echo("\u00e4\u20ac")

    def test_pipes(self):
        self.serve("pipe", "pipe")

    def test_sockets(self):
        self.serve("socket", "socket")

    def test_one_socket_for_both(self):
        self.serve("both", "both")

    def test_pipe_and_socket(self):
        self.serve("pipe", "socket")
        self.serve("socket", "pipe")

    def test_terminals(self):
        try:
            for fd in os.openpty():
                os.close(fd)
        except OSError as e:
            self.skipTest("this machine gives no terminals: %s" % e)
        self.serve("tty", "pipe")
        self.serve("pipe", "tty")
        self.serve("tty", "tty")

    def answers_in_file(self, path):
        with open(path, "rb") as f:
            return [harness.parse_line(l) for l in f.read().splitlines()]

    def test_file_to_file(self):
        """Read from where the descriptor stands, written behind what is there."""
        with tempfile.TemporaryDirectory() as d:
            with open(d + "/in", "wb") as f:
                f.write(b"this was read before\n" + lines(echo_request(1, "a"), echo_request(2, "b")))
            with open(d + "/in", "rb", buffering=0) as i, open(d + "/out", "wb") as o:
                i.seek(21)
                o.write(b"{\"jsonrpc\":\"2.0\",\"method\":\"before\"}\n")
                o.flush()
                with Server(stdin=i, stdout=o) as s:
                    self.assertEqual(s.wait(), 0)
            m = self.answers_in_file(d + "/out")
            self.assertEqual([x.get("id") for x in m], [None, 1, 2])

    def test_large_file_to_pipe(self):
        """A file is always readable: the loop must still write, and stop for a slow reader."""
        with tempfile.TemporaryDirectory() as d:
            n = 2000
            with open(d + "/in", "wb") as f:
                for i in range(n):
                    f.write(lines(echo_request(i, "y" * 10000)))
            with open(d + "/in", "rb") as i, Server("--set", "echo.limits.queue=%d" % n, stdin=i) as s:
                for want in range(n):
                    self.assertEqual(s.recv()["id"], want)
                self.assertIsNone(s.recv())

    def test_null_input_ends_at_once(self):
        with open("/dev/null", "rb") as null, Server(stdin=null) as s:
            self.assertIsNone(s.recv())

    def test_null_output(self):
        with open("/dev/null", "wb") as null, Server(stdout=null) as s:
            s.send(*[echo_request(i, "z" * 1000) for i in range(1000)])
            s.reader = None

    def test_full_output_ends(self):
        with open("/dev/full", "wb") as full, Server(stdout=full) as s:
            s.send(echo_request(1, "a"))
            s.reader = None
            self.assertEqual(s.wait(), 0)
            self.assertIn("No space left", s.log())

    def test_closed_descriptors(self):
        """0, 1 and 2 closed: no file or library may land there."""
        for closed in ("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"):
            text = lines(echo_request(1, "a"))
            with tempfile.TemporaryDirectory() as d, subprocess.Popen(
                    ["sh", "-c", '"$0" serve --trust --plugins "$1" ' + closed, harness.BINARY,
                     harness.PLUGINS], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=dict(os.environ, **harness.sanitizer_environment(d))) as p:
                answer = b""
                if closed == "2>&-":   # the input ends when the answer is there
                    p.stdin.write(text)
                    p.stdin.flush()
                    answer = p.stdout.readline()
                out, err = p.communicate(None if answer else text, timeout=20)
                harness.check_reports(d)
            self.assertEqual(p.returncode, 0, (closed, err))
            if closed == "2>&-":
                self.assertEqual(harness.parse_line(answer)["id"], 1)
            self.assertEqual(out, b"")

    def test_shared_descriptors_stay_blocking(self):
        """O_NONBLOCK belongs to the open file, which the parent may share."""
        import fcntl
        import socket
        for make in (os.pipe, lambda: [x.detach() for x in socket.socketpair()]):
            in_read, in_write = make()
            out_read, out_write = make()
            s = Server(stdin=os.dup(in_read), stdout=os.dup(out_write))
            s.writer, s.reader = in_write, out_read
            with s:
                s.echo()
                for fd in (in_read, out_write):
                    self.assertFalse(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK)
                os.close(in_read)
                os.close(out_write)


class Lines(unittest.TestCase):
    def test_line_ends_and_blank_lines(self):
        with Server() as s:
            one = json.dumps(echo_request(1, "a")).encode()
            two = json.dumps(echo_request(2, "b")).encode()
            s.send_bytes(b"\n\r\n \t\r\n" + one + b"\r\n\n\n" + two + b"\n")
            self.assertEqual(s.recv()["id"], 1)
            self.assertEqual(s.recv()["id"], 2)
            s.echo()

    def test_one_byte_at_a_time(self):
        with Server(stdin="socket") as s:
            for b in lines(echo_request(7, "slowly")):
                s.send_bytes(bytes([b]))
            self.assertEqual(s.answer(7)["result"]["content"][0]["text"], "Echo: slowly")

    def test_partial_line_waits(self):
        with Server() as s:
            text = lines(echo_request(1, "first"), echo_request(2, "second"))
            cut = text.index(b"\n") + 20
            s.send_bytes(text[:cut])
            self.assertEqual(s.recv()["id"], 1)
            with self.assertRaises(harness.Failure):
                s.recv(timeout=0.05)
            s.send_bytes(text[cut:])
            self.assertEqual(s.recv()["id"], 2)

    def test_end_in_mid_line(self):
        """The last line without its end is a message if it is one, else it is answered as broken."""
        with Server() as s:
            s.send_bytes(lines(echo_request(1, "a"))[:-1])
            s.close_stdin()
            self.assertEqual(s.recv()["id"], 1)
            self.assertIsNone(s.recv())
        with Server() as s:
            s.send_bytes(b'{"jsonrpc":"2.0","id":5,"method":"pi')
            s.close_stdin()
            self.assertEqual(s.recv()["error"]["code"], -32700)
            self.assertIsNone(s.recv())

    def test_overlong_line(self):
        """Refused with its id, in bounded memory, and the next line is served."""
        with Server() as s:
            s.echo()
            before = s.memory_kib()
            s.send_bytes(b'{"jsonrpc":"2.0","method":"tools/call","params":{"id":1,"x":"')
            for _ in range(100):
                s.send_bytes(b"q" * (1 << 20))
            s.send_bytes(b'"},"id":"late one"}\n')
            r = s.recv()
            self.assertEqual((r["id"], r["error"]["code"]), ("late one", -32600))
            s.echo()
            self.assertLess(s.memory_kib("VmHWM") - before, 16 * 1024)
            s.send_bytes(b"[" * (5 << 20) + b"\n")
            r = s.recv()
            self.assertNotIn("id", r)
            self.assertEqual(r["error"]["code"], -32600)
            s.echo()

    def test_message_at_the_limit(self):
        with Server() as s:
            whole = len(json.dumps(echo_request(1, "")))
            s.send(echo_request(1, "m" * (LIMIT - whole)))
            r = s.recv()
            self.assertIn("result", r)  # a plugin's answer or its refusal, but not the framing's
            s.send(echo_request(2, "m" * (LIMIT - whole + 1)))
            r = s.recv()
            self.assertEqual((r["id"], r["error"]["code"]), (2, -32600))
            s.echo()

    def test_binary(self):
        with Server() as s:
            noise = bytes(range(256)) * 64
            s.send_bytes(noise + b"\n")
            for _ in range(noise.count(b"\n") + 1):
                self.assertEqual(s.recv()["error"]["code"], -32700)
            s.echo()


class Flow(unittest.TestCase):
    def test_slow_reader(self):
        """64 MiB of answers to a client that does not read: memory stays bounded, reading of stdin
        stops, and every answer arrives once it reads."""
        with Server() as s:
            s.echo()
            # Of 64 MiB; what ThreadSanitizer notes of each byte is resident, too.
            most = (32 if support.SANITIZE == "thread" else 24) * 1024
            before = s.memory_kib()
            n, size = 1024, 65536
            text = lines(*[echo_request(i, "%04d" % i + "s" * (size - 4)) for i in range(n)])
            sent = s.send_bytes(text, timeout=1, read=False)
            self.assertLess(sent, len(text) // 2, "the host took more in than it can answer")
            self.assertLess(s.memory_kib() - before, most)
            s.send_bytes(text[sent:], timeout=60)
            for i in range(n):
                r = s.answer(i)
                self.assertTrue(r["result"]["content"][0]["text"].startswith("Echo: %04d" % i))
            self.assertLess(s.memory_kib("VmHWM") - before, most)

    def test_many_in_one_write(self):
        with Server() as s:
            s.echo()  # while a library is being loaded, calls queue
            n = 5000
            s.send(*[echo_request(i, str(i)) for i in range(n)])
            for i in range(n):
                self.assertEqual(s.answer(i)["result"]["content"][0]["text"], "Echo: %d" % i)

    def test_large_message_leaves_little_behind(self):
        with Server() as s:
            s.echo()
            before = s.memory_kib()
            for _ in range(8):
                s.echo("L" * (1 << 20))
            self.assertLess(s.memory_kib() - before, 24 * 1024)

    def test_undrained_stderr(self):
        """Nobody reads the log, and it gets more than pipe and ring hold: lines are dropped and
        counted, answers still come, and the end too."""
        unknown = [w for i in range(200) for w in ("--set", "nobody%d.limits.queue=3" % i)]
        with Server(*unknown, stderr="undrained") as s:
            s.echo()
            status = {"server": {"reloads": 0}}
            while status["server"]["reloads"] < 20:
                s.signal(signal.SIGHUP)  # a line for each of these names
                s.echo()
                status = s.request("resources/read", {"uri": "manifold://status"})
                status = json.loads(status["result"]["contents"][0]["text"])
            self.assertGreater(status["server"]["logDropped"], 0)

    def test_log_goes_to_stderr(self):
        with Server() as s:
            s.echo()
            s.finish()
            self.assertIn("serves", s.log())


class End(unittest.TestCase):
    def test_eof_without_calls(self):
        s = Server()
        with s:
            s.echo()
            s.close_stdin()
            self.assertIsNone(s.recv())

    def test_eof_lets_short_calls_end(self):
        """Within STDIO_GRACE, 100 ms.  On a busy machine 20 ms may take longer than that: then the call
        is rightly cut, and it is tried again."""
        for _ in range(20):
            with Server() as s:
                s.echo()
                s.send(sleep_request("short", 20))
                s.close_stdin()
                closed = time.monotonic()
                answers = [m for m in iter(s.recv, None) if "id" in m]
                if not answers and time.monotonic() - closed >= 0.1:
                    continue
                self.assertEqual([(m["id"], "result" in m) for m in answers], [("short", True)])
                return
        self.fail("no call of 20 ms ended within 100 ms")

    def test_eof_cancels_long_calls(self):
        with Server() as s:
            s.send(sleep_request(1, 60000), echo_request(2, "in between"))
            s.answer(2)
            s.close_stdin()
            while (m := s.recv(timeout=5)) is not None:
                self.assertNotIn("id", m, "a cancelled call was answered")
            self.assertEqual(s.wait(5), 0)

    def test_eof_answers_all_that_came_before(self):
        with Server() as s:
            n = 300
            s.send_bytes(lines(*[echo_request(i, "t" * 20000) for i in range(n)]))
            s.close_stdin()
            for i in range(n):
                s.answer(i)
            self.assertIsNone(s.recv())

    def test_eof_with_a_stuck_reader(self):
        """The reader takes nothing any more: the host gives up on it."""
        with Server() as s:
            text = lines(*[echo_request(i, "u" * 65536) for i in range(400)])
            s.send_bytes(text, timeout=0.5, read=False)
            s.close_stdin()
            self.assertEqual(s.wait(10), 0)
            s.reader, reader = None, s.reader
            os.close(reader)

    def signals(self, number):
        with Server() as s:
            s.send(sleep_request(1, 60000), echo_request(2, "x"))
            s.answer(2)
            s.signal(number)
            self.assertEqual(s.wait(5), 0)
            self.assertIn("signal", s.log())

    def test_sigterm(self):
        self.signals(signal.SIGTERM)

    def test_sigint(self):
        self.signals(signal.SIGINT)

    def test_second_signal_ends_it_at_once(self):
        with Server(expect=None) as s:
            s.send(sleep_request(1, 60000), echo_request(2, "x"))
            s.answer(2)
            # Both are pending before the process runs again.
            for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
                s.signal(number)
            self.assertIn(s.wait(5), (128 + signal.SIGTERM, 128 + signal.SIGINT))

    def test_sighup_does_not_end_it(self):
        with Server() as s:
            s.echo()
            s.signal(signal.SIGHUP)
            s.wait_log("reload: ")
            s.echo()
            s.finish()
            self.assertIn("reload: 0 plugins changed", s.log())

    def test_output_closed_by_the_client(self):
        for kind in ("pipe", "socket"):
            with Server(stdout=kind) as s:
                s.echo()
                os.close(s.reader)
                s.reader = None
                self.assertEqual(s.wait(5), 0)

    def test_output_closed_with_a_call_in_flight(self):
        with Server() as s:
            s.send(sleep_request(1, 60000), echo_request(2, "x"))
            s.answer(2)
            os.close(s.reader)
            s.reader = None
            self.assertEqual(s.wait(5), 0)


if __name__ == "__main__":
    harness.main()
