#!/usr/bin/env python3
"""A tour of a running Manifold: what `./dev run` shows.

Starts the host on a directory of plugins, speaks to it as a client of each era
would, and prints what goes over the wire and how long it took.

    python3 docs/tour.py build/manifold build/plugins
"""
import json
import os
import subprocess
import sys
import time

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Client:
    """One message a line over the pipes of a child process."""

    def __init__(self, command):
        self.spawned = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.next_id = 0

    def notify(self, method, params=None):
        self.write({"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})})

    def write(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def request(self, method, params=None, show=True):
        self.next_id += 1
        message = {"jsonrpc": "2.0", "id": self.next_id, "method": method}
        if params is not None:
            message["params"] = params
        if show:
            print(f"  -> {clip(json.dumps(message))}")
        start = time.perf_counter()
        self.write(message)
        while True:
            line = self.process.stdout.readline()
            if not line:
                sys.exit("the host closed its output; its log:\n" +
                         self.process.stderr.read().decode())
            answer = json.loads(line)
            if show:
                took = (time.perf_counter() - start) * 1e3
                print(f"  <- {clip(line.decode().rstrip())}   [{took:.2f} ms]")
            if answer.get("id") == self.next_id:
                return answer

    def modern(self, method, params=None, show=True, **meta):
        return self.request(method, {**(params or {}), "_meta": {**META, **meta}}, show)

    def close(self):
        """Closes the host's input, as a client that ends does; its exit code and its log."""
        start = time.perf_counter()
        self.process.stdin.close()
        code = self.process.wait(timeout=10)
        return code, (time.perf_counter() - start) * 1e3, self.process.stderr.read().decode()


def clip(text, width=150):
    return text if len(text) <= width else text[: width - 3] + "..."


def heading(text):
    print(f"\n{text}\n{'-' * len(text)}")


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:")) / 1024


def tour(host, plugins):
    command = [host, "serve", "--plugins", plugins, "--trust"]
    print("Starting:", " ".join(command))

    heading("A client of the newest revision (2026-07-28): no handshake, every request stands alone")
    c = Client(command)
    tools = c.modern("tools/list")["result"]["tools"]
    print(f"  first answer {(time.perf_counter() - c.spawned) * 1e3:.1f} ms after the start of the process;"
          f" {len(tools)} tools: {', '.join(t['name'] for t in tools)};"
          f" memory {pss(c.process.pid):.1f} MiB, no plugin loaded yet")
    c.modern("server/discover")
    c.modern("tools/call", {"name": "echo", "arguments": {"message": "hello"}})
    print("  the call above mapped the plugin; the next one finds it there:")
    c.modern("tools/call", {"name": "echo", "arguments": {"message": "hello again"}})
    print("  arguments that do not fit the schema never reach the plugin:")
    c.modern("tools/call", {"name": "echo", "arguments": {"message": 7}})
    print("  a slow tool reports progress while other calls go on:")
    c.modern("tools/call", {"name": "sleep", "arguments": {"ms": 200}}, progressToken="nap")
    c.modern("resources/read", {"uri": "echo://shout/hello%20world"})
    c.modern("prompts/get", {"name": "recite", "arguments": {"topic": "the sea"}})

    heading("A client of 2025-11-25, on the same connection: initialize, then the same plugins")
    c.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                             "clientInfo": {"name": "tour", "version": "1"}})
    c.notify("notifications/initialized")
    c.request("tools/call", {"name": "echo", "arguments": {"message": "hello from last year"}})

    heading("What the operator sees: resource manifold://status, and the log")
    text = c.modern("resources/read", {"uri": "manifold://status"}, show=False)
    for plugin in json.loads(text["result"]["contents"][0]["text"])["plugins"]:
        print(f"  {plugin['name']}: {plugin['state']}, isolation {plugin['isolation']}, "
              f"{plugin['calls']} calls, {plugin['errors']} errors, {plugin['timeouts']} timeouts")
    memory = pss(c.process.pid)
    code, took, log = c.close()
    print("".join(f"  | {line}\n" for line in log.splitlines()), end="")
    print(f"  memory at the end {memory:.1f} MiB; input closed, exit code {code} after {took:.0f} ms")
    return code


def snippets(host):
    path = os.path.abspath(host)
    plugins = os.path.expanduser("~/.local/share/manifold/plugins")
    server = {"command": path, "args": ["serve", "--plugins", plugins]}
    heading("To use it: drop NAME.so and NAME.yaml into a directory and tell your client")
    print(f"  Claude Code:   claude mcp add manifold -- {path} serve --plugins {plugins}")
    print("  Cursor (~/.cursor/mcp.json), Claude Desktop (claude_desktop_config.json), .mcp.json:")
    print("    " + json.dumps({"mcpServers": {"manifold": server}}))
    print("  VS Code (.vscode/mcp.json):")
    print("    " + json.dumps({"servers": {"manifold": {"type": "stdio", **server}}}))
    print(f"  From a shell:  {path} call echo '{{\"message\":\"hi\"}}'")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    exit_code = tour(sys.argv[1], sys.argv[2])
    snippets(sys.argv[1])
    sys.exit(exit_code)
