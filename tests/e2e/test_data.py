"""The bundled plugin `data` in the real host: batches on the host's threads."""

import os
import unittest

import harness
from harness import Failure, Server, modern


def must(ok, *what):
    if not ok:
        raise Failure(" ".join(str(w)[:2000] for w in what))


def items(count):
    return [{"value": i, "name": "item %d" % i} for i in range(count)]


def process(s, data, **more):
    r = s.call("process_batches", dict(more, data=data))
    must(not r.get("isError"), r)
    return r["structuredContent"]


def threads(s):
    return len(os.listdir("/proc/%d/task" % s.process.pid))


class Data(unittest.TestCase):
    def test_the_answer(self):
        with Server() as s:
            r = process(s, [{"value": 1}, {"value": 2.5}, {}])
            self.assertEqual(r["result"], {"count": 3, "sum": 3.5})
            p = r["performance"]
            self.assertEqual((p["items_processed"], p["batches_used"]), (3, 1))
            must(0 < p["processing_time"] < 60 and p["throughput"] > 0, p)
            self.assertEqual(process(s, [])["result"], {"count": 0, "sum": 0})

    def test_many_items_whatever_the_batches(self):
        """As many as a message of limits.nodes holds, on threads that the host made for it."""
        data = items(16000)
        with Server() as s:
            s.call("echo", {"message": "loaded"})
            before = threads(s)
            for size, batches in ((1, 16000), (100, 160), (7777, 3), (100000, 1)):
                r = process(s, data, batch_size=size)
                self.assertEqual(r["result"], {"count": 16000, "sum": 127992000})
                self.assertEqual(r["performance"]["batches_used"], batches)
            must(threads(s) > before, "no thread was made:", before)
            r = process(s, data, batch_size=10, use_parallel=False)
            self.assertEqual(r["performance"]["batches_used"], 1)

    def test_many_calls_at_once_and_cancelled(self):
        """More than concurrency, every third one cancelled: each of the others is answered."""
        with Server() as s:
            data = items(500)
            for id in range(1, 61):
                s.send(modern("tools/call", {"name": "process_batches",
                                             "arguments": {"data": data, "batch_size": 3}}, id))
                if id % 3 == 0:
                    s.send(modern("notifications/cancelled", {"requestId": id}))
            for id in range(1, 61):
                if id % 3:
                    r = s.answer(id)["result"]
                    self.assertEqual(r["structuredContent"]["result"]["sum"], 124750, r)
            self.assertEqual(process(s, data)["result"]["count"], 500)

    def test_what_is_refused(self):
        with Server() as s:
            for arguments in ({}, {"data": 3}, {"data": [1]}, {"data": [{"value": "1"}]},
                              {"data": [], "batch_size": 0}, {"data": [], "batch_size": 100001},
                              {"data": [], "more": 1}):
                r = s.request("tools/call", {"name": "process_batches", "arguments": arguments})
                must(r["result"].get("isError"), arguments, r)
            r = s.call("process_batches", {"data": [{"value": 1e308}] * 2})
            must(r.get("isError") and "largest double" in r["content"][0]["text"], r)


if __name__ == "__main__":
    harness.main()
