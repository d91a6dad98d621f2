"""What the tests of http/1 and of the plugin fetch share: a real nginx, a server that misbehaves on
demand, and a host with the probe plugin (tests/plugins/probes) between.

Everything listens on loopback ports that were free, and is stopped by its process or thread.
"""

import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

from harness import Failure, Server, TIMEOUT
from support import BAD, Files, controls_dir

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
PROBES = os.path.join(os.path.dirname(BAD.rstrip("/")), "probes")
OK, EINVAL, ECANCELED, ETIMEDOUT, EDENIED, ELIMIT, EIO = 0, -1, -4, -5, -6, -8, -9


def free_port(family=socket.AF_INET):
    with socket.socket(family) as s:
        s.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, condition, timeout=TIMEOUT):
    """Polls a condition of another process that tells nobody."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise Failure("%s: not within %g s" % (what, timeout))
        select.select([], [], [], 0.005)


class Nginx:
    """nginx with a private prefix.  `server`: lines for the server block; tls: a certificate of its
    own (self.certificate) and HTTP/2.  log(): one dict a request."""

    def __init__(self, server="", tls=False, listen=None):
        self.directory = tempfile.TemporaryDirectory()
        self.prefix = self.directory.name
        self.port = free_port()
        self.url = "%s://127.0.0.1:%d" % ("https" if tls else "http", self.port)
        self.certificate = os.path.join(self.prefix, "cert.pem")
        for name in ("root", "temp"):
            os.mkdir(os.path.join(self.prefix, name))
        if tls:
            self._make_certificate()
        extra = ("ssl_certificate cert.pem; ssl_certificate_key key.pem;" if tls else "")
        how = " ssl http2" if tls else ""
        listens = "".join("listen %s%s;" % (a, how) for a in listen or ["127.0.0.1:%d" % self.port])
        with open(os.path.join(self.prefix, "nginx.conf"), "w") as f:
            f.write("""
%s daemon off; worker_processes 1; pid nginx.pid; error_log error.log;
events { worker_connections 512; }
http {
  log_format one escape=json '{"connection":$connection,"nth":$connection_requests,"method":"$request_method",'
    '"uri":"$request_uri","status":$status,"protocol":"$server_protocol","bytes":$body_bytes_sent,'
    '"key":"$http_x_api_key","auth":"$http_authorization","trace":"$http_traceparent","agent":"$http_user_agent"}';
  access_log access.log one;
  client_body_temp_path temp; proxy_temp_path temp/p; fastcgi_temp_path temp/f; uwsgi_temp_path temp/u; scgi_temp_path temp/s;
  keepalive_timeout 30s; keepalive_requests 100000; sendfile on; default_type text/plain;
  server { %s root root; %s
    location = /small { return 200 "small"; }
    %s
  }
}
""" % ("user root;" if os.geteuid() == 0 else "", listens, extra, server))
        self.process = subprocess.Popen([NGINX, "-p", self.prefix, "-c", "nginx.conf", "-e", "error.log"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)
        wait_for("nginx", self._is_up)

    def _make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "2", "-subj", "/CN=test", "-addext",
                        "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout",
                        os.path.join(self.prefix, "key.pem"), "-out", self.certificate],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _is_up(self):
        if self.process.poll() is not None:
            raise Failure("nginx: " + self.process.stderr.read().decode())
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def write(self, name, data):
        path = os.path.join(self.prefix, "root", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)

    def log(self):
        with open(os.path.join(self.prefix, "access.log")) as f:
            return [json.loads(line) for line in f]

    def connections(self):
        return len({line["connection"] for line in self.log()})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(TIMEOUT)
        self.process.stderr.close()
        self.directory.cleanup()


class Request:
    """One request as it came, and the socket to answer it on."""

    def __init__(self, stub, sock, head):
        self.stub, self.socket = stub, sock
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.headers = [tuple(p.strip() for p in line.split(":", 1)) for line in lines[1:] if line]
        self.path, _, query = self.target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query))
        self.body = b""

    def header(self, name):
        return ", ".join(v for n, v in self.headers if n.lower() == name.lower())

    def answer(self, code=200, body=b"", headers=(), length=True):
        head = "HTTP/1.1 %d X\r\n" % code
        if length:
            head += "Content-Length: %d\r\n" % len(body)
        head += "".join("%s: %s\r\n" % h for h in headers)
        self.socket.sendall(head.encode("latin-1") + b"\r\n" + body)

    def wait_closed(self, timeout=TIMEOUT):
        """The other side has closed: True."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True
        except socket.timeout:
            return False


class Stub:
    """A server that does what `handlers` say: {path: function(request)}, one thread a connection.
    A handler that returns True ends the connection."""

    def __init__(self, handlers=None, address="127.0.0.1", port=0):
        self.handlers = handlers or {}
        self.requests = []      # all that came, in order
        self.connections = 0
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(self.family)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        self.socket.listen(512)
        self.port = self.socket.getsockname()[1]
        self.url = "http://%s:%d" % ("[%s]" % address if ":" in address else address, self.port)
        self.open = set()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open.add(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        try:
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    more = s.recv(65536)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                r = Request(self, s, head)
                length = int(r.header("content-length") or 0)
                while len(data) < length:
                    more = s.recv(65536)
                    if not more:
                        return
                    data += more
                r.body, data = data[:length], data[length:]
                with self.lock:
                    self.requests.append(r)
                if self.handlers.get(r.path, echo)(r):
                    return
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.open.discard(s)
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        with self.lock:
            for s in self.open:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


def echo(r):
    r.answer(body=json.dumps({"method": r.method, "target": r.target, "headers": r.headers,
                              "body": r.body.decode("latin-1")}).encode(),
             headers=[("Content-Type", "application/json")])


def redirect(r):
    r.answer(int(r.query.get("code", 302)), b"moved", [("Location", r.query["to"])])


class Host(Server):
    """A host with the probe: http_probe with these permissions and grants.

    permissions  the list below permissions.http
    grants       {name: {...}} below plugins.http_probe.grants.http; None: as asked
    more         {name: (permissions, grants)}: further instances of it
    config       further text of the host config
    """

    def __init__(self, permissions, grants=None, more=None, config="", binary=None, secrets=None, **kw):
        self.files = Files().__enter__()
        plugins = {}
        for name, (asked, given) in {"http_probe": (permissions, grants), **(more or {})}.items():
            d = self.files.directory("plugins/" + name)
            where = controls_dir("probes") if binary else PROBES
            shutil.copy(os.path.join(where, "http_probe.so"), os.path.join(d, name + ".so"))
            prefix = "" if name == "http_probe" else "prefix: %s\n" % name
            self.files.write("plugins/%s/%s.yaml" % (name, name), """manifold: 1
id: test.probe.http
%slimits: { timeout: 60s, concurrency: 64 }
permissions: { http: %s }
tools: [{ name: request }, { name: stream }, { name: resume }, { name: abort }]
""" % (prefix, json.dumps(asked)))
            plugins[name] = {"grants": "asked" if given is None else {"http": given}}
        sources = [{"path": "plugins/" + n} for n in plugins]
        text = "manifold: 1\nadmin: none\nsources: %s\nplugins: %s\n" % (json.dumps(sources),
                                                                         json.dumps(plugins))
        if secrets:
            text += "secrets: %s\n" % json.dumps(secrets)
        self.files.write("manifold.yaml", text + config)
        super().__init__("--config", self.files.at("manifold.yaml"), "--log-level", "debug",
                         plugins=[], binary=binary, **kw)

    def ask(self, url, tool="request", **arguments):
        """The answer as a dict; a string when nothing was begun."""
        text = self.call(tool, dict(arguments, url=url))["content"][0]["text"]
        return json.loads(text) if text.startswith("{") else text

    def maps(self):
        with open("/proc/%d/maps" % self.process.pid) as f:
            return f.read()

    def __exit__(self, *exc):
        try:
            super().__exit__(*exc)
        finally:
            self.files.__exit__()
