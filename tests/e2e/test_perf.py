"""The bundled plugin `perf` in the real host: a time for each kind of figures, and a computation whose
reply says whether it was kept."""

import json
import unittest

import harness
from harness import Server


def read(s, uri):
    """(the document, what _meta says of the cache, the whole result)."""
    r = s.request("resources/read", {"uri": uri})["result"]
    return json.loads(r["contents"][0]["text"]), r["_meta"]["manifold/cached"], r


class Perf(unittest.TestCase):
    def test_each_kind_has_its_time(self):
        with Server() as s:
            for kind, member, ttl in (("system", "system", 60000), ("analytics", "metrics", 300000),
                                      ("process", "process", 300000)):
                uri = "perf://data/" + kind
                first, kept, r = read(s, uri)
                self.assertEqual((first["type"], r["ttlMs"], r["cacheScope"]), (kind, ttl, "public"))
                self.assertEqual(kept, {"hit": False})
                self.assertTrue(first[member])
                again, kept, r = read(s, uri)
                self.assertEqual(again, first)
                self.assertTrue(kept["hit"])
                self.assertEqual(kept["ageMs"] + kept["ttlMs"], ttl)
            # Whoever asks in another spelling asks for another thing.
            error = s.request("resources/read", {"uri": "perf://data/none"})["error"]
            self.assertEqual(error["code"], -32602)

    def test_a_computation_is_made_once(self):
        with Server() as s:
            first, kept, _ = read(s, "compute://cached/a%20b")
            self.assertEqual((first["input"], kept), ("a b", {"hit": False}))
            self.assertRegex(first["result"], r"^computed_\d{1,4}$")
            again, kept, _ = read(s, "compute://cached/a%20b")
            self.assertEqual(again, first)  # the time it took is that of the computation
            self.assertTrue(kept["hit"])
            other, kept, _ = read(s, "compute://cached/c")
            self.assertFalse(kept["hit"])
            self.assertEqual(other["input"], "c")

    def test_completion(self):
        with Server() as s:
            r = s.request("completion/complete", {
                "ref": {"type": "ref/resource", "uri": "perf://data/{data_type}"},
                "argument": {"name": "data_type", "value": "s"}})["result"]
            self.assertEqual(r["completion"]["values"], ["system"])


if __name__ == "__main__":
    harness.main()
