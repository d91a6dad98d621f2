"""Subscriptions of both eras, by a plugin that says what has changed, and by reloads."""

import json
import os
import signal
import time
import unittest

import harness
from harness import Server, legacy, modern
from support import (BAD, CONTROLS, Files, controls_dir, needs_controls, scaled, serve, status, text_of)

TELLS = BAD + "/tells"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
UPDATED = "notifications/resources/updated"
LEAST = 0.045  # seconds between two tellings of one resource


def say(s, **arguments):
    """What the plugin got as status codes."""
    return text_of(s.call("tells", arguments))


def subscribe(s, uri, method="resources/subscribe"):
    return s.legacy_request(method, {"uri": uri})


def until(s, want, timeout=harness.TIMEOUT):
    """The next message; it must be this one."""
    m = s.other.pop(0) if s.other else s.recv(timeout)
    if m != want:
        raise harness.Failure("expected %r, found %r\n%s" % (want, m, s.log()))


def updated(uri, id=None):
    params = {"uri": uri}
    if id is not None:
        params["_meta"] = {SUBSCRIPTION: id}
    return {"jsonrpc": "2.0", "method": UPDATED, "params": params}


def changed(kind, id=None):
    m = {"jsonrpc": "2.0", "method": "notifications/%s/list_changed" % kind}
    if id is not None:
        m["params"] = {"_meta": {SUBSCRIPTION: id}}
    return m


def acknowledged(id, **filter):
    return {"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
            "params": {"_meta": {SUBSCRIPTION: id}, "notifications": filter}}


def listen(s, id, **filter):
    """The acknowledgement, which must be all that comes."""
    s.send(modern("subscriptions/listen", {"notifications": filter}, id))
    m = s.recv()
    if m.get("method") != "notifications/subscriptions/acknowledged":
        raise harness.Failure("no acknowledgement: %r" % m)
    return m


def without(control):
    """A host without one protection, for Server and serve()."""
    return {"binary": CONTROLS, "env": {"MANIFOLD_WITHOUT": control}}


class Base(unittest.TestCase):
    def silent(self, s):
        """Nothing has come, and nothing is on its way that was to come before this answer."""
        self.assertEqual(s.request("tools/list")["result"]["tools"][0]["name"], "tells")
        self.assertEqual(s.other, [])


class Legacy(Base):
    def test_subscribed_resources_alone(self):
        with serve(TELLS) as s:
            self.assertTrue(s.initialize()["capabilities"]["resources"]["subscribe"])
            for uri in ("tells://watched", "tells://item/7", "tells://watched"):
                self.assertEqual(subscribe(s, uri)["result"], {})
            self.assertEqual(subscribe(s, "tells://quiet")["error"]["code"], -32602)
            self.assertEqual(subscribe(s, "tells://none")["error"]["code"], -32002)
            self.assertEqual(say(s, uri="tells://watched"), "0: 1")
            until(s, updated("tells://watched"))
            self.assertEqual(say(s, uri="tells://item/8"), "0: 1")
            self.assertEqual(say(s, uri="tells://item/7"), "0: 1")
            until(s, updated("tells://item/7"))
            self.assertEqual(subscribe(s, "tells://item/7", "resources/unsubscribe")["result"], {})
            say(s, uri="tells://item/7")
            say(s, uri="tells://watched")
            until(s, updated("tells://watched"))
            self.silent(s)

    def test_what_a_plugin_is_told(self):
        with serve(TELLS) as s:
            for uri, answer in (("tells://watched", 0), ("tells://item/x", 0), ("tells://quiet", -7),
                                ("tells://none", -1), ("tells://item/", -1), ("", -1),
                                ("manifold://status", -1), ("tells://item/" + "x" * 2040, -1)):
                self.assertEqual(say(s, uri=uri), "%d: 1" % answer, uri)
            for kind, answer in ((1, 0), (2, 0), (3, 0), (4, -1), (-1, -1)):
                self.assertEqual(say(s, changed=kind), "%d: 1" % answer)
            # The loop is waiting for that thread.
            for threads, answer in ((0, "0: 300"), (1, "0: 256, -8: 44"), (1, "0: 256, -8: 44")):
                self.assertEqual(say(s, uri="tells://item/", many=300, threads=threads), answer)

    def flood(self, s):
        """How often it was told, and how often it might have been."""
        s.initialize()
        subscribe(s, "tells://watched")
        begin = time.monotonic()
        told = 0
        while time.monotonic() - begin < 1:
            say(s, uri="tells://watched", times=100)
            told += len([m for m in s.other if m.get("method") == UPDATED])
            s.other.clear()
        until(s, updated("tells://watched"))  # of the last ones
        return told + 1, (time.monotonic() - begin) / LEAST + 2

    def test_many_in_a_row_are_one(self):
        with serve(TELLS) as s:
            told, most = self.flood(s)
            self.assertLessEqual(told, most)

    @needs_controls
    def test_without_a_time_between_two(self):
        with serve(controls_dir("bad/tells"), **without("notice_rate")) as s:
            told, most = self.flood(s)
            self.assertGreater(told, most)

    def test_from_threads(self):
        times = scaled(20000)
        with serve(TELLS) as s:
            s.initialize()
            subscribe(s, "tells://watched")
            self.assertEqual(say(s, uri="tells://watched", times=times, threads=8), "0: %d" % (8 * times))
            self.assertEqual(say(s, uri="tells://watched", times=times, threads=8), "0: %d" % (8 * times))
            s.other.clear()
            say(s, uri="tells://watched")
            until(s, updated("tells://watched"))

    def test_what_was_kept_of_it_is_dropped(self):
        with Files() as f:
            f.bad("tells", "p")
            with open(f.path + "/p/tells.yaml") as m:
                text = m.read()
            f.write("p/tells.yaml", text.replace("subscribe: true }", "subscribe: true, cache: { ttl: 1h } }"))

            def read(uri):
                return s.request("resources/read", {"uri": uri})["result"]["contents"][0]["text"]
            with serve(f.path + "/p") as s:
                uris = ("tells://watched", "tells://item/1", "tells://item/2")
                for i, uri in enumerate(uris):
                    self.assertEqual([read(u) for u in uris], ["0"] * 3 if not i else seen)
                    say(s, uri=uri, threads=i % 2)  # from the loop, and not
                    seen = [read(u) for u in uris]
                    self.assertEqual(seen, [str(k + 1) if k <= i else "0" for k in range(3)])

    def both(self, f, bad, **kw):
        """Two plugins have one URI; the earlier serves it."""
        for name in ("a", "b"):
            f.bad("tells", name, bad)
            os.rename(f.path + "/%s/tells.yaml" % name, f.path + "/%s/%s.yaml" % (name, name))
            with open(f.path + "/%s/%s.yaml" % (name, name)) as m:
                text = m.read()
            f.write("%s/%s.yaml" % (name, name), text.replace(
                "name: tells\nversion", "name: %s\nprefix: %s\nlibrary: tells.so\nversion" % (name, name)))
        config = f.write("host.yaml", "manifold: 1\non_collision: first\nsources: [%s]\n" % ", ".join(
            "{ path: %s, trust: true }" % json.dumps(f.path + "/" + n) for n in "ab"))
        return Server("--config", config, plugins=[], **kw)

    def test_nobody_tells_of_what_another_serves(self):
        with Files() as f, self.both(f, BAD) as s:
            s.initialize()
            subscribe(s, "tells://watched")
            s.call("b_tells", {"uri": "tells://watched"})
            s.call("a_tells", {"uri": "tells://item/1"})
            self.assertEqual(s.other, [])
            s.call("a_tells", {"uri": "tells://watched"})
            until(s, updated("tells://watched"))
            self.assertEqual(s.other, [])

    @needs_controls
    def test_without_the_look_at_who_serves(self):
        with Files() as f, self.both(f, controls_dir("bad"), **without("notice_owner")) as s:
            s.initialize()
            subscribe(s, "tells://watched")
            s.call("b_tells", {"uri": "tells://watched"})
            until(s, updated("tells://watched"))


class Listen(Base):
    def test_filter_tags_and_cancel(self):
        with serve(TELLS) as s:
            got = listen(s, "l1", toolsListChanged=True, promptsListChanged=True,
                         resourceSubscriptions=["tells://watched", "tells://quiet", "tells://none"])
            self.assertEqual(got, acknowledged("l1", toolsListChanged=True, promptsListChanged=True,
                                               resourceSubscriptions=["tells://watched"]))
            got = listen(s, 0, resourcesListChanged=True, resourceSubscriptions=["tells://item/1"],
                         taskIds=["t"])
            self.assertEqual(got, acknowledged(0, resourcesListChanged=True,
                                               resourceSubscriptions=["tells://item/1"]))
            say(s, uri="tells://watched")
            until(s, updated("tells://watched", "l1"))
            say(s, uri="tells://item/1")
            until(s, updated("tells://item/1", 0))
            say(s, changed=2, times=50)
            until(s, changed("resources", 0))
            say(s, changed=1, times=50)
            until(s, changed("tools", "l1"))
            s.send(legacy("notifications/cancelled", {"requestId": "l1"}))
            say(s, changed=1)
            say(s, uri="tells://watched")
            say(s, changed=2)
            until(s, changed("resources", 0))
            self.silent(s)
            self.assertEqual(status(s)["plugins"][0]["errors"], 0)

    def test_both_eras_on_one_pipe(self):
        with serve(TELLS) as s:
            s.initialize()
            subscribe(s, "tells://watched")
            listen(s, 7, resourceSubscriptions=["tells://watched"])
            say(s, uri="tells://watched")
            until(s, updated("tells://watched"))
            until(s, updated("tells://watched", 7))
            say(s, changed=3)
            until(s, changed("prompts"))
            self.silent(s)

    def test_a_list_without_capability_is_not_promised(self):
        """prompts are declared where there are some; an unknown member does no harm."""
        with serve(BAD + "/plain") as s:
            got = listen(s, "p", promptsListChanged=True, toolsListChanged=True, x={"y": 1},
                         resourceSubscriptions=["plain://a"])
            self.assertEqual(got, acknowledged("p", toolsListChanged=True))
            s.initialize()
            self.assertEqual(subscribe(s, "plain://a")["error"]["code"], -32601)

    def test_reload_is_heard(self):
        with Files() as f:
            f.bad("tells", "p")
            with serve(f.path + "/p") as s:
                listen(s, "r", toolsListChanged=True, resourceSubscriptions=["tells://watched"])
                say(s, uri="tells://watched")
                until(s, updated("tells://watched", "r"))
                with open(f.path + "/p/tells.yaml") as m:
                    text = m.read()
                f.write("p/tells.yaml", text.replace("Says what", "Says again what"))
                s.signal(signal.SIGHUP)
                until(s, changed("tools", "r"))
                # The next generation's updates reach the subscription that there was.
                say(s, uri="tells://watched")
                until(s, updated("tells://watched", "r"))
                self.silent(s)

    def end(self, s, how, ids):
        how()
        for id in ids:
            m = s.recv()
            self.assertEqual((m["id"], m["result"]["resultType"]), (id, "complete"))
            self.assertEqual(m["result"]["_meta"][SUBSCRIPTION], id)
        self.assertIsNone(s.recv())

    def test_the_end_is_told(self):
        for stop in ("signal", "input"):
            with serve(TELLS) as s:
                listen(s, "a", toolsListChanged=True)
                listen(s, 2)
                listen(s, 3)
                s.send(legacy("notifications/cancelled", {"requestId": 2}))
                self.silent(s)
                self.end(s, s.signal if stop == "signal" else s.close_stdin, ["a", 3])

    def test_too_many(self):
        with serve(TELLS) as s:
            s.initialize()
            for i in range(64):
                listen(s, "l%d" % i, toolsListChanged=True)
            m = s.request("subscriptions/listen", {"notifications": {}}, id="more")
            self.assertEqual(m["error"]["code"], -32602)
            self.assertIn("at most 64 subscriptions/listen", m["error"]["message"])
            s.send(legacy("notifications/cancelled", {"requestId": "l0"}))
            uris = ["tells://item/%d" % i for i in range(1025)]
            m = s.request("subscriptions/listen", {"notifications": {"resourceSubscriptions": uris}},
                          id="more")
            self.assertIn("at most 1024 subscriptions", m["error"]["message"])
            got = listen(s, "more", resourceSubscriptions=uris[:1024])
            self.assertEqual(len(got["params"]["notifications"]["resourceSubscriptions"]), 1024)
            self.assertIn("error", subscribe(s, "tells://watched"))
            # Each is told once; what the plugin was refused is not.
            self.assertEqual(say(s, uri="tells://item/", many=1024, threads=1), "0: 256, -8: 768")
            told = [s.other.pop(0) if s.other else s.recv() for _ in range(256)]
            self.assertEqual(told, [updated(u, "more") for u in uris[:256]])
            self.silent(s)


class Congested(Base):
    CHANGES, LISTS = 300, 600

    def told(self, f, tells, **kw):
        """While the output is full a plugin's thread goes on.  What the client is told once it reads
        again; the host, which still serves."""
        config = f.write("host.yaml", "manifold: 1\nlimits: { output: 16KiB }\nsources: [{ path: "
                         "%s, trust: true }]\n" % json.dumps(tells))
        with Server("--config", config, plugins=[], **kw) as s:
            s.initialize()
            subscribe(s, "tells://watched")
            listen(s, "l", resourceSubscriptions=["tells://watched", "tells://item/1"])
            say(s, uri="tells://watched", times=self.CHANGES, after=500)
            # Their answers are three times what the pipe and the output hold.
            s.send_bytes(b"".join(json.dumps(modern("tools/list", {}, "x%d" % i)).encode() + b"\n"
                                  for i in range(self.LISTS)), read=False)
            s.wait_log("said all")
            told, answers = [], 0
            while answers < self.LISTS or len(told) < 2:
                m = s.recv()
                answers += "result" in m
                if "method" in m:
                    told.append(m)
            r = s.request("resources/read", {"uri": "tells://watched"})
            self.assertEqual(r["result"]["contents"][0]["text"], str(self.CHANGES))
            told += s.other
            return told

    def test_a_client_that_had_stopped_reading_is_told_of_the_last_state(self):
        """Nothing piles up, and each resource is told of once."""
        with Files() as f:
            self.assertEqual(self.told(f, TELLS), [updated("tells://watched"), updated("tells://watched", "l")])

    @needs_controls
    def test_without_the_look_at_the_output(self):
        with Files() as f:
            told = self.told(f, controls_dir("bad/tells"), **without("notice_congestion"))
            self.assertGreater(len(told), 2)


if __name__ == "__main__":
    harness.main()
