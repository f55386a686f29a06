#!/usr/bin/env python3
"""Tests of tests/format_reader.py: `python tests/format_reader_test.py`.

The primitives are tested against published vectors, the parsers of section 6 against pages made by hand, section 9
against lanes made by hand, and the whole against golden stores and a store that the `strongroom` command makes: what was put comes out again, and a store in which
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
import zlib

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

    def copy(self, sequence, timeline=0, checkpoint=0, flags=2):
        """Block 2 or 3 of a keyring, sealed as 4.5 says."""
        plain = reader.u64(sequence) + b"f" * 16 + bytes(32) + reader.u32(1) + bytes(8) + reader.u32(timeline)
        plain += reader.u64(checkpoint) + reader.u32(flags) + bytes(36)
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

    def test_without_a_file_there_is_no_checkpoint(self):
        self.assertEqual(self.choose(self.copy(2, 1, 7, 0), self.copy(1)), (2, 0))
        for wrong in (self.copy(2, 1, 7, 2), self.copy(2, 0, 7, 2), self.copy(2, 0, 0, 0), self.copy(2, 1, 7, 4)):
            with self.assertRaises(reader.FormatError):
                self.choose(wrong, self.copy(1))

    def test_a_copy_that_is_torn_or_not_there_is_damage(self):
        torn = self.copy(2)[:100] + bytes(4096 - 100)
        self.assertEqual(self.choose(torn, self.copy(1)), (1, 1))
        self.assertEqual(self.choose(bytes(4096), self.copy(1)), (1, 1))
        with self.assertRaises(reader.FormatError):
            self.choose(torn, bytes(4096))


class LaneWriter:
    """Writes a lane as section 9 says, into a directory: log segments one after the other, cold ones by `cold`."""

    STRUCTURE, STORE = bytes(range(32)), b"s" * 16

    def __init__(self, directory):
        self.region = reader.Region("default", os.path.join(directory, "S"), os.path.join(directory, "K"))
        os.makedirs(self.region.lane_directory(self.STORE))
        os.makedirs(self.region.keys)
        self.keys = reader.LaneKeys(self.STRUCTURE, self.STORE, self.STORE, "default")
        self.files, self.chains, self.starts = {}, {}, {}
        self.newest, self.cold_numbers, self.first = 0, [], 1
        self.end = reader.End(0, 0, 0, bytes(32))
        self.segment()

    @staticmethod
    def key(tenant):
        return tenant * 2

    def keyring(self, tenant):
        """What opening a frame takes."""
        header = argparse.Namespace(store_id=self.STORE, tenant_id=tenant)
        return argparse.Namespace(header=header, key=lambda kind, slot: self.key(tenant))

    def header(self, number, kind, before):
        copy = b"SRJOURNL" + reader.u16(1) + bytes([kind]) + bytes(13) + self.STORE + self.STORE + reader.u64(number)
        copy += b"".join(map(reader.u64, (before.segment, before.offset, before.sequence, 7))) + before.mac + bytes(352)
        copy += reader.mac(self.keys.segment, copy)
        return bytearray((copy + bytes(2048 - 512)) * 2)

    def segment(self):
        """Begins the next segment of the log."""
        self.newest += 1
        self.files[self.newest] = self.header(self.newest, 1, self.end)
        self.end = self.end._replace(segment=self.newest, offset=4096)

    def frame(self, tenant, *changes, timeline=1):
        """Changes are lists of operations `(kind, table, key, value)`."""
        text = b"".join(reader.u32(len(change)) + change for change in map(encode_change, changes))
        last, tag = self.chains.get(tenant, (0, bytes(16)))
        clear = reader.u32(len(text)) + reader.u32(1) + tenant + reader.u32(timeline) + reader.u32(len(changes))
        clear += reader.u64(last + 1) + tag
        frame = seal_frame(self.key(tenant), self.STORE, clear, text)
        self.chains[tenant] = last + len(changes), frame[-16:]
        return frame

    def batch(self, *frames, index=None, synced=None, own=0):
        """Gives where it begins."""
        number, offset = self.end.segment, self.end.offset
        sequence = self.end.sequence + 1
        synced = sequence - 1 if synced is None else synced
        data = seal_batch(self.keys, number, sequence, synced, frames, index, own)
        self.files[number] += data
        length = reader.little(data[8:12])
        self.end = reader.End(number, offset + len(data), sequence, data[length - 32 : length])
        self.starts[sequence] = number, offset
        return offset

    def index(self):
        return self.batch(index=b"".join(t + reader.u64(n) + tag for t, (n, tag) in sorted(self.chains.items())))

    def repeat(self, offset):
        """The last batch once more, which begins at `offset`."""
        self.files[self.end.segment] += self.files[self.end.segment][offset:]
        self.end = self.end._replace(offset=len(self.files[self.end.segment]))

    def put(self, tenant, key, value=b"v", timeline=1):
        return self.batch(self.frame(tenant, [(1, 1, b"c" * 8 + key, value)], timeline=timeline))

    def cold(self, *batches):
        """Writes and lists a cold segment; each batch is a list of frames."""
        self.newest += 1
        self.files[self.newest] = self.header(self.newest, 2, reader.End(0, 0, 0, bytes(32)))
        for sequence, frames in enumerate(batches, 1):
            self.files[self.newest] += seal_batch(self.keys, self.newest, sequence, len(batches), frames)
        self.cold_numbers.append(self.newest)

    def state_copy(self, sequence, closed, end, **changes):
        fields = {"first": self.first, "last": 0, "cold": self.cold_numbers, "timeline": 1, **changes}
        copy = b"SRLANEST" + reader.u16(1) + bytes(14) + self.STORE + self.STORE + reader.u64(sequence)
        copy += bytes([2 if closed else 1]) + bytes(3) + reader.u32(fields["timeline"]) + reader.u64(fields["first"])
        copy += b"".join(map(reader.u64, (end.segment, end.offset, end.sequence))) + end.mac
        copy += reader.u32(len(fields["cold"])) + bytes(4) + b"".join(map(reader.u64, fields["cold"]))
        copy += bytes(208 - len(copy)) + reader.u64(fields["last"])
        copy += bytes(4064 - len(copy))
        return copy + reader.mac(self.keys.state, copy)

    def save(self, closed=True, end=None, **changes):
        """Writes the files; the state's end is where the log ends, or where it was closed before."""
        end = end if end is not None else self.end if closed else reader.End(0, 0, 0, bytes(32))
        state = b"".join(self.state_copy(sequence, closed, end, **changes) for sequence in (8, 7))
        self.write(self.region.lane_state_path(self.STORE), state)
        for number, data in self.files.items():
            self.write(self.path(number), data)

    def path(self, number):
        return os.path.join(self.region.lane_directory(self.STORE), f"{number:016x}.journal")

    @staticmethod
    def write(path, data):
        with open(path, "wb") as file:
            file.write(data)

    def read(self):
        return reader.Lane(self.region, self.keys)

    def rows(self, lane, tenant, file_end=(0, bytes(16))):
        """The rows that a tenant without a file has of its lane, each with its version; refuses what the reader does."""
        rows, (last, tag) = {}, file_end
        for version, _, operations in lane.changes(self.keyring(tenant), (1 if last else 0, last), tag):
            rows.update({key[8:]: (*version, value) for _, key, value, _, _ in operations})
        return rows


def encode_change(operations):
    return b"".join(
        bytes([kind]) + reader.u16(1 + len(key)) + reader.u32(len(value)) + bytes([table]) + key + value
        for kind, table, key, value in operations
    )


def seal_frame(key, store_id, clear, text):
    xaes = reader.Xaes(reader.expand(key, b"strongroom/1 frame"))
    nonce = os.urandom(24)
    cipher = reader.AESGCM(xaes.derived_key(nonce))
    return clear + nonce + cipher.encrypt(nonce[12:], text, b"strongroom/1 frame" + store_id + clear)


def seal_batch(keys, segment, sequence, synced, frames, index=None, own=0):
    content = b"".join(frames) if index is None else index
    count = len(frames) if index is None else len(index) // 40
    covered = b"".join(frame[:80] + frame[-16:] for frame in frames) if index is None else index
    signed = reader.u32(72 + len(content)) + bytes([1 if index is None else 2]) + bytes(3)
    signed += reader.u64(sequence) + reader.u64(synced) + reader.u32(count) + reader.u32(own)
    body = signed + content + reader.mac(keys.batch, reader.u64(segment) + signed + covered)
    data = b"SRB1" + reader.u32(zlib.crc32(body)) + body
    return data + bytes(-len(data) % 64)


ACME, GLOBEX, INITECH = b"a" * 16, b"g" * 16, b"i" * 16


class Lanes(unittest.TestCase):
    """Section 9, on lanes made by hand."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="strongroom-lane-")
        self.addCleanup(directory.cleanup)
        self.lane = LaneWriter(directory.name)

    def assert_whole(self, lane):
        self.assertEqual((lane.damage, lane.damaged_texts, lane.damaged_copies), ([], [], []))

    def is_refused(self, lane, tenant):
        try:
            self.lane.rows(lane, tenant)
        except reader.FormatError:
            return True
        return False

    def test_changes_come_in_order_over_all_segments(self):
        lane = self.lane
        first = lane.frame(ACME, [(1, 1, b"c" * 8 + b"k", b"1"), (1, 1, b"c" * 8 + b"l", b"")], [])
        lane.cold([first, lane.frame(GLOBEX, [(1, 2, b"c" * 8 + b"row", b"value")])])
        lane.batch(
            lane.frame(GLOBEX, [(2, 2, b"c" * 8 + b"row", b"")]),
            lane.frame(ACME, [(1, 1, b"c" * 8 + b"k", b"2")], [(1, 1, b"c" * 8 + b"k", b"3")], timeline=4),
        )
        lane.segment()
        lane.index()
        lane.batch()
        lane.put(ACME, b"m", timeline=4)
        lane.save()
        read = lane.read()
        self.assert_whole(read)
        self.assertEqual(read.notes, [])
        self.assertEqual(lane.rows(read, GLOBEX), {b"row": (1, 2, None)})
        self.assertEqual(lane.rows(read, ACME), {b"k": (4, 4, b"3"), b"l": (1, 1, b""), b"m": (4, 5, b"v")})
        self.assertEqual(lane.rows(read, INITECH), {})
        # Of a tenant with a file only what the file does not have.
        self.assertEqual(set(lane.rows(read, ACME, (2, first[-16:]))), {b"k", b"m"})
        with self.assertRaises(reader.FormatError):
            lane.rows(read, ACME, (2, bytes(16)))
        with self.assertRaises(reader.FormatError):
            lane.rows(read, ACME, (1, first[-16:]))

    def test_a_frame_that_was_moved_counts_once(self):
        lane = self.lane
        frame = lane.frame(ACME, [(1, 1, b"c" * 8 + b"k", b"1")])
        lane.batch(frame)
        lane.cold([frame])
        lane.segment()
        lane.put(ACME, b"l")
        # Before it is listed the move may be interrupted, and before the old segment is gone.
        for changes, counts in (({"cold": []}, (2, 0)), ({}, (2, 1)), ({"first": 3}, (1, 1))):
            lane.save(**changes)
            read = lane.read()
            self.assert_whole(read)
            self.assertEqual((read.counts["segments"], read.counts["cold segments"]), counts)
            self.assertEqual(set(lane.rows(read, ACME)), {b"k", b"l"})
        lane.save(first=3, cold=[])
        self.assertTrue(self.is_refused(lane.read(), ACME))

    def test_a_torn_end_is_none_and_whatever_stands_behind_it_is_ignored(self):
        lane = self.lane
        lane.put(ACME, b"k")
        begin = lane.put(ACME, b"l")
        whole = bytes(lane.files[1])
        for at in range(begin, len(whole)):
            lane.files[1] = bytearray(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            lane.save(closed=False)
            read = lane.read()
            self.assert_whole(read)
            self.assertEqual((set(lane.rows(read, ACME)), len(read.notes)), ({b"k"}, 1), at)
        for length in range(begin, len(whole)):
            lane.files[1] = bytearray(whole[:length])
            lane.save(closed=False)
            read = lane.read()
            self.assert_whole(read)
            # Only zeros may be missing of the padding.
            self.assertEqual(set(lane.rows(read, ACME)), {b"k"}, length)
        lane.files[1] = bytearray(whole + b"SRB1" + bytes(range(256)))
        lane.save(closed=False)
        self.assertEqual(set(lane.rows(lane.read(), ACME)), {b"k", b"l"})
        lane.save()
        self.assertEqual((set(lane.rows(lane.read(), ACME)), lane.read().notes), ({b"k", b"l"}, []))

    def test_a_log_without_the_last_segment_that_was_made_is_rolled_back(self):
        lane = self.lane
        lane.put(ACME, b"k")
        lane.save(closed=False, last=1)
        self.assert_whole(lane.read())
        lane.save(closed=False, last=2)
        with self.assertRaisesRegex(reader.FormatError, "rolled back"):
            lane.read()
        os.remove(lane.path(1))
        lane.files.clear()
        for last, first in ((1, 1), (2, 1), (2, 2)):
            lane.save(closed=False, last=last, first=first)
            with self.assertRaisesRegex(reader.FormatError, "rolled back"):
                lane.read()
        lane.save(closed=False, last=2, first=3)
        lane.read()

    def test_an_end_before_the_one_that_the_state_names_is_rolled_back(self):
        for closed in (True, False):
            lane = self.lane
            begin = lane.put(ACME, b"k")
            lane.put(ACME, b"l")
            lane.save(closed, end=lane.end)
            self.assert_whole(lane.read())
            for length in (4096, begin, lane.end.offset - 64):
                os.truncate(lane.path(1), length)
                with self.assertRaisesRegex(reader.FormatError, "rolled back"):
                    lane.read()
            os.remove(lane.path(1))
            with self.assertRaisesRegex(reader.FormatError, "rolled back"):
                lane.read()

    def test_a_lane_that_was_written_after_its_close_is_read_to_its_end(self):
        lane = self.lane
        lane.put(ACME, b"k")
        end = lane.end
        lane.put(ACME, b"l")
        for closed in (True, False):
            lane.save(closed, end=end)
            read = lane.read()
            self.assert_whole(read)
            self.assertEqual((set(lane.rows(read, ACME)), len(read.notes)), ({b"k", b"l"}, int(closed)))

    def test_a_batch_that_was_there_is_missed_and_only_its_tenant_refused(self):
        lane = self.lane
        lane.put(ACME, b"k")
        begin = lane.put(GLOBEX, b"k")
        lane.put(INITECH, b"k")
        lane.put(ACME, b"l")
        for with_index in (False, True):
            if with_index:
                lane.index()
            lane.batch()
            lane.save(closed=False)
            self.assert_whole(lane.read())
            with open(lane.path(1), "r+b") as file:
                file.seek(begin + 16)
                file.write(b"\xff")
            read = lane.read()
            self.assertEqual([position for position, _ in read.damage], [(True, 1, begin)])
            self.assertEqual(set(lane.rows(read, ACME)), {b"k", b"l"})
            self.assertEqual(set(lane.rows(read, INITECH)), {b"k"})
            # Without an index nothing says that it had no other frame there.
            self.assertTrue(self.is_refused(read, GLOBEX))
            self.assertEqual(self.is_refused(read, b"x" * 16), not with_index)

    def test_a_batch_at_the_end_of_an_earlier_segment_is_missed(self):
        lane = self.lane
        begin = lane.put(ACME, b"k")
        lane.segment()
        lane.put(GLOBEX, b"k")
        lane.files[1] = lane.files[1][:begin]
        lane.save()
        read = lane.read()
        self.assertEqual([position for position, _ in read.damage], [(True, 1, begin)])
        self.assertEqual((self.is_refused(read, ACME), self.is_refused(read, GLOBEX)), (True, False))

    def test_behind_the_end_that_a_successor_names_nothing_counts(self):
        """After a crash: a batch that was never acknowledged, with the lane sequence of one that was."""
        lane = self.lane
        lane.put(ACME, b"k")
        end, chain = lane.end, lane.chains[ACME]
        lane.put(ACME, b"lost")
        lane.end, lane.chains[ACME] = end, chain
        lane.segment()
        lane.put(ACME, b"l")
        lane.save()
        read = lane.read()
        self.assert_whole(read)
        self.assertEqual(set(lane.rows(read, ACME)), {b"k", b"l"})

    def test_a_chain_of_frames_is_one_of_tags_and_timelines(self):
        lane = self.lane
        lane.batch(lane.frame(ACME, [], timeline=2))
        sequence, tag = lane.chains[ACME]
        for chain, timeline, refused in (
            ((sequence, tag), 2, False),
            ((sequence, tag), 3, False),
            ((sequence, tag), 1, True),
            ((sequence, bytes(16)), 2, True),
            ((sequence + 1, tag), 2, True),
        ):
            end, data = lane.end, lane.files[1]
            lane.chains[ACME], lane.files[1] = chain, bytearray(data)
            lane.batch(lane.frame(ACME, [(1, 1, b"c" * 8 + b"k", b"v")], timeline=timeline))
            lane.save()
            self.assertEqual(self.is_refused(lane.read(), ACME), refused)
            lane.end, lane.files[1] = end, data

    def test_a_frame_that_was_dropped_is_missed(self):
        """Even by somebody who can make the MAC of a batch."""
        lane = self.lane
        kept = lane.frame(GLOBEX, [(1, 1, b"c" * 8 + b"k", b"v")])
        lane.put(ACME, b"k")
        lane.frame(ACME, [(1, 1, b"c" * 8 + b"l", b"v")])
        lane.batch(kept)
        lane.save()
        self.assertFalse(self.is_refused(lane.read(), ACME), "nothing tells of it yet")
        lane.index()
        lane.save()
        self.assertTrue(self.is_refused(lane.read(), ACME))
        self.assertFalse(self.is_refused(lane.read(), GLOBEX))
        lane.put(ACME, b"m")
        lane.save()
        self.assertTrue(self.is_refused(lane.read(), ACME))

    def test_a_damaged_text_is_its_tenants_alone(self):
        lane = self.lane
        begin = lane.batch(
            lane.frame(ACME, [(1, 1, b"c" * 8 + b"k", b"v")]), lane.frame(GLOBEX, [(1, 1, b"c" * 8 + b"k", b"v")])
        )
        lane.batch()
        lane.files[1][begin + 40 + 80] ^= 1
        lane.save()
        read = lane.read()
        self.assertEqual((len(read.damaged_texts), read.damage), (1, []))
        self.assertTrue(self.is_refused(read, ACME))
        self.assertFalse(self.is_refused(read, GLOBEX))

    def test_a_missing_segment_is_missed(self):
        lane = self.lane
        lane.put(ACME, b"k")
        for key in (b"l", b"m"):
            lane.segment()
            lane.put(ACME, key)
        lane.cold([lane.frame(GLOBEX, [(1, 1, b"c" * 8 + b"k", b"v")])])
        lane.save()
        self.assert_whole(lane.read())
        for number in (1, 2, 4):
            os.rename(lane.path(number), lane.path(number) + "~")
            read = lane.read()
            self.assertEqual([position for position, _ in read.damage], [(number != 4, number, 0)])
            self.assertEqual((self.is_refused(read, ACME), self.is_refused(read, GLOBEX)), (number != 4, True))
            os.rename(lane.path(number) + "~", lane.path(number))
        os.remove(lane.path(3))
        with self.assertRaisesRegex(reader.FormatError, "rolled back"):
            lane.read()

    def test_segments_that_are_not_needed_are_ignored(self):
        lane = self.lane
        lane.put(ACME, b"k")
        lane.segment()
        lane.put(GLOBEX, b"k")
        lane.files[3] = bytearray(b"torn" * 1000)
        lane.save(first=2)
        read = lane.read()
        self.assert_whole(read)
        self.assertEqual((set(lane.rows(read, GLOBEX)), lane.rows(read, ACME)), ({b"k"}, {}))
        self.assertEqual(len(read.notes), 1, "a segment that was being made")
        lane.write(lane.path(1), b"anything")
        self.assert_whole(lane.read())
        # In a place where batches were it is damage.
        lane.files[2][0:4096] = bytes(4096)
        lane.save(closed=False, first=2)
        self.assertEqual([position for position, _ in lane.read().damage], [(True, 2, 0)])

    def test_one_copy_of_a_header_and_of_the_state_is_enough(self):
        lane = self.lane
        lane.put(ACME, b"k")
        lane.save()
        state = lane.region.lane_state_path(lane.STORE)
        for path, copies in ((lane.path(1), ((0, 512), (2048, 2560))), (state, ((0, 4096), (4096, 8192)))):
            with open(path, "rb") as file:
                whole = file.read()
            for begin, end in copies:
                for at in range(begin, end):
                    lane.write(path, whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
                    read = lane.read()
                    self.assertEqual((read.damage, len(read.damaged_copies)), ([], 1), f"byte {at} of {path}")
                    self.assertEqual(set(lane.rows(read, ACME)), {b"k"})
            both = bytearray(whole)
            for begin, _ in copies:
                both[begin + 60] ^= 1
            lane.write(path, both)
            with self.assertRaises(reader.FormatError):
                lane.read()
            lane.write(path, whole)

    def test_no_byte_of_a_batch_can_be_changed(self):
        lane = self.lane
        lane.put(ACME, b"k")
        lane.batch(lane.frame(ACME, [(1, 1, b"c" * 8 + b"l", b"v")]), lane.frame(GLOBEX, [], []))
        lane.index()
        lane.batch()
        for closed in (True, False):
            # An open log says of the last batch only that those before it were there.
            last = lane.end.offset if closed else lane.starts[4][1]
            lane.save(closed)
            with open(lane.path(1), "rb") as file:
                whole = file.read()
            for at in range(4096, last):
                lane.write(lane.path(1), whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :])
                with self.subTest(at=at), contextlib.suppress(reader.FormatError):
                    read = lane.read()
                    self.assertNotEqual((read.damage, read.damaged_texts), ([], []))

    def test_of_an_index_that_stands_twice_one_is_enough(self):
        lane = self.lane
        lane.put(ACME, b"k")
        begin = lane.index()
        lane.repeat(begin)
        once, size = bytes(lane.files[1]), lane.end.offset - begin
        for goes_on in (False, True):
            if goes_on:
                lane.put(ACME, b"l")
            lane.save()
            self.assert_whole(lane.read())
            whole = bytes(lane.files[1])
            for at in range(begin, begin + size):
                lane.write(lane.path(1), whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
                read = lane.read()
                self.assertEqual((read.damage, len(read.damaged_texts)), ([], 1), f"byte {at}")
                self.assertEqual(set(lane.rows(read, ACME)), {b"k", b"l"} if goes_on else {b"k"})
        lane.write(lane.path(1), once[:begin])
        with self.assertRaises(reader.FormatError):
            lane.read()

    def test_the_catalog_is_in_doubt_only_where_its_frames_may_be(self):
        """The tenant whose id is the lane's: each batch says how long there was none of its frames."""
        # Batches: 1 the catalog's, 2 and 3 of another, 4 damaged, 5 says how long ago there was one of the catalog's.
        for own, is_refused in ((0, True), (2, True), (3, False), (5, False)):
            self.setUp()
            lane = self.lane
            lane.put(lane.STORE, b"k")
            lane.put(ACME, b"l")
            lane.put(ACME, b"m")
            begin = lane.put(ACME, b"n")
            lane.batch(own=own)
            lane.files[1][begin + 20] ^= 1
            lane.save(closed=False)
            self.assertEqual(self.is_refused(lane.read(), lane.STORE), is_refused, own)

    def test_a_log_that_went_on_from_a_greater_sequence_lacks_nothing(self):
        """After a rollback was accepted the successor names the batch that was the last one."""
        lane = self.lane
        lane.put(ACME, b"k")
        lane.end = lane.end._replace(sequence=lane.end.sequence + 5)
        lane.segment()
        lane.put(ACME, b"l")
        lane.save()
        read = lane.read()
        self.assert_whole(read)
        self.assertEqual(set(lane.rows(read, ACME)), {b"k", b"l"})

    def test_batches_that_change_places_are_refused(self):
        lane = self.lane
        for key in (b"k", b"l", b"m"):
            lane.put(ACME, key)
        lane.save(end=lane.end)
        with open(lane.path(1), "rb") as file:
            whole = file.read()
        size = lane.starts[2][1] - lane.starts[1][1]
        one, two, three = (whole[at : at + size] for at in (4096, 4096 + size, 4096 + 2 * size))
        for order in ((two, one, three), (one, one, three), (one, three, two), (one, two, two), (three, two, one)):
            lane.write(lane.path(1), whole[:4096] + b"".join(order))
            with self.subTest(order=order), contextlib.suppress(reader.FormatError):
                self.assertTrue(self.is_refused(lane.read(), ACME))
        # A batch of another segment.
        other = seal_batch(lane.keys, 2, 2, 1, [])
        lane.write(lane.path(1), whole[:4096] + one + other + whole[4096 + 2 * size :])
        self.assertTrue(self.is_refused(lane.read(), ACME))

    def test_the_last_batch_is_the_one_that_the_end_names(self):
        """One in its place that was never acknowledged, but written with the same lane sequence."""
        for is_followed in (False, True):
            lane = self.lane
            lane.end = lane.end._replace(sequence=0, offset=4096)
            lane.files[lane.end.segment] = lane.files[lane.end.segment][:4096]
            lane.chains.clear()
            other = seal_batch(lane.keys, 1, 1, 0, [lane.frame(ACME, [(1, 1, b"c" * 8 + b"old", b"v")])])
            lane.chains.clear()
            lane.put(ACME, b"new")
            if is_followed:
                lane.segment()
            lane.save()
            self.assert_whole(lane.read())
            with open(lane.path(1), "r+b") as file:
                file.seek(4096)
                file.write(other)
            if is_followed:
                self.assertTrue(self.is_refused(lane.read(), ACME))
            else:
                with self.assertRaisesRegex(reader.FormatError, "rolled back"):
                    lane.read()

    def test_newer_formats_are_refused(self):
        lane = self.lane
        lane.put(ACME, b"k")
        lane.save()
        whole = bytes(lane.files[1][:480])
        for at in (8, 12):
            copy = whole[:at] + b"\x02" + whole[at + 1 :]
            lane.files[1][:512] = copy + reader.mac(lane.keys.segment, copy)
            lane.save()
            with self.assertRaisesRegex(reader.FormatError, "unknown"):
                lane.read()

    def test_malformed_changes_are_refused(self):
        good = (1, 1, b"c" * 8 + b"k", b"v")
        encoded = encode_change([good, (2, 2, b"x", b"")])
        self.assertEqual(len(reader.parse_change(encoded, "it")), 2)
        sweep = (4, 5, b"", reader.u64(7))
        parsed = reader.parse_change(encode_change([sweep]), "it")
        self.assertEqual(parsed, [reader.Operation("expiry", b"", reader.u64(7))])
        moved = reader.parse_change(encode_change([(6, 1, b"c" * 8 + b"k", b""), (6, 6, b"row", b"")]), "it")
        self.assertTrue(all(operation.moves and operation.value is None for operation in moved))
        for bad in ((6, 2, b"k", b""), (6, 1, b"k", b"v"), (6, 5, b"", b"")):
            with self.assertRaises(reader.FormatError):
                reader.parse_change(encode_change([bad]), "it")
        for bad in ((4, 1, b"", reader.u64(7)), (4, 5, b"k", reader.u64(7)), (4, 5, b"", b"7"), (1, 5, b"", b"")):
            with self.assertRaises(reader.FormatError):
                reader.parse_change(encode_change([bad]), "it")
        whole = {len(encode_change([good])), len(encoded), 0}
        for length in set(range(len(encoded))) - whole:
            with self.assertRaises(reader.FormatError):
                reader.parse_change(encoded[:length], "it")
        for bad in ((0, 1, b"k", b""), (3, 1, b"k", b""), (2, 1, b"k", b"v"), (1, 0, b"k", b""), (1, 3, b"k", b"")):
            with self.assertRaises(reader.FormatError):
                reader.parse_change(encode_change([bad]), "it")
        with self.assertRaises(reader.FormatError):
            reader.parse_change(b"\x01" + bytes(6) + b"\x01", "it")


def strongroom_binary():
    path = os.environ.get("STRONGROOM_BIN") or os.path.join(HERE, "..", "target", "release", "strongroom")
    return os.path.abspath(path)


def lane_ranges(path):
    """The ranges of bytes that mean something, of a segment or a lane's state: headers, then batches."""
    if path.endswith(".lane"):
        return [range(0, 8192)]
    with open(path, "rb") as file:
        data = file.read()
    ranges, at = [range(0, 512), range(2048, 2560)], 4096
    while data[at : at + 4] == b"SRB1":
        end = at + reader.little(data[at + 8 : at + 12])
        end += -end % 64
        ranges.append(range(at, end))
        at = end
    return ranges


class Golden(unittest.TestCase):
    """The checked-in stores of format 1, whose keys are test vectors."""

    PLACE = os.path.join(HERE, "golden", "v1")
    # By tenant, the collections: which round wrote how many records.
    ROUNDS = {
        "umbrella": {"files": ((0, 12), (1, 6))},
        "acme": {"invoices": ((0, 40), (1, 6)), "schlüssel/../\U0001f980": ((0, 40),), "drafts": ((1, 10),)},
        "globex": {"files": ((0, 25),)},
        "initech": {"files": ((0, 25), (1, 8))},
        "hooli": {"files": ((0, 20),)},
    }
    COUNTS = {
        "key-file": {"lanes": 3, "cold segments": 1, "tenants": 6, "tenants with a file": 2},
        "passphrase": {"lanes": 3, "tenants": 6, "tenants with a file": 4},
        "unclosed": {"lanes": 3, "cold segments": 1, "tenants": 6, "tenants with a file": 2},
    }

    def expected(self, tenant):
        records = {}
        for collection, rounds in self.ROUNDS[tenant].items():
            for number, count in rounds:
                for index in range(count):
                    key = {0: b"\0", 1: b"\xff" * 4096}.get(index, f"{collection} {index}".encode())
                    value, length = f"{tenant} {index} {number} ".encode(), index * index * 5
                    value = (value * (length // len(value) + 1))[:length]
                    records[collection, key] = value, 1_700_000_000_000 + 1000 * number + index
        return records

    def copy(self, store):
        """A copy that may be damaged, and the options to read it with."""
        directory = tempfile.mkdtemp(prefix="strongroom-golden-")
        self.addCleanup(shutil.rmtree, directory)
        shutil.copytree(os.path.join(self.PLACE, store), directory, dirs_exist_ok=True)
        key = os.path.join(directory, "root-key.test-vector")
        if store == "passphrase":
            key = os.path.join(directory, "passphrase")
            with open(key, "wb") as file:
                file.write(b"a passphrase for tests only\n")
        option = "--passphrase-file" if store == "passphrase" else "--root-key"
        return directory, ["--store", os.path.join(directory, "store"), option, key]

    def run_reader(self, *arguments):
        """The exit status and both outputs."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = reader.main(list(arguments))
        return status, out.getvalue(), err.getvalue()

    def dump(self, options, tenant):
        """The records, or None where they are refused."""
        status, out, err = self.run_reader(*options, "dump", tenant)
        if status:
            self.assertIn("FAILED", err)
            return None
        records = {}
        for row in map(json.loads, out.splitlines()):
            key = row["key"].encode() if "key" in row else base64.b64decode(row["key_base64"])
            records[row["collection"], key] = base64.b64decode(row["value_base64"]), row["written"]
        self.assertEqual(len(records), out.count("\n"))
        return records

    def test_golden_stores_check_and_dump(self):
        for store, expected in self.COUNTS.items():
            with self.subTest(store=store):
                _, options = self.copy(store)
                status, out, err = self.run_reader(*options, "check")
                self.assertEqual((status, err), (0, ""))
                counts = dict(line.split(": ") for line in out.splitlines())
                self.assertEqual({name: int(counts[name]) for name in expected}, expected)
                self.assertEqual(int(counts["records"]), sum(len(self.expected(tenant)) for tenant in self.ROUNDS))
                self.assertGreater(int(counts["changes beyond files"]), int(counts["frames beyond files"]))
                for tenant in self.ROUNDS:
                    self.assertEqual(self.dump(options, tenant), self.expected(tenant), tenant)

    def test_records_are_of_their_versions(self):
        """Those of a later round are of a later change, in the file and over it."""
        _, options = self.copy("key-file")
        rows = list(map(json.loads, self.run_reader(*options, "dump", "initech")[1].splitlines()))
        rounds = [[row["sequence"] for row in rows if row["written"] // 1000 % 10 == number] for number in (0, 1)]
        self.assertEqual((len(rounds[0]), len(rounds[1])), (17, 8))
        self.assertLess(max(rounds[0]), min(rounds[1]))
        self.assertEqual({row["timeline"] for row in rows}, {1})

    @staticmethod
    def lane_files(directory):
        """Every segment and lane state, with the ranges of bytes that mean something."""
        for top in ("store", "store.keys"):
            for place, _, names in os.walk(os.path.join(directory, top)):
                for path in (os.path.join(place, name) for name in names):
                    if path.endswith((".lane", ".journal")):
                        yield path, lane_ranges(path)

    @contextlib.contextmanager
    def changed(self, path, at, data):
        """The file with other bytes in one place."""
        with open(path, "r+b") as file:
            file.seek(at)
            before = file.read(len(data))
            file.seek(at)
            file.write(data)
        try:
            yield
        finally:
            with open(path, "r+b") as file:
                file.seek(at)
                file.write(before)

    def test_check_refuses_a_lane_with_one_byte_changed(self):
        directory, options = self.copy("key-file")
        randomness = random.Random(11)
        files = list(self.lane_files(directory))
        self.assertEqual(sorted(os.path.splitext(path)[1] for path, _ in files), [".journal"] * 4 + [".lane"] * 3)
        for path, ranges in files:
            for _ in range(6):
                at = randomness.choice(randomness.choice(ranges))
                with open(path, "rb") as file:
                    file.seek(at)
                    byte = file.read(1)[0] ^ 1 << randomness.randrange(8)
                with self.changed(path, at, bytes([byte])):
                    status, _, err = self.run_reader(*options, "check")
                self.assertEqual(status, 1, f"byte {at} of {path}")
                self.assertIn("FAILED", err)
        self.assertEqual(self.run_reader(*options, "check")[0], 0)

    def test_check_refuses_a_lane_of_which_a_file_is_missing_or_cut(self):
        directory, options = self.copy("key-file")
        for path, ranges in self.lane_files(directory):
            with open(path, "rb") as file:
                whole = file.read()
            ends = [0, ranges[-1].start, (ranges[-1].start + ranges[-1].stop) // 2]
            for end in [None, *ends]:
                os.remove(path) if end is None else os.truncate(path, end)
                self.assertEqual(self.run_reader(*options, "check")[0], 1, f"{path} cut to {end}")
                LaneWriter.write(path, whole)

    def test_what_stands_behind_the_end_of_a_log_means_nothing(self):
        directory, options = self.copy("key-file")
        for path, ranges in self.lane_files(directory):
            if path.endswith(".journal"):
                with open(path, "r+b") as file:
                    file.seek(ranges[-1].stop)
                    file.write(b"SRB1" + bytes(range(200)))
        self.assertEqual(self.run_reader(*options, "check")[::2], (0, ""))

    def batch_of(self, directory, tenant):
        """Where the last batch with a frame of a tenant begins, in which file; the tenant's id is in clear."""
        found = []
        for path, ranges in self.lane_files(directory):
            with open(path, "rb") as file:
                data = file.read()
            found += [(path, r.start) for r in ranges[2:] if tenant in data[r.start : r.stop] and data[r.start + 12] == 1]
        return max(found)

    def test_damage_of_a_lane_is_its_tenants_own(self):
        """A batch of globex is gone. What is proven to be complete is read, all else is refused."""
        for store, proven in (("key-file", {"acme", "umbrella", "initech", "hooli"}), ("unclosed", {"umbrella", "initech", "hooli"})):
            directory, options = self.copy(store)
            rows = {row["name"]: row for row in map(json.loads, self.run_reader(*options, "list")[1].splitlines())}
            path, begin = self.batch_of(directory, bytes.fromhex(rows["globex"]["id"]))
            with self.changed(path, begin + 16, b"\xff"):
                self.assertEqual(self.run_reader(*options, "check")[0], 1)
                for tenant in self.ROUNDS:
                    expected = self.expected(tenant) if tenant in proven else None
                    self.assertEqual(self.dump(options, tenant), expected, f"{tenant} of {store}")

    def test_a_torn_end_of_an_open_lane_is_a_note(self):
        directory, options = self.copy("unclosed")
        rows = {row["name"]: row for row in map(json.loads, self.run_reader(*options, "list")[1].splitlines())}
        path, begin = self.batch_of(directory, bytes.fromhex(rows["hooli"]["id"]))
        whole = self.dump(options, "hooli")
        with self.changed(path, begin + 100, b"torn"):
            status, out, _ = self.run_reader(*options, "check")
            self.assertEqual(status, 0)
            self.assertIn("note: " + path, out)
            left = self.dump(options, "hooli")
        self.assertEqual(left, {place: whole[place] for place in left})
        self.assertLess(len(left), len(whole))

    def test_a_removal_in_the_journal_takes_a_row_away(self):
        """Of the file and of the journal; then one of the two is put again. The frames are made here, with the store's keys."""
        directory, options = self.copy("key-file")
        provider = reader.KeyFileProvider(options[-1])
        store = reader.Store(options[1], None, provider, options[-1])
        row = store.tenants["initech"]
        lane = store.lane("default", row.tenant_id)
        keys = reader.LaneKeys(store.structure, store.store_id, row.tenant_id, "default")
        with store.tenant(row) as tenant:
            records = {(record.collection_id, record.key): record for record in tenant.records()}
            (last, tag), keyring = (tenant.version[1], tenant.tag), tenant.keyring
            rows = dict(tenant.rows("records"))
        collection = next(iter(records))[0].to_bytes(8, "big")
        in_file, in_journal = (collection + key for key in (b"files 20", b"files 3"))
        changes = [[(2, 1, in_file, b""), (2, 1, in_journal, b""), (2, 1, collection + b"none", b"")]]
        changes.append([(1, 1, in_journal, rows[in_journal][12:])])
        text = b"".join(reader.u32(len(change)) + change for change in map(encode_change, changes))
        clear = reader.u32(len(text)) + reader.u32(1) + row.tenant_id + reader.u32(1) + reader.u32(2)
        clear += reader.u64(last + 1) + tag
        frame = seal_frame(keyring.key(1, 1), store.store_id, clear, text)
        end = lane.state.end
        batch = seal_batch(keys, end.segment, end.sequence + 1, end.sequence, [frame])
        with open(lane.path(end.segment), "r+b") as file:
            file.seek(end.offset)
            file.write(batch)
        expected = self.expected("initech")
        del expected["files", b"files 20"]
        self.assertEqual(self.dump(options, "initech"), expected)
        status, out, _ = self.run_reader(*options, "check")
        self.assertEqual(status, 0)
        self.assertIn("was written after it was closed", out)


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
        cls.expected = {"acme": {}, "globex": {}, "empty": {}, "small": {}, "initech": {}}
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
        return done.stdout

    @classmethod
    def put(cls, tenant, collection, key, value, *options):
        cls.strongroom("put", tenant, collection, key, "--value", value, *options)
        cls.expected[tenant][collection, key] = value.encode()

    @classmethod
    def person(cls, key, *keys):
        indexes = [argument for key in keys for argument in ("--index", key)]
        cls.strongroom("put", "initech", "people", key, "--value", "a person", *indexes)
        cls.expected["initech"]["people", key] = b"a person"

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
        # Of an erased tenant there is nothing but a row; its frames stood before those of the others.
        cls.strongroom("tenant", "create", "gone")
        cls.strongroom("put", "gone", "notes", "k", "--value", "v")
        cls.strongroom("tenant", "erase", "gone", "--yes")
        cls.strongroom("tenant", "create", "small")
        cls.strongroom("tenant", "create", "--dedicated", "--region", "eu", "initech")
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
        # In chunks: the last one full, and not; in a tenant that has no file before; in the journal or the file.
        for tenant, chunks, more in (("acme", 17, 0), ("initech", 20, 7)):
            value = randomness.getrandbits(8 * (chunks * 65412 + more)).to_bytes(chunks * 65412 + more, "little")
            with open(cls.path("value"), "wb") as file:
                file.write(value)
            cls.strongroom("put", tenant, "files", "chunks.bin", "--file", cls.path("value"))
            cls.expected[tenant]["files", "chunks.bin"] = value
        small = {f"row-{n:04d}": bytes([n % 256]) * (n % 97) for n in range(1500)}
        cls.import_files("globex", "rows", small)
        # Removed in the file, in the journal of the file's, and in the journal alone; restored, put over and erased.
        for key in ("in the file", "in between", "restored", "erased"):
            cls.strongroom("put", "acme", "notes", key, "--value", key)
        for key in ("in the file", "restored", "erased"):
            cls.strongroom("remove", "acme", "notes", key)
        # In the file and in the journal; in the journal alone; in a file and in a journal of its own.
        cls.strongroom("checkpoint", "acme")
        cls.strongroom("remove", "acme", "notes", "in between")
        cls.strongroom("restore", "acme", "notes", "restored")
        cls.expected["acme"]["notes", "restored"] = b"restored"
        cls.strongroom("erase", "acme", "notes", "erased", "--yes")
        cls.strongroom("put", "small", "notes", "put over", "--value", "removed")
        cls.strongroom("remove", "small", "notes", "put over")
        cls.put("small", "notes", "put over", "put over")
        cls.put("acme", "notes", "plain", "written over once more")
        cls.put("acme", "notes", "later", "in the journal")
        for number in range(20):
            cls.put("small", "notes", f"note {number}", "x" * number)
        cls.put("initech", "notes", "plain", "in the file")
        cls.put("initech", "notes", "kept", "in the file")
        # Secondary keys in the file and in the journal, some of them stale; an index and collections that were dropped.
        cls.strongroom("index", "declare", "initech", "people", "email", "--unique")
        cls.strongroom("index", "declare", "initech", "people", "city", "--ordered")
        cls.strongroom("index", "declare", "initech", "people", "gone", "--ordered")
        cls.person("1", "email=a@b", "city=Rome", "gone=x")
        cls.person("2", "email=c@d", "city=Rome")
        cls.person("3", "city=Bern")
        cls.person("4", "city=Kiev", "email=g@h")
        cls.strongroom("remove", "initech", "people", "4")
        cls.strongroom("remove", "initech", "people", "3")
        cls.strongroom("quota", "set", "initech", "--records", "100")
        cls.strongroom("quota", "set", "initech", "--collection", "people", "--bytes", "100000")
        cls.strongroom("put", "initech", "dropped", "k", "--value", "v")
        cls.strongroom("collection", "drop", "initech", "dropped")
        cls.strongroom("put", "initech", "dropped later", "k", "--value", "v")
        cls.strongroom("checkpoint", "initech")
        # Erased, with a receipt, and scrubbed: an old structure key is destroyed. Another receipt is open.
        cls.strongroom("put", "initech", "notes", "erased", "--value", "erased")
        cls.strongroom("erase", "initech", "notes", "erased", "--yes", "--receipt")
        cls.strongroom("scrub", "initech")
        cls.strongroom("put", "initech", "notes", "erased", "--value", "erased")
        cls.strongroom("erase", "initech", "notes", "erased", "--yes", "--receipt")
        cls.person("1", "email=e@f")
        cls.strongroom("restore", "initech", "people", "4")
        cls.strongroom("restore", "initech", "people", "3")
        cls.person("2", "email=a@b", "city=Bern")
        cls.person("2", "email=a@b", "city=Oslo")
        cls.strongroom("index", "drop", "initech", "people", "gone")
        cls.strongroom("collection", "drop", "initech", "dropped later")
        cls.put("initech", "notes", "plain", "in the journal")
        # Under keys of their subjects, which are more than a block of slots holds.
        for number in range(40):
            cls.put("small", "people", f"person {number}", f"of {number}", "--subject", f"person {number % 35}")
        # With keys of their own, one of a subject too; of those that are put over, erased or removed some are destroyed.
        cls.strongroom("policy", "set", "initech", "own", "--erasure", "record")
        for number in range(4):
            cls.put("initech", "own", f"{number}", f"first {number}", "--subject", f"of {number % 2}")
        cls.put("initech", "own", "0", "second 0")
        cls.put("initech", "notes", "own", "with a key of its own", "--erasure", "record")
        for what, key in (("erase", "1"), ("remove", "2"), ("remove", "3")):
            cls.strongroom(what, "initech", "own", key, *(["--yes"] if what == "erase" else []))
            del cls.expected["initech"]["own", key]
        cls.strongroom("restore", "initech", "own", "3")
        cls.expected["initech"]["own", "3"] = b"first 3"
        # What has expired, and was swept but for what is held.
        for key in ("a-1", "a-2", "b-1", "b-2"):
            cls.strongroom("put", "initech", "held", key, "--value", key, "--ttl", "1ms", "--subject", f"of {key}")
        place = ["hold", "place", "initech"]
        cls.strongroom(*place, "prefix", "--collection", "held", "--prefix", "a-")
        cls.strongroom(*place, "record", "--collection", "held", "--key", "a-1")
        cls.strongroom(*place, "subject", "--subject", "of b-1")
        cls.strongroom(*place, "others", "--collection", "people")
        cls.strongroom("sweep", "initech")
        for key in ("a-1", "a-2", "b-1"):
            cls.expected["initech"]["held", key] = key.encode()
        # Sealed anew under another data key; the older key destroyed, unless a value in chunks needs it.
        for tenant, retires in (("small", True), ("initech", False)):
            keys = json.loads(cls.strongroom("--json", "key", "list", tenant))
            cls.strongroom("key", "rotate", tenant)
            cls.strongroom("key", "rekey", tenant)
            if retires:
                cls.strongroom("key", "retire", tenant, str(keys[0]["generation"]))
        # It has been elsewhere, and came back.
        for region in ("eu", "default"):
            cls.strongroom("tenant", "move", "acme", region, "--override-residency")
        # States are the writer's matter: everything reads as before.
        cls.strongroom("tenant", "suspend", "small")
        cls.strongroom("tenant", "suspend", "initech")
        cls.strongroom("tenant", "remove", "initech", "--window", "90d", "--yes")

    def read(self, *arguments):
        """The exit status and both outputs of the reader."""
        places = ["--store", self.path("S"), "--keys", self.path("K"), "--root-key", self.path("R")]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = reader.main([*places, *arguments])
        return status, out.getvalue(), err.getvalue()

    def test_a_sweep_in_the_journal_passes_what_is_held(self):
        a, b = (5).to_bytes(8, "big"), (6).to_bytes(8, "big")
        records = [(5, b"a-1", None), (5, b"b", None), (6, b"a-1", 9), (6, b"c", 8)]
        held = {
            (1, b""): [True, True, True, True],
            (2, b): [False, False, True, True],
            (3, a + b"a-"): [True, False, False, False],
            (4, b + b"a-1"): [False, False, True, False],
            (5, reader.u64(8)): [False, False, False, True],
        }
        for hold, expected in held.items():
            value = b"\1" + reader.u64(7) + bytes([hold[0]]) + hold[1] + (b"name" if hold[0] == 5 else b"")
            directory = reader.read_directory(iter([(b"ocase", value)]), False)
            fields = {name: None for name in reader.Record._fields}
            found = [
                directory.is_held(reader.Record(**{**fields, "collection_id": c, "key": k, "subject_slot": s}))
                for c, k, s in records
            ]
            self.assertEqual(found, expected, hold)
            for bad in (value[:-1] if hold[0] != 3 else value[:12], b"\2" + value[1:], value[:9] + b"\6" + value[10:]):
                if hold[0] in (4, 5) and bad == value[:-1]:
                    continue
                with self.assertRaises(reader.FormatError):
                    reader.read_directory(iter([(b"ocase", bad)]), False)

    def test_dump_gives_what_was_put(self):
        for tenant, expected in self.expected.items():
            status, out, err = self.read("dump", tenant)
            self.assertEqual((status, err), (0, ""))
            rows = [json.loads(line) for line in out.splitlines()]
            values = {(row["collection"], row["key"]): base64.b64decode(row["value_base64"]) for row in rows}
            self.assertEqual(values, expected)
            self.assertEqual(len(rows), len(expected))
            for row in rows:
                self.assertEqual(row["expires"] is not None, row["collection"] == "held")
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
        self.assertEqual({name for name, row in rows.items() if row["region"] == "eu"}, {"globex", "initech"})
        self.assertEqual({name for name, row in rows.items() if row["lane"] == "own"}, {"initech"})
        for name, row in rows.items():
            self.assertEqual(row["state"], {"small": "suspended", "initech": "removed"}.get(name, "active"))
            self.assertEqual(row["collections"], sorted({collection for collection, _ in self.expected[name]}))
        self.assertEqual(len({row["id"] for row in rows.values()}), len(rows))

    def test_check_passes_and_counts(self):
        status, out, err = self.read("check")
        self.assertEqual((status, err), (0, ""))
        counts = dict(line.split(": ") for line in out.splitlines() if not line.startswith("note"))
        self.assertEqual(int(counts["records"]), sum(map(len, self.expected.values())))
        self.assertEqual((counts["tenants"], counts["regions"], counts["markers"]), ("6", "2", "4"))
        self.assertEqual((counts["lanes"], counts["tenants with a file"]), ("3", "3"))
        self.assertEqual(counts["secondary keys"], "6")
        self.assertEqual(counts["removed records"], "4")
        self.assertEqual(counts["records in chunks"], "2")
        events = {name[16:]: int(count) for name, count in counts.items() if name.startswith("ledger entries, ")}
        keys = {"structure key": 1, "data key": 1, "subject key": 2}
        self.assertEqual(events, {"receipt": 2, "scrubbed": 1, "tenant": 1, **keys})
        self.assertEqual(counts["erased tenants"], "1")
        self.assertNotIn("note: ", out)

    def test_a_ledger_that_was_cut_removed_or_put_back_older_is_noticed(self):
        places = [os.path.join(self.path(top), name) for top in ("K", "eu.keys") for name in os.listdir(self.path(top))]
        ledgers = [path for path in places if path.endswith(".ledger")]
        self.assertEqual(len(ledgers), 3)
        with_anchor = [path for path in ledgers if os.path.exists(path[: -len(".ledger")] + ".keyring")]
        self.assertEqual(len(with_anchor), 2)
        for path in with_anchor:
            with open(path, "rb") as file:
                whole = file.read()
            for less in (whole[:-1], whole[:-128], whole[:128], b""):
                with open(path, "wb") as file:
                    file.write(less)
                status, _, err = self.read("check")
                self.assertEqual((status, "rolled back" in err), (1, True), err)
            os.remove(path)
            self.assertEqual(self.read("check")[0], 1)
            # What stands behind its end was being written.
            for more in (bytes(128), b"x" * 200):
                with open(path, "wb") as file:
                    file.write(whole + more)
                self.assertEqual(self.read("check")[0], 0)
            with open(path, "wb") as file:
                file.write(whole)

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
                    elif name.endswith((".keyring", ".slots", ".ledger")):
                        yield path, range(os.path.getsize(path))
                    elif name.endswith((".journal", ".lane")):
                        yield path, [offset for some in lane_ranges(path) for offset in some]
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
        self.assertLessEqual({".marker", ".keyring", ".ledger", ".redb", ".journal", ".lane"}, kinds)
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
                    status, _, err = self.read("check")
                    file.seek(offset)
                    file.write(bytes([byte]))
                self.assertEqual(status, 1, f"byte {offset} of {path}")
                self.assertIn("FAILED", err)
        self.assertEqual(self.read("check")[0], 0)

    def test_check_refuses_a_file_cut_short(self):
        """Of a sealed file a block at its end may be one that no table uses, of a segment what is allocated ahead of its
        end: then nothing is lost."""
        records = [self.read("dump", tenant) for tenant in self.expected]
        for path, _ in sorted(self.format_files()):
            with open(path, "rb") as file:
                whole = file.read()
            for cut in (1, 4096, len(whole) - min(5 * 4096, len(whole) // 2)):
                os.truncate(path, max(len(whole) - cut, 0))
                status, _, err = self.read("check")
                if status == 0:
                    is_ahead = path.endswith(".journal") and len(whole) - cut >= lane_ranges(path)[-1].stop
                    self.assertTrue(is_ahead or path.endswith(".redb") and cut == 4096, f"{path} cut by {cut}")
                    self.assertEqual([self.read("dump", tenant) for tenant in self.expected], records)
                else:
                    self.assertIn("FAILED", err)
                with open(path, "wb") as file:
                    file.write(whole)


if __name__ == "__main__":
    unittest.main()
