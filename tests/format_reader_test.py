#!/usr/bin/env python3
"""Tests of tests/format_reader.py: `python tests/format_reader_test.py`.

The primitives are tested against published vectors, the parsers of section 6 against pages made by hand, and
the whole against a store that the `strongroom` command makes: what was put comes out again, and a store in which
one byte was changed is refused. The command is $STRONGROOM_BIN, or target/release/strongroom.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import format_reader as reader  # noqa: E402


class Primitives(unittest.TestCase):
    def test_xaes_opens_the_vectors_of_c2sp(self):
        nonce, plain = b"ABCDEFGHIJKLMNOPQRSTUVWX", b"XAES-256-GCM"
        for byte, aad, sealed in (
            (1, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
            (3, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
        ):
            data = bytes.fromhex(sealed)
            xaes = reader.Xaes(bytes([byte]) * 32)
            self.assertEqual(xaes.open(nonce, aad, data[:-16], data[-16:], "vector"), plain)
            with self.assertRaises(reader.FormatError):
                xaes.open(nonce, aad + b"x", data[:-16], data[-16:], "vector")

    def test_hkdf_gives_case_1_of_rfc_5869(self):
        prk = reader.extract(bytes(range(13)), b"\x0b" * 22)
        self.assertEqual(prk.hex(), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
        okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        self.assertEqual(reader.expand(prk, bytes(range(0xF0, 0xFA)), 42).hex(), okm)

    def test_argon2id_gives_the_vectors_of_its_reference_implementation(self):
        try:
            from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: F401
        except ImportError:
            self.skipTest("this `cryptography` has no Argon2id")
        for lanes, expected in (
            (1, "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"),
            (2, "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"),
        ):
            self.assertEqual(reader.argon2id(b"password", b"somesalt", 256, 2, lanes).hex(), expected)


class HandMadeBlocks:
    """A redb database of h = 0, m = 16 whose blocks are given; the others are absent."""

    def __init__(self, blocks, count=40):
        self.blocks, self.count = blocks, count

    def read(self, index):
        return self.blocks[index]


def padded(data):
    return data + bytes(4096 - len(data))


def super_header(god_byte=6, root_page=0, rows=0, present=0):
    """Commit slot 0 holds the root given, slot 1 none."""
    slot = bytes([3, present, 0]) + bytes(5) + root(root_page, rows)
    numbers = b"".join(reader.u32(number) for number in (4096, 0, 16, 2, 7))
    header = b"redb\x1a\x0a\xa9\x0d\x0a" + bytes([god_byte]) + bytes(2) + numbers + bytes(32)
    return padded(header + slot + bytes(128 - len(slot)) + b"\x03" + bytes(127))


def root(page, rows):
    return reader.u64(page) + bytes(16) + reader.u64(rows)


def leaf(*rows):
    at, key_ends, value_ends = 4 + 8 * len(rows), b"", b""
    for key, _ in rows:
        at += len(key)
        key_ends += reader.u32(at)
    for _, value in rows:
        at += len(value)
        value_ends += reader.u32(at)
    keys, values = b"".join(key for key, _ in rows), b"".join(value for _, value in rows)
    return padded(b"\x01\x00" + reader.u16(len(rows)) + key_ends + value_ends + keys + values)


def branch(children, keys):
    at = 32 + 28 * len(keys)
    key_ends = b""
    for key in keys:
        at += len(key)
        key_ends += reader.u32(at)
    numbers = b"".join(reader.u64(child) for child in children)
    head = b"\x02\x00" + reader.u16(len(keys)) + bytes(4) + bytes(16 * len(children))
    return padded(head + numbers + key_ends + b"".join(keys))


def definition(page, rows, kind=3, type_name=b"\x01&[u8]"):
    table = bytes([kind]) + reader.u64(rows) + b"\x01" + root(page, rows) + bytes(10)
    return table + reader.u32(1) + reader.u32(1) + reader.u32(len(type_name)) + type_name + type_name


class RedbPages(unittest.TestCase):
    """Section 6. Page n below is of order 0 in region 0: logical block 1 + n."""

    def database(self, *pages, rows=1, god_byte=6):
        blocks = {0: super_header(god_byte, 0, rows, 1)}
        blocks.update({1 + n: page for n, page in enumerate(pages)})
        return reader.Redb(HandMadeBlocks(blocks))

    def refuses(self, *pages, **options):
        with self.assertRaises(reader.FormatError):
            dict(self.database(*pages, **options).table_rows("t"))

    def test_page_numbers(self):
        redb = reader.Redb(HandMadeBlocks({0: super_header()}))
        for number, first, size in (
            (0, 1, 1),
            (15, 16, 1),
            (2 << 20 | 6, 1 + 32 + 6, 1),
            (2 << 59 | 1 << 20 | 3, 1 + 16 + 12, 4),
            (1 << 59 | 1 << 19 | 1, 3, 2),  # the bit above the low 19 does not count
            (1 << 45 | 4, 5, 1),  # unused bits
        ):
            self.assertEqual(redb.page_blocks(number), range(first, first + size))
        for number in (16, 2 << 20 | 7, 3 << 59 | 2, 21 << 59, 1 << 21 | 1 << 20):
            with self.assertRaises(reader.FormatError):
                redb.page_blocks(number)

    def test_rows_of_a_tree_come_in_order(self):
        tables = leaf((b"t", definition(1, 4)))
        pages = [tables, branch([2, 3], [b"b"]), leaf((b"", b"1"), (b"b", b"")), leaf((b"b\x00", b"22"), (b"c", b"3"))]
        rows = [(b"", b"1"), (b"b", b""), (b"b\x00", b"22"), (b"c", b"3")]
        self.assertEqual(list(self.database(*pages).table_rows("t")), rows)

    def test_damaged_trees_are_refused(self):
        good = leaf((b"a", b"1"), (b"b", b"2"))
        self.assertEqual(len(dict(self.database(leaf((b"t", definition(1, 2))), good).table_rows("t"))), 2)
        self.refuses(leaf((b"t", definition(1, 3))), good)
        self.refuses(leaf((b"t", definition(1, 2))), good, rows=2)
        self.refuses(leaf((b"t", definition(1, 2, kind=4))), good)
        self.refuses(leaf((b"t", definition(1, 2, type_name=b"\x01&str"))), good)
        self.refuses(leaf((b"t", definition(1, 2))), leaf((b"b", b"1"), (b"a", b"2")))
        self.refuses(leaf((b"t", definition(1, 0))), leaf())
        self.refuses(leaf((b"t", definition(1, 2))), good[:4] + reader.u32(5000) + good[8:])
        self.refuses(leaf((b"t", definition(1, 2))), b"\x03" + good[1:])
        self.refuses(leaf((b"t", definition(1, 4))), branch([2, 2], [b"b"]), good)
        self.refuses(leaf((b"t", definition(1, 4))), branch([1, 2], [b"b"]), good)
        self.refuses(leaf((b"t", definition(40, 2))), good)

    def test_commit_slot_is_the_primary_one_and_two_phase(self):
        pages = leaf((b"t", definition(1, 1))), leaf((b"a", b"1"))
        for god_byte in (4, 6):
            self.assertEqual(set(self.database(*pages, god_byte=god_byte).tables), {"t"})
        for god_byte in (5, 7):
            self.assertEqual(self.database(*pages, god_byte=god_byte).tables, {})
        for god_byte in (0, 2, 12, 20, 0x84):
            self.refuses(*pages, god_byte=god_byte)

    def test_clean_file_holds_all_regions_described(self):
        for count, god_byte, refused in ((40, 4, False), (39, 4, True), (39, 6, False)):
            with contextlib.ExitStack() as stack:
                if refused:
                    stack.enter_context(self.assertRaises(reader.FormatError))
                reader.Redb(HandMadeBlocks({0: super_header(god_byte)}, count))


class Anchors(unittest.TestCase):
    """4.5: which of the two copies counts, and where a sequence may lie."""

    STRUCTURE = bytes(range(32))
    IDS = b"s" * 16, b"t" * 16

    def copy(self, sequence):
        """Block 2 or 3 of a keyring, sealed as 4.5 says."""
        plain = reader.u64(sequence) + b"f" * 16 + bytes(32) + reader.u32(1) + bytes(8) + reader.u32(1) + bytes(48)
        xaes = reader.Xaes(reader.expand(self.STRUCTURE, b"strongroom/1 anchor"))
        nonce = bytes([sequence % 256]) * 24
        cipher = reader.AESGCM(xaes.derived_key(nonce))
        sealed = cipher.encrypt(nonce[12:], plain, b"".join((b"strongroom/1 anchor", *self.IDS)))
        return padded(nonce + sealed)

    def choose(self, *copies):
        """The sequence that counts, and the number of damaged copies."""
        keyring = object.__new__(reader.Keyring)
        keyring.path, keyring.structure, keyring.damaged_copies = "keyring", self.STRUCTURE, []
        keyring.header = argparse.Namespace(store_id=self.IDS[0], tenant_id=self.IDS[1])
        keyring.data = bytes(2 * 4096) + b"".join(copies)
        return keyring._choose_anchor().sequence, len(keyring.damaged_copies)

    def test_a_new_keyring_has_sequence_1_in_both_copies(self):
        self.assertEqual(self.choose(self.copy(1), self.copy(1)), (1, 0))

    def test_the_greater_sequence_counts_in_either_copy(self):
        self.assertEqual(self.choose(self.copy(2), self.copy(1)), (2, 0))
        self.assertEqual(self.choose(self.copy(2), self.copy(3)), (3, 0))
        self.assertEqual(self.choose(self.copy(4), self.copy(3)), (4, 0))

    def test_a_later_sequence_out_of_its_place_is_damage(self):
        self.assertEqual(self.choose(self.copy(3), self.copy(1)), (1, 1))
        self.assertEqual(self.choose(self.copy(2), self.copy(4)), (2, 1))

    def test_a_copy_that_is_torn_or_not_there_is_damage(self):
        torn = self.copy(2)[:100] + bytes(4096 - 100)
        self.assertEqual(self.choose(torn, self.copy(1)), (1, 1))
        self.assertEqual(self.choose(bytes(4096), self.copy(1)), (1, 1))
        with self.assertRaises(reader.FormatError):
            self.choose(torn, bytes(4096))


def strongroom_binary():
    path = os.environ.get("STRONGROOM_BIN") or os.path.join(HERE, "..", "target", "release", "strongroom")
    return os.path.abspath(path)


class Golden(unittest.TestCase):
    """The checked-in stores of format 1, whose keys are test vectors."""

    def run_reader(self, store, *arguments):
        root = os.path.join(HERE, "golden", "v1", store)
        with tempfile.TemporaryDirectory() as directory:
            key = os.path.join(directory, "key")
            if store == "passphrase":
                with open(key, "wb") as file:
                    file.write(b"a passphrase for tests only\n")
                options = ["--passphrase-file", key]
            else:
                shutil.copyfile(os.path.join(root, "root-key.test-vector"), key)
                options = ["--root-key", key]
            os.chmod(key, 0o600)
            command = [sys.executable, os.path.join(HERE, "format_reader.py"), "--store", os.path.join(root, "store")]
            done = subprocess.run([*command, *options, *arguments], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    def test_golden_stores_check_and_dump(self):
        for store in ("key-file", "passphrase"):
            with self.subTest(store=store):
                self.assertIn("records: 120", self.run_reader(store, "check"))
                records = [json.loads(line) for line in self.run_reader(store, "dump", "acme").splitlines()]
                self.assertEqual(len(records), 80)
                for record in records:
                    index = record["written"] - 1_700_000_000_000
                    length = index * index * 13
                    expected = (f"acme {index} ".encode() * (length // 7 + 1))[:length]
                    self.assertEqual(base64.b64decode(record["value_base64"]), expected)


class EndToEnd(unittest.TestCase):
    """A store made by the command, read by the document."""

    @classmethod
    def setUpClass(cls):
        cls.binary = strongroom_binary()
        if not os.access(cls.binary, os.X_OK):
            raise AssertionError(
                f"there is no {cls.binary}: build it with `cargo build --release -p strongroom-cli`, "
                "or set STRONGROOM_BIN to the path of the `strongroom` command"
            )
        cls.directory = tempfile.mkdtemp(prefix="strongroom-format-")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.expected = {"acme": {}, "globex": {}, "empty": {}}
        cls.make_store()

    @classmethod
    def path(cls, *names):
        return os.path.join(cls.directory, *names)

    @classmethod
    def strongroom(cls, *arguments):
        places = ["--store", cls.path("S"), "--keys", cls.path("K"), "--root-key", cls.path("R")]
        done = subprocess.run([cls.binary, *places, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise AssertionError(f"strongroom {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")

    @classmethod
    def put(cls, tenant, collection, key, value):
        cls.strongroom("put", tenant, collection, key, "--value", value)
        cls.expected[tenant][collection, key] = value.encode()

    @classmethod
    def import_files(cls, tenant, collection, files):
        directory = tempfile.mkdtemp(dir=cls.directory)
        for name, value in files.items():
            with open(os.path.join(directory, name), "wb") as file:
                file.write(value)
            cls.expected[tenant][collection, name] = value
        cls.strongroom("import", tenant, collection, directory)

    @classmethod
    def make_store(cls):
        randomness = random.Random(20250101)
        cls.strongroom("init", "--region", "eu=" + cls.path("eu"))
        cls.strongroom("tenant", "create", "acme")
        cls.strongroom("tenant", "create", "--region", "eu", "globex")
        cls.strongroom("tenant", "create", "empty")
        cls.put("acme", "notes", "plain", "text")
        cls.put("acme", "notes", "nothing", "")
        cls.put("acme", "notes", "plain", "written over")
        cls.put("acme", "Übergröße", "clé — 鍵", "Wert · 値 · \U0001f511")
        cls.put("globex", "notes", "plain", "another tenant's")
        large = {
            "zero.bin": b"",
            "bytes.bin": bytes(range(256)),
            "100KiB.bin": randomness.getrandbits(8 * 102400).to_bytes(102400, "little"),
            "1MiB.bin": randomness.getrandbits(8 * 1048576).to_bytes(1048576, "little"),
        }
        cls.import_files("acme", "files", large)
        small = {f"row-{n:04d}": bytes([n % 256]) * (n % 97) for n in range(1500)}
        cls.import_files("globex", "rows", small)

    def read(self, *arguments):
        """The exit status and both outputs of the reader."""
        places = ["--store", self.path("S"), "--keys", self.path("K"), "--root-key", self.path("R")]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = reader.main([*places, *arguments])
        return status, out.getvalue(), err.getvalue()

    def test_dump_gives_what_was_put(self):
        for tenant, expected in self.expected.items():
            status, out, err = self.read("dump", tenant)
            self.assertEqual((status, err), (0, ""))
            rows = [json.loads(line) for line in out.splitlines()]
            values = {(row["collection"], row["key"]): base64.b64decode(row["value_base64"]) for row in rows}
            self.assertEqual(values, expected)
            self.assertEqual(len(rows), len(expected))
            for row in rows:
                self.assertIsNone(row["expires"])
                self.assertGreater(row["written"], 1600000000000)
                self.assertGreaterEqual(row["timeline"], 1)
                self.assertGreaterEqual(row["sequence"], 1)

    def test_dump_writes_a_file(self):
        status, out, _ = self.read("dump", "acme", "--out", self.path("dump.jsonl"))
        self.assertEqual((status, out), (0, ""))
        with open(self.path("dump.jsonl"), encoding="utf-8") as file:
            self.assertEqual(file.read(), self.read("dump", "acme")[1])

    def test_list_gives_the_tenants(self):
        status, out, err = self.read("list")
        self.assertEqual((status, err), (0, ""))
        rows = {row["name"]: row for row in map(json.loads, out.splitlines())}
        self.assertEqual(set(rows), set(self.expected))
        self.assertEqual({name: row["region"] for name, row in rows.items() if name == "globex"}, {"globex": "eu"})
        for name, row in rows.items():
            self.assertEqual(row["state"], "active")
            self.assertEqual(row["collections"], sorted({collection for collection, _ in self.expected[name]}))
        self.assertEqual(len({row["id"] for row in rows.values()}), 3)

    def test_check_passes_and_counts(self):
        status, out, err = self.read("check")
        self.assertEqual((status, err), (0, ""))
        counts = dict(line.split(": ") for line in out.splitlines() if not line.startswith("note"))
        self.assertEqual(int(counts["records"]), sum(map(len, self.expected.values())))
        self.assertEqual((counts["tenants"], counts["regions"], counts["markers"]), ("4", "2", "4"))

    def test_wrong_root_key_is_refused(self):
        with open(self.path("wrong"), "w", encoding="ascii") as file:
            file.write("strongroom-root-key-1\n" + "5a" * 32 + "\n")
        places = ["--store", self.path("S"), "--keys", self.path("K"), "--root-key", self.path("wrong")]
        with contextlib.redirect_stderr(io.StringIO()) as err:
            self.assertEqual(reader.main([*places, "list"]), 1)
        self.assertIn("does not authenticate", err.getvalue())

    def test_unknown_tenant_is_refused(self):
        self.assertEqual(self.read("dump", "nobody")[0], 1)

    def format_files(self):
        """Every file of the format, with the offsets of bytes to change."""
        for top in ("S", "K", "eu", "eu.keys"):
            for directory, _, names in os.walk(self.path(top)):
                for name in names:
                    path = os.path.join(directory, name)
                    if name.endswith(".redb"):
                        yield path, self.sealed_offsets(path)
                    elif name.endswith((".keyring", ".slots")):
                        yield path, range(os.path.getsize(path))
                    elif name == "strongroom.marker":
                        yield path, range(512)

    def sealed_offsets(self, path):
        """Bytes of blocks that were written, and of the tags of blocks that exist (5.2)."""
        with open(path, "rb") as file:
            data = file.read()
        offsets = list(range(0, 3 * 4096))
        for tags in range(3, len(data) // 4096, 65):
            for index in range(min(64, len(data) // 4096 - tags - 1)):
                entry = tags * 4096 + 64 * index
                offsets += range(entry, entry + 64)
                if any(data[entry : entry + 64]):
                    offsets += range((tags + 1 + index) * 4096, (tags + 2 + index) * 4096)
        return offsets

    def test_check_refuses_a_store_with_one_byte_changed(self):
        randomness = random.Random(7)
        files = sorted(self.format_files())
        kinds = {os.path.splitext(path)[1] for path, _ in files}
        self.assertLessEqual({".marker", ".keyring", ".redb"}, kinds)
        for path, offsets in files:
            blocks = [offset for offset in offsets if offset < 7 * 4096]
            for offset in randomness.sample(blocks, 6) + randomness.sample(list(offsets), 4):
                with open(path, "r+b") as file:
                    file.seek(offset)
                    byte = file.read(1)[0]
                    changed = byte ^ (1 << randomness.randrange(8))
                    file.seek(offset)
                    file.write(bytes([changed]))
                    file.flush()
                    status, out, err = self.read("check")
                    file.seek(offset)
                    file.write(bytes([byte]))
                place = f"byte {offset} of {path}"
                if status == 0 and path.endswith(".keyring") and offset // 4096 in (2, 3):
                    # The newer anchor: the older one says "open for writing", so that this may be a torn write.
                    self.assertIn(f"{path}: anchor copy {offset // 4096 - 2}", out, place)
                else:
                    self.assertEqual(status, 1, place)
                    self.assertIn("FAILED", err)
        self.assertEqual(self.read("check")[0], 0)

    def test_check_refuses_a_file_cut_short(self):
        """Of a sealed file a block at its end may be one that no table uses: then nothing is lost."""
        records = [self.read("dump", tenant) for tenant in self.expected]
        for path, _ in sorted(self.format_files()):
            with open(path, "rb") as file:
                whole = file.read()
            for cut in (1, 4096, len(whole) - min(5 * 4096, len(whole) // 2)):
                os.truncate(path, max(len(whole) - cut, 0))
                status, _, err = self.read("check")
                if status == 0:
                    self.assertTrue(path.endswith(".redb") and cut == 4096, f"{path} cut by {cut}")
                    self.assertEqual([self.read("dump", tenant) for tenant in self.expected], records)
                else:
                    self.assertIn("FAILED", err)
                with open(path, "wb") as file:
                    file.write(whole)


if __name__ == "__main__":
    unittest.main()
