#!/usr/bin/env python3
"""Reads a Strongroom store by docs/FORMAT.md alone: the executable form of that document.

    format_reader.py --store DIR [--keys DIR] (--root-key FILE | --passphrase-file FILE) COMMAND

    list                        the tenants, one JSON object a line
    dump TENANT [--out FILE]    the records of a tenant, one JSON object a line
    check                       opens every header, marker, slot, anchor, block, batch, frame and record, and counts them

It never writes to the store and takes no lock: the store must not be open in another process. Every
violation of a MUST ends in a message and exit status 1.

Numbers such as "4.3" are sections of FORMAT.md. Needs Python 3.9 and the package `cryptography`, for
passphrases in a version that has Argon2id (44 or later, with OpenSSL 3.2 or later).
"""

from __future__ import annotations

import argparse
import base64
import collections
import contextlib
import hashlib
import hmac
import json
import os
import re
import sys
import unicodedata
import zlib
from typing import ContextManager, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple, Union

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class FormatError(Exception):
    """The bytes are not what FORMAT.md says they are."""


class KeyMissing(FormatError):
    """4.3: neither twin of a slot was ever written, or neither authenticates."""


class KeyDestroyed(FormatError):
    """4.4: the slot is a tombstone; what its key protected is gone for good."""


def must(condition: bool, message: str) -> None:
    """A MUST of the document."""
    if not condition:
        raise FormatError(message)


@contextlib.contextmanager
def within(place: str) -> Iterator[None]:
    """Names the place in the message of an error."""
    try:
        yield
    except FormatError as error:
        raise error if str(error).startswith(place) else type(error)(f"{place}: {error}") from None
    except OSError as error:
        raise FormatError(f"{place}: {error.strerror or error}") from None


# ---------------------------------------------------------------------------------------------------------
# 1. Conventions

BLOCK = 4096
VERSION = 1


def little(data: bytes) -> int:
    return int.from_bytes(data, "little")


def u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


def is_zero(data: bytes) -> bool:
    return not any(data)


def must_be_zero(data: bytes, what: str) -> None:
    must(is_zero(data), f"{what} is not zero")


def text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError(f"{what} is not UTF-8") from None


# 1.1 Cryptography


def gcm_open(key: bytes, nonce: bytes, aad: bytes, ciphertext: bytes, tag: bytes, what: str) -> bytes:
    """AES-256-GCM, NIST SP 800-38D."""
    try:
        return AESGCM(key).decrypt(nonce, ciphertext + tag, aad)
    except InvalidTag:
        raise FormatError(f"{what} does not authenticate") from None


class Xaes:
    """XAES-256-GCM, C2SP: a key for each nonce by two blocks of CMAC in counter mode, then AES-256-GCM."""

    def __init__(self, key: bytes) -> None:
        self._ecb = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        subkey = int.from_bytes(self._ecb.update(bytes(16)), "big") << 1  # CMAC's K1 = L doubled in GF(2^128)
        if subkey >> 128:
            subkey = (subkey & ((1 << 128) - 1)) ^ 0x87
        self._k1 = subkey

    def derived_key(self, nonce: bytes) -> bytes:
        first = int.from_bytes(b"\x00\x01X\x00" + nonce[:12], "big") ^ self._k1
        second = int.from_bytes(b"\x00\x02X\x00" + nonce[:12], "big") ^ self._k1
        return self._ecb.update(first.to_bytes(16, "big") + second.to_bytes(16, "big"))

    def open(self, nonce: bytes, aad: bytes, ciphertext: bytes, tag: bytes, what: str) -> bytes:
        return gcm_open(self.derived_key(nonce), nonce[12:24], aad, ciphertext, tag, what)


def mac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256, RFC 2104."""
    return hmac.new(key, data, hashlib.sha256).digest()


def extract(salt: bytes, ikm: bytes) -> bytes:
    """HKDF-Extract with SHA-256, RFC 5869."""
    return mac(salt, ikm)


def expand(key: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-Expand with SHA-256, RFC 5869; Strongroom takes 32 bytes everywhere."""
    output, block = b"", b""
    while len(output) < length:
        block = mac(key, block + info + bytes([len(output) // 32 + 1]))
        output += block
    return output[:length]


def must_verify(key: bytes, data: bytes, expected: bytes, what: str) -> None:
    must(hmac.compare_digest(mac(key, data), expected), f"the MAC of {what} does not verify")


# 1.2 Features


def check_version(data: bytes, magic: bytes, features: bytes) -> None:
    """Magic, format version, and the feature words: incompatible, read-only, optional."""
    must(data[:8] == magic, f"not a file of this kind: the magic is {data[:8]!r}, not {magic!r}")
    must(little(data[8:10]) == VERSION, f"format version {little(data[8:10])} is unknown")
    must(is_zero(features[0:4]), f"unknown incompatible features {features[0:4].hex()}")


# ---------------------------------------------------------------------------------------------------------
# 10. Limits

RECORD_KEY_BYTES_MAX = 4096
VALUE_BYTES_MAX = 1048576
LARGE_VALUE_BYTES_MAX = 1099511627776
NAME_BYTES_MAX = 255
COLD_SEGMENTS_MAX = 8
REGION_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def check_name(data: bytes, what: str) -> str:
    """The name of a collection or tenant."""
    must(1 <= len(data) <= NAME_BYTES_MAX, f"{what} has {len(data)} bytes")
    name = text(data, what)
    must(not any(unicodedata.category(c) == "Cc" for c in name), f"{what} {name!r} has a control character")
    must(name == name.strip(), f"{what} {name!r} has white space at an end")
    return name


def check_region_name(data: bytes, what: str) -> str:
    """The name of a region or provider."""
    name = data.decode("ascii", "replace")
    must(REGION_NAME.fullmatch(name) is not None, f"{what} {name!r} is not 1 to 63 of a-z, 0-9, -")
    return name


# ---------------------------------------------------------------------------------------------------------
# 2. Files


class Region(NamedTuple):
    name: str
    root: str
    keys: str

    def sealed_path(self, tenant_id: bytes, file_id: bytes) -> str:
        name = f"{tenant_id.hex()}.{file_id.hex()}.redb"
        return os.path.join(self.root, "tenants", tenant_id.hex()[:2], name)

    def keyring_path(self, tenant_id: bytes) -> str:
        return os.path.join(self.keys, f"{tenant_id.hex()}.keyring")

    def slots_path(self, tenant_id: bytes) -> str:
        return os.path.join(self.keys, f"{tenant_id.hex()}.slots")

    def ledger_path(self, tenant_id: bytes) -> str:
        return os.path.join(self.keys, f"{tenant_id.hex()}.ledger")

    def lane_directory(self, lane_id: bytes) -> str:
        return os.path.join(self.root, "journal", lane_id.hex())

    def lane_state_path(self, lane_id: bytes) -> str:
        return os.path.join(self.keys, f"{lane_id.hex()}.lane")


def read_whole(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def must_lie_apart(key_place: str, region_root: str) -> None:
    """Neither a key store nor a root key lies inside a region root, nor the other way round."""
    one, other = os.path.realpath(key_place), os.path.realpath(region_root)
    with contextlib.suppress(ValueError):  # two volumes
        must(os.path.commonpath([one, other]) not in (one, other), f"{key_place} and {region_root} do not lie apart")


# ---------------------------------------------------------------------------------------------------------
# 3. Marker

ROLE_REGION_ROOT, ROLE_KEY_STORE = 1, 2


class Marker(NamedTuple):
    role: int
    store_id: bytes
    region: str
    signed: bytes
    mac: bytes

    def verify(self, system_structure_section_key: bytes) -> None:
        key = expand(system_structure_section_key, b"strongroom/1 marker")
        must_verify(key, self.signed, self.mac, "the marker")


def parse_marker(data: bytes) -> Marker:
    must(len(data) == 512, f"has {len(data)} bytes, not 512")
    check_version(data, b"SRMARKER", data[12:24])
    must(data[10] in (ROLE_REGION_ROOT, ROLE_KEY_STORE), f"unknown role {data[10]}")
    must_be_zero(data[11:12], "byte 11")
    region = check_region_name(data[41 : 41 + min(data[40], 63)], "the region's name")
    must(data[40] <= 63, f"the region's name has {data[40]} bytes")
    must_be_zero(data[41 + data[40] : 104], "the padding of the region's name")
    must_be_zero(data[104:480], "bytes 104..480")
    return Marker(data[10], data[24:40], region, data[0:480], data[480:512])


def read_marker(directory: str) -> Marker:
    with within(os.path.join(directory, "strongroom.marker")):
        return parse_marker(read_whole(os.path.join(directory, "strongroom.marker")))


# ---------------------------------------------------------------------------------------------------------
# 4.7 Providers of this version


class KeyFileProvider:
    """Text: `strongroom-root-key-1` LF, 64 hexadecimal digits, LF."""

    def __init__(self, path: str) -> None:
        with within(path):
            match = re.fullmatch(rb"strongroom-root-key-1\n([0-9A-Fa-f]{64})\n", read_whole(path))
            must(match is not None, "is not a root key file")
        self._xaes = Xaes(expand(bytes.fromhex(match.group(1).decode()), b"strongroom/1 key file"))

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        must(len(wrapped) == 72, f"a key wrapped by a key file has 72 bytes, not {len(wrapped)}")
        return self._xaes.open(wrapped[:24], context, wrapped[24:56], wrapped[56:72], "the wrapped section key")


class PassphraseProvider:
    """Argon2id version 0x13, RFC 9106, over the bytes of a file without its last line feed."""

    def __init__(self, path: str) -> None:
        with within(path):
            passphrase = read_whole(path)
        self._passphrase = passphrase[:-1] if passphrase.endswith(b"\n") else passphrase
        self._derived: Dict[bytes, Xaes] = {}

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        must(len(wrapped) == 100, f"a key wrapped by a passphrase has 100 bytes, not {len(wrapped)}")
        if wrapped[:28] not in self._derived:
            self._derived[wrapped[:28]] = Xaes(self._stretch(wrapped[:28]))
        opened = self._derived[wrapped[:28]]
        return opened.open(wrapped[28:52], context, wrapped[52:84], wrapped[84:100], "the wrapped section key")

    def _stretch(self, parameters: bytes) -> bytes:
        m, t, p = (little(parameters[at : at + 4]) for at in (16, 20, 24))
        must(8 <= m <= 4194304 and 1 <= t <= 64 and 1 <= p <= 16, f"Argon2id m={m}, t={t}, p={p} is out of bounds")
        return argon2id(self._passphrase, parameters[:16], m, t, p)


def argon2id(passphrase: bytes, salt: bytes, m: int, t: int, p: int) -> bytes:
    """RFC 9106: m KiB of memory, t passes, p lanes, 32 bytes."""
    try:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

        return Argon2id(salt=salt, length=32, iterations=t, lanes=p, memory_cost=m).derive(passphrase)
    except ImportError:
        raise FormatError("this `cryptography` has no Argon2id: version 44 or later is needed") from None
    except Exception as error:  # parameters, memory or an OpenSSL that cannot do it
        raise FormatError(f"Argon2id m={m}, t={t}, p={p}: {error}") from None


# ---------------------------------------------------------------------------------------------------------
# 4. Keyring

KIND_STRUCTURE, KIND_DATA, KIND_PERIOD, KIND_SUBJECT = 1, 2, 3, 4
STATE_LIVE, STATE_DESTROYED, STATE_POOLED = 1, 2, 3
STATE_NAMES = {STATE_LIVE: "live", STATE_DESTROYED: "destroyed", STATE_POOLED: "pooled"}
KIND_NAMES = {KIND_STRUCTURE: "structure", KIND_DATA: "data", KIND_PERIOD: "period", KIND_SUBJECT: "subject"}


class KeyringHeader(NamedTuple):
    """4.1"""

    store_id: bytes
    tenant_id: bytes
    sequence: int
    generation: int
    provider: str
    wrapped_structure: bytes
    wrapped_content: bytes
    signed: bytes
    mac: bytes

    def verify(self, structure_section_key: bytes) -> None:
        key = expand(structure_section_key, b"strongroom/1 keyring header")
        must_verify(key, self.signed, self.mac, "the header")


def parse_keyring_header(data: bytes, magic: bytes) -> KeyringHeader:
    """4.1 Header; 4.6 for the magic `SRSLOTS1`: no provider and no wrapped keys."""
    check_version(data, magic, data[12:24])
    must_be_zero(data[10:12], "bytes 10..12")
    name_length, a, b = data[68], little(data[132:134]), little(data[134:136])
    if magic == b"SRSLOTS1":
        must(name_length == 0 and a == 0 and b == 0, "a file of subject slots names a provider or holds wrapped keys")
        provider = ""
    else:
        must(name_length <= 63, f"the provider's name has {name_length} bytes")
        provider = check_region_name(data[69 : 69 + name_length], "the provider's name")
        must(1 <= a <= 1024 and 1 <= b <= 1024, f"wrapped section keys of {a} and {b} bytes")
    must_be_zero(data[69 + name_length : 132], "the padding of the provider's name")
    must_be_zero(data[136 + a : 1160], "the padding of the wrapped structure section key")
    must_be_zero(data[1160 + b : 2184], "the padding of the wrapped content section key")
    must_be_zero(data[2184:4064], "bytes 2184..4064")
    sequence, generation = little(data[56:64]), little(data[64:68])
    must(sequence >= 1 and generation >= 1, f"header sequence {sequence}, section generation {generation}")
    return KeyringHeader(
        store_id=data[24:40],
        tenant_id=data[40:56],
        sequence=sequence,
        generation=generation,
        provider=provider,
        wrapped_structure=data[136 : 136 + a],
        wrapped_content=data[1160 : 1160 + b],
        signed=data[0:4064],
        mac=data[4064:4096],
    )


class Slot(NamedTuple):
    """4.3: a slot of which the state was opened."""

    number: int
    kind: int
    state: int
    attribute: int
    commitment: bytes
    data: bytes


class Anchor(NamedTuple):
    """4.5"""

    sequence: int
    current_file: bytes
    next_file: bytes
    previous_file: bytes
    current_epoch: int
    next_epoch: int
    previous_epoch: int
    timeline: int
    commit_sequence: int
    flags: int
    ledger_entries: int
    ledger_mac: bytes

    @property
    def sync_failed(self) -> bool:
        return bool(self.flags & 1)

    @property
    def no_file(self) -> bool:
        return bool(self.flags & 2)


class KeyFile:
    """What `.keyring` (4) and `.slots` (4.6) have in common: two headers and the slots."""

    magic = b""
    kinds: Tuple[int, ...] = ()

    def __init__(self, path: str, tenant_id: bytes) -> None:
        self.path = path
        self.damaged_copies: List[str] = []
        with within(path):
            self.data = read_whole(path)
            blocks, rest = divmod(len(self.data), BLOCK)
            must(rest == 0 and blocks % 2 == 0 and blocks >= 6, f"a length of {len(self.data)} bytes")
            self.slot_count = (blocks - 4) // 2 * 32
            self.header = self._choose_header(tenant_id)

    def block(self, index: int) -> bytes:
        return self.data[index * BLOCK : (index + 1) * BLOCK]

    def _open_section_key(self, header: KeyringHeader) -> bytes:
        raise NotImplementedError

    def _choose_header(self, tenant_id: bytes) -> KeyringHeader:
        """4.1: the copy with the greatest sequence whose structure section key unwraps and whose MAC verifies."""
        chosen: Optional[KeyringHeader] = None
        for copy in (0, 1):
            try:
                header = parse_keyring_header(self.block(copy), self.magic)
                must(header.tenant_id == tenant_id, "the header is another tenant's")
                structure = self._open_section_key(header)
                header.verify(structure)
            except FormatError as error:
                self.damaged_copies.append(f"{self.path}: header copy {copy}: {error}")
                continue
            if chosen is None or header.sequence > chosen.sequence:
                chosen, self.structure = header, structure
        if chosen is None:
            raise FormatError("no header opens: " + "; ".join(self.damaged_copies))
        self._slot_state = Xaes(expand(self.structure, b"strongroom/1 slot state"))
        return chosen

    # 4.3 Slots

    def twins(self, number: int) -> Tuple[bytes, bytes]:
        pair, index = divmod(number, 32)
        at = (4 + 2 * pair) * BLOCK + 128 * index
        return self.data[at : at + 128], self.data[at + BLOCK : at + BLOCK + 128]

    def open_state(self, number: int, data: bytes) -> Slot:
        header = self.header
        aad = b"strongroom/1 slot state" + header.store_id + header.tenant_id + u64(number) + data[24:72]
        state = self._slot_state.open(data[0:24], aad, data[72:112], data[112:128], f"the state of slot {number}")
        slot = Slot(number, state[0], state[1], little(state[2:8]), state[8:40], data)
        must(slot.kind in self.kinds, f"slot {number} is of kind {slot.kind}")
        must(slot.state in STATE_NAMES, f"slot {number} is in state {slot.state}")
        if slot.state == STATE_POOLED:
            must(slot.kind in (KIND_PERIOD, KIND_SUBJECT), f"slot {number} of kind {slot.kind} is pooled")
        if slot.state == STATE_DESTROYED:
            must_be_zero(slot.commitment, f"the commitment of the tombstone in slot {number}")
        return slot

    def slot(self, number: int) -> Slot:
        """A tombstone where either twin authenticates as one, else a twin that authenticates."""
        must(number != 0, "slot 0 is never used")
        opened = []
        for data in self.twins(number) if number < self.slot_count else ():
            if not is_zero(data):
                with contextlib.suppress(FormatError):
                    opened.append(self.open_state(number, data))
        if not opened:
            raise KeyMissing(f"{self.path}: slot {number}: key missing")
        return next((slot for slot in opened if slot.state == STATE_DESTROYED), opened[0])

    def open_key(self, slot: Slot, section_key: bytes) -> bytes:
        header = self.header
        aad = b"strongroom/1 slot key" + header.store_id + header.tenant_id + bytes([slot.kind]) + u64(slot.number)
        sealing = Xaes(expand(section_key, b"strongroom/1 slot key"))
        what = f"the key of slot {slot.number}"
        key = sealing.open(slot.data[0:24], aad, slot.data[24:56], slot.data[56:72], what)
        info = b"strongroom/1 commitment" + bytes([slot.kind]) + u64(slot.number) + header.tenant_id
        must(hmac.compare_digest(expand(key, info), slot.commitment), f"{what} is not the one committed to")
        return key


class Keyring(KeyFile):
    """4. `<tenant id>.keyring`"""

    magic = b"SRKEYRNG"
    kinds = (KIND_STRUCTURE, KIND_DATA, KIND_PERIOD)

    def __init__(self, region: Region, tenant_id: bytes, provider) -> None:
        self._provider = provider
        resealed = region.keyring_path(tenant_id)[: -len(".keyring")] + ".resealed"
        if os.path.exists(resealed):
            with open(resealed, "rb") as file:
                begin = file.read(BLOCK + 8)
            must(b"SRRESEAL" not in (begin[:8], begin[BLOCK:]), f"{resealed}: new section keys were being made: open the store first")
        super().__init__(region.keyring_path(tenant_id), tenant_id)
        self._keys: Dict[Tuple[int, int], bytes] = {}
        with within(self.path):
            self.content = provider.unwrap(self.header.wrapped_content, self._context(self.header, 2))
            self.anchor = self._choose_anchor()
        self.subjects: Optional[SubjectSlots] = None
        if os.path.exists(region.slots_path(tenant_id)) and not holds_nothing(region.slots_path(tenant_id)):
            self.subjects = SubjectSlots(region.slots_path(tenant_id), self)

    # 4.2 Section keys

    @staticmethod
    def _context(header: KeyringHeader, section: int) -> bytes:
        return b"strongroom/1 wrap" + header.store_id + header.tenant_id + bytes([section])

    def _open_section_key(self, header: KeyringHeader) -> bytes:
        return self._provider.unwrap(header.wrapped_structure, self._context(header, 1))

    def section_key(self, kind: int) -> bytes:
        return self.structure if kind == KIND_STRUCTURE else self.content

    # 4.3, 4.4

    def key(self, kind: int, number: int) -> bytes:
        """The key in a slot, which has to be of that kind and live."""
        if (kind, number) not in self._keys:
            file: Optional[KeyFile] = self.subjects if kind == KIND_SUBJECT else self
            if file is None:
                raise KeyMissing(f"{self.path}: there is no file of subject slots: key missing")
            slot = file.slot(number)
            with within(file.path):
                must(slot.kind == kind, f"slot {number} is not of kind {KIND_NAMES[kind]}")
                if slot.state == STATE_DESTROYED:
                    raise KeyDestroyed(f"slot {number}: the key is destroyed")
                # 4.3: whether a pooled slot is assigned, the tenant's rows say; this record's envelope does.
                self._keys[kind, number] = file.open_key(slot, self.section_key(kind))
        return self._keys[kind, number]

    # 4.5 Anchor

    def _open_anchor(self, data: bytes) -> Anchor:
        aad = b"strongroom/1 anchor" + self.header.store_id + self.header.tenant_id
        sealing = Xaes(expand(self.structure, b"strongroom/1 anchor"))
        plain = sealing.open(data[0:24], aad, data[24:144], data[144:160], "the anchor")
        must_be_zero(data[160:], "the rest of the anchor's block")
        must_be_zero(plain[116:120], "bytes 116..120 of the anchor")
        return Anchor(
            sequence=little(plain[0:8]),
            current_file=plain[8:24],
            next_file=plain[24:40],
            previous_file=plain[40:56],
            current_epoch=little(plain[56:60]),
            next_epoch=little(plain[60:64]),
            previous_epoch=little(plain[64:68]),
            timeline=little(plain[68:72]),
            commit_sequence=little(plain[72:80]),
            flags=little(plain[80:84]),
            ledger_entries=little(plain[84:92]),
            ledger_mac=plain[92:116],
        )

    def _choose_anchor(self) -> Anchor:
        """The copy with the greater sequence that authenticates."""
        opened = []
        for copy in (0, 1):
            try:
                anchor = self._open_anchor(self.block(2 + copy))
                # A new keyring has sequence 1 in both copies; every later sequence has a copy of its own.
                in_place = anchor.sequence == 1 or anchor.sequence % 2 == copy
                must(in_place, f"anchor sequence {anchor.sequence} lies in copy {copy}")
                opened.append(anchor)
            except FormatError as error:
                self.damaged_copies.append(f"{self.path}: anchor copy {copy}: {error}")
        must(bool(opened), "no anchor opens")
        anchor = max(opened)
        must(not is_zero(anchor.current_file), "the anchor names no current file")
        must(anchor.current_epoch != 0, "the anchor names no structure slot")
        must(anchor.flags & ~3 == 0, f"the anchor has unknown flags {anchor.flags:#x}")
        version = anchor.timeline, anchor.commit_sequence
        must(version == (0, 0) if anchor.no_file else min(version) >= 1, f"the anchor's checkpoint is {version}")
        return anchor


def holds_nothing(path: str) -> bool:
    """4.6: what an interrupted creation left, no slot of which was ever filled, is as good as no file."""
    data = read_whole(path)
    return len(data) <= 6 * BLOCK and is_zero(data[4 * BLOCK :])


class SubjectSlots(KeyFile):
    """4.6 `<tenant id>.slots`"""

    magic = b"SRSLOTS1"
    kinds = (KIND_SUBJECT,)

    def __init__(self, path: str, keyring: Keyring) -> None:
        self._keyring = keyring
        super().__init__(path, keyring.header.tenant_id)
        with within(path):
            must(self.header.store_id == keyring.header.store_id, "the store id is not the keyring's")
            must_be_zero(self.block(2) + self.block(3), "blocks 2 and 3")

    def _open_section_key(self, header: KeyringHeader) -> bytes:
        return self._keyring.structure


# 4.8 Erasure ledger

LEDGER_EVENTS = {1: "structure key", 2: "data key", 3: "period key", 4: "subject key", 16: "tenant", 17: "receipt", 18: "scrubbed"}


def read_ledger(path: str, system_structure: bytes, ids: bytes, anchor: Optional[Anchor]) -> List[str]:
    """The names of its events. Entries beyond those that the anchor knows count if they authenticate. Of an erased tenant there
    is no anchor, and everything has to."""
    key = expand(expand(system_structure, b"strongroom/1 ledgers"), b"strongroom/1 ledger" + ids)
    if anchor is None:
        return read_entries(read_whole(path), key, ids, None)
    if not os.path.exists(path):
        must(anchor.ledger_entries == 0, f"there is no ledger, but {anchor.ledger_entries} entries were written")
        return []
    data = read_whole(path)
    there = max(len(data) // 128 - 1, 0)
    must(there >= anchor.ledger_entries, f"{there} entries, but {anchor.ledger_entries} were written: rolled back")
    return read_entries(data, key, ids, anchor)


def read_entries(data: bytes, key: bytes, ids: bytes, anchor: Optional[Anchor]) -> List[str]:
    there = max(len(data) // 128 - 1, 0)
    if anchor is None:
        must(len(data) % 128 == 0 and there > 0, "it does not end with a whole entry")
    known = there if anchor is None else anchor.ledger_entries
    if known:
        check_version(data, b"SRLEDGER", data[12:24])
        must_be_zero(data[10:12] + data[56:104], "bytes 10..12 or 56..104")
        must(data[24:56] == ids, "it is another tenant's")
        must(hmac.compare_digest(mac(key, data[:104])[:24], data[104:128]), "the header does not authenticate")
    events: List[str] = []
    previous = bytes(24)
    for number in range(1, there + 1):
        entry = data[128 * number : 128 * (number + 1)]
        is_known = number <= known
        if not hmac.compare_digest(mac(key, previous + entry[:104])[:24], entry[104:128]):
            must(not is_known, f"entry {number} does not authenticate")
            break
        previous = entry[104:128]
        must(little(entry[0:8]) == number, f"entry {number} has another number")
        kind, slot, through, deadline = entry[16], entry[24:32], entry[32:44], entry[44:52]
        must(kind in LEDGER_EVENTS, f"entry {number} is of kind {kind}")
        must_be_zero(entry[17:24] + entry[52:104], f"bytes of entry {number}")
        must(is_zero(slot) == (kind > 4) and is_zero(through) == (kind <= 16) and is_zero(deadline) == (kind != 17), f"entry {number} has a wrong field")
        if anchor is not None and number == known:
            must(previous == anchor.ledger_mac, f"entry {number} is not the one that the anchor knows")
        events.append(LEDGER_EVENTS[kind])
    return events


# ---------------------------------------------------------------------------------------------------------
# 5. Sealed file


class SealedFile:
    """The logical blocks of `<tenant id>.<file id>.redb`: `count` of them, opened one by one by `read`.
    `files` closes the file."""

    def __init__(self, path: str, file_id: bytes, keyring: Keyring, files: contextlib.ExitStack) -> None:
        self.path = path
        self.damaged_copies: List[str] = []
        self._tags: Dict[int, bytes] = {}
        with within(path):
            self._file = files.enter_context(open(path, "rb"))
            physical, rest = divmod(os.fstat(self._file.fileno()).st_size, BLOCK)
            must(rest == 0 and physical >= 3, "the length is not a whole number of blocks, at least 3")
            full, part = divmod(physical - 3, 65)
            must(part != 1, "a tag block without a block after it")
            self.count = 1 + 64 * full + (part - 1 if part else 0)
            self._read_header(file_id, keyring)
            self._block0 = self._choose_root()

    def _physical(self, index: int) -> bytes:
        self._file.seek(index * BLOCK)
        data = self._file.read(BLOCK)
        must(len(data) == BLOCK, f"physical block {index} is cut short")
        return data

    # 5.1 File header

    def _read_header(self, file_id: bytes, keyring: Keyring) -> None:
        data = self._physical(0)
        check_version(data, b"SRSEALED", data[12:24])
        must_be_zero(data[10:12], "bytes 10..12")
        must_be_zero(data[76:80], "bytes 76..80")
        must_be_zero(data[88:4064], "bytes 88..4064")
        must(data[24:40] == keyring.header.store_id, "the store id is not the keyring's")
        must(data[40:56] == keyring.header.tenant_id, "the file is another tenant's")
        must(data[56:72] == file_id, "the file id is not that of the file's name")
        self.file_id, self.epoch = file_id, little(data[72:76])
        epoch_key = keyring.key(KIND_STRUCTURE, self.epoch)
        key = expand(epoch_key, b"strongroom/1 file header" + file_id)
        must_verify(key, data[0:4064], data[4064:4096], "the header")
        self._blocks = Xaes(expand(epoch_key, b"strongroom/1 block" + file_id))

    # 5.2 Tag blocks

    def tag_entry(self, logical: int) -> Optional[bytes]:
        """None for a block that was never written."""
        group, index = divmod(logical - 1, 64)
        if group not in self._tags:
            self._tags[group] = self._physical(3 + 65 * group)
        entry = self._tags[group][64 * index : 64 * index + 64]
        return None if is_zero(entry) else entry

    def read(self, logical: int) -> bytes:
        with within(self.path):
            must(0 <= logical < self.count, f"logical block {logical} is past the end")
            if logical == 0:
                return self._block0
            entry = self.tag_entry(logical)
            what = f"logical block {logical}"
            must(entry is not None, f"{what} was never written")
            must_be_zero(entry[44:48], f"bytes 44..48 of the tag of {what}")
            must_be_zero(entry[56:64], f"bytes 56..64 of the tag of {what}")
            must(little(entry[40:44]) == self.epoch, f"{what} is of another epoch")
            group, index = divmod(logical - 1, 64)
            aad = b"strongroom/1 block" + self.file_id + u64(logical) + entry[40:44] + entry[48:56]
            sealed = self._physical(4 + 65 * group + index)
            return self._blocks.open(entry[0:24], aad, sealed, entry[24:40], what)

    # 5.3 Root slots

    def _choose_root(self) -> bytes:
        """Logical block 0: the root slot with the greater sequence that authenticates."""
        chosen: Optional[Tuple[int, bytes]] = None
        self.root_slots = 0
        for slot in (0, 1):
            data = self._physical(1 + slot)
            if is_zero(data):
                continue  # never written
            self.root_slots += 1
            try:
                must_be_zero(data[44:48] + data[56:64], "bytes 44..48 or 56..64")
                must(little(data[40:44]) == self.epoch, "another epoch")
                aad = b"strongroom/1 root" + self.file_id + bytes([slot]) + data[40:44] + data[48:56]
                plain = self._blocks.open(data[0:24], aad, data[64:4096], data[24:40], "the block")
            except FormatError as error:
                self.damaged_copies.append(f"{self.path}: root slot {slot}: {error}")
                continue
            sequence = little(data[48:56])
            if chosen is None or sequence > chosen[0]:
                chosen = sequence, plain
        must(chosen is not None, "no root slot opens")
        return chosen[1] + bytes(64)


# ---------------------------------------------------------------------------------------------------------
# 6. redb


class RedbRoot(NamedTuple):
    """6.2: names a tree. The checksum is not used: every block was authenticated."""

    page: int
    length: int


class RedbTable(NamedTuple):
    """6.5"""

    kind: int
    root: Optional[RedbRoot]
    key_width: Optional[int]
    value_width: Optional[int]
    key_type: bytes
    value_type: bytes


BYTES_TYPE = b"\x01&[u8]"
TREE_DEPTH_MAX = 128


class Redb:
    """A redb database over anything with a `count` of blocks and a `read` of one."""

    def __init__(self, blocks) -> None:
        self._blocks = blocks
        self._read_super_header(blocks.read(0))
        tables = {}
        for name, definition in self.rows(self.user_root):
            table = parse_table_definition(definition)
            what = text(name, "a table's name")
            must(table.kind == 3, f"table {what}: kind {table.kind}")
            must(table.key_width is None and table.value_width is None, f"table {what}: fixed widths")
            must(table.key_type == BYTES_TYPE and table.value_type == BYTES_TYPE, f"table {what}: not of &[u8]")
            tables[what] = table
        self.tables: Dict[str, RedbTable] = tables

    # 6.1 Super-header

    def _read_super_header(self, block: bytes) -> None:
        must(block[0:9] == b"redb\x1a\x0a\xa9\x0d\x0a", "not a redb database")
        god_byte = block[9]
        must(god_byte & 4 != 0, "the primary commit slot was not committed in two phases")
        must(god_byte & 0xF8 == 0, f"unknown bits in the god byte {god_byte:#x}")
        self.clean = god_byte & 2 == 0
        page_size, self._header_pages, self._data_pages, full, trailing = (
            little(block[at : at + 4]) for at in (12, 16, 20, 24, 28)
        )
        must(page_size == BLOCK, f"pages of {page_size} bytes")
        must(self._header_pages <= 1 << 20, f"{self._header_pages} header pages in a region")
        must(1 <= self._data_pages <= 1 << 20, f"{self._data_pages} data pages in a region")
        if self.clean:
            length = 1 + full * (self._header_pages + self._data_pages)
            length += self._header_pages + trailing if trailing else 0
            must(length <= self._blocks.count, f"{length} blocks described, {self._blocks.count} there")
        self._read_commit_slot(block[192:320] if god_byte & 1 else block[64:192])

    # 6.2 Commit slot

    def _read_commit_slot(self, slot: bytes) -> None:
        must(slot[0] == 3, f"version {slot[0]} of redb's format")
        self.user_root = parse_root(slot[1], slot[8:40])
        self.system_root = parse_root(slot[2], slot[40:72])
        self.transaction = little(slot[104:112])

    # 6.3 Page numbers

    def page_blocks(self, number: int) -> range:
        """The logical blocks of a page."""
        order, region = number >> 59, number >> 20 & 0xFFFFF
        must(order <= 20, f"a page of order {order}")
        index = number & (0xFFFFF >> order)
        must((index + 1) << order <= self._data_pages, f"page {number:#x} passes the end of its region")
        first = 1 + region * (self._header_pages + self._data_pages) + self._header_pages + (index << order)
        must(first + (1 << order) <= self._blocks.count, f"page {number:#x} is past the end")
        return range(first, first + (1 << order))

    # 6.4 Trees

    def rows(
        self,
        root: Optional[RedbRoot],
        key_width: Optional[int] = None,
        value_width: Optional[int] = None,
        ordered: bool = True,
        reached: Optional[Set[int]] = None,
    ) -> Iterator[Tuple[bytes, bytes]]:
        """The rows of a tree in order. Adds the logical blocks of the tree to `reached`."""
        if root is None:
            return
        seen: Set[int] = set()
        count, last = 0, None
        waiting = [(root.page, 1)]  # the last one is next
        while waiting:
            number, depth = waiting.pop()
            must(depth <= TREE_DEPTH_MAX, "the tree is too deep")
            blocks = self.page_blocks(number)
            must(seen.isdisjoint(blocks), f"page {number:#x} is in the tree twice")
            seen.update(blocks)
            page = b"".join(self._blocks.read(block) for block in blocks)
            if page[0] == 2:
                waiting.extend((child, depth + 1) for child in reversed(parse_branch(page, key_width)))
                continue
            for key, value in parse_leaf(page, key_width, value_width):
                must(not ordered or last is None or last < key, "the keys of a tree do not ascend")
                count, last = count + 1, key
                yield key, value
        must(count == root.length, f"a tree of {count} rows, {root.length} expected")
        if reached is not None:
            reached.update(seen)

    def table_rows(self, name: str, reached: Optional[Set[int]] = None) -> Iterator[Tuple[bytes, bytes]]:
        table = self.tables.get(name)
        return self.rows(table.root if table else None, reached=reached)

    def reach(self) -> Set[int]:
        """All logical blocks that the last commit refers to, in the user's tree and redb's own."""
        reached = {0}
        for root in (self.user_root, self.system_root):
            for _, definition in self.rows(root, reached=reached):
                table = parse_table_definition(definition)
                must(table.kind == 3, f"a table of kind {table.kind}")
                for _ in self.rows(table.root, table.key_width, table.value_width, False, reached):
                    pass
        return reached


def parse_root(present: int, data: bytes) -> Optional[RedbRoot]:
    """6.2"""
    return RedbRoot(little(data[0:8]), little(data[24:32])) if present else None


def ends(page: bytes, at: int, count: int, start: int, width: Optional[int]) -> List[int]:
    """6.4: where each of `count` keys or values ends that begin at `start`."""
    if width is not None:
        result = [start + width * (i + 1) for i in range(count)]
    else:
        result = [little(page[at + 4 * i : at + 4 * i + 4]) for i in range(count)]
    must(all(a <= b for a, b in zip([start] + result, result + [len(page)])), "a page with ends out of order")
    return result


def parse_leaf(page: bytes, key_width: Optional[int], value_width: Optional[int]) -> List[Tuple[bytes, bytes]]:
    """6.4"""
    must(page[0] == 1, f"a page of kind {page[0]}")
    count = little(page[2:4])
    must(count >= 1, "an empty leaf")
    value_ends_at = 4 + (4 * count if key_width is None else 0)
    keys_at = value_ends_at + (4 * count if value_width is None else 0)
    key_ends = ends(page, 4, count, keys_at, key_width)
    value_ends = ends(page, value_ends_at, count, key_ends[-1], value_width)
    return [
        (page[key_start:key_end], page[value_start:value_end])
        for key_start, key_end, value_start, value_end in zip(
            [keys_at] + key_ends, key_ends, [key_ends[-1]] + value_ends, value_ends
        )
    ]


def parse_branch(page: bytes, key_width: Optional[int]) -> List[int]:
    """6.4: the page numbers of the children. Keys of branches are only needed to find one key."""
    count = little(page[2:4])
    must(count >= 1, "an empty branch")
    children_at = 24 + 16 * count
    keys_at = 32 + (28 if key_width is None else 24) * count
    must(keys_at <= len(page), "a branch with more children than it has room for")
    ends(page, 32 + 24 * count, count, keys_at, key_width)
    return [little(page[children_at + 8 * i : children_at + 8 * i + 8]) for i in range(count + 1)]


def parse_table_definition(data: bytes) -> RedbTable:
    """6.5"""
    must(len(data) >= 64, "a table's definition is cut short")
    length, root = little(data[1:9]), parse_root(data[9], data[10:42])
    must(length == (root.length if root else 0), "a table's number of rows is not its tree's")
    must(little(data[52:56]) == 1 and little(data[56:60]) == 1, "a table with an alignment")
    key_type_end = 64 + little(data[60:64])
    return RedbTable(
        kind=data[0],
        root=root,
        key_width=little(data[43:47]) if data[42] else None,
        value_width=little(data[48:52]) if data[47] else None,
        key_type=data[64:key_type_end],
        value_type=data[key_type_end:],
    )


# ---------------------------------------------------------------------------------------------------------
# 7. Tables of a tenant

TENANT_ACTIVE, TENANT_SUSPENDED, TENANT_REMOVED = 1, 2, 3
TENANT_STATES = {TENANT_ACTIVE: "active", TENANT_SUSPENDED: "suspended", TENANT_REMOVED: "removed"}
LEAVING_ERASED = 2
LEAVING_STATES = (1, LEAVING_ERASED, 3, 4)
LANE_SHARED, LANE_OWN = 1, 2
LANES = {LANE_SHARED: "shared", LANE_OWN: "own"}


class Cursor:
    """Reads fields one after the other; all bytes have to be used."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._at, self._what = data, 0, what

    def take(self, size: int) -> bytes:
        must(self._at + size <= len(self._data), f"{self._what} is cut short")
        self._at += size
        return self._data[self._at - size : self._at]

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def number(self, size: int) -> int:
        return little(self.take(size))

    def taken(self) -> bytes:
        return self._data[: self._at]

    def is_at_end(self) -> bool:
        return self._at == len(self._data)

    def end(self) -> None:
        must(self._at == len(self._data), f"{self._what} is too long")


POLICY_FIELDS = set(range(1, 9))


class TenantRow(NamedTuple):
    """7.3, `t`"""

    name: str
    tenant_id: bytes
    state: int
    lane: int
    created: int
    region: str


class Directory(NamedTuple):
    """7.3"""

    collections: Dict[int, str]
    tenants: Dict[str, TenantRow]
    #: By region and id.
    erased: List[Tuple[str, bytes]]
    regions: Dict[str, Region]
    dropped: Set[int]
    indexes: Dict[Tuple[int, int], str]
    holds: List[Tuple[int, bytes]]

    def is_held(self, record: "Record") -> bool:
        """Whether a hold covers a record: its kind, and what it names."""
        row = record.collection_id.to_bytes(8, "big") + record.key
        for kind, covered in self.holds:
            if kind == HOLD_SUBJECT:
                is_held = record.subject_slot == little(covered)
            elif kind == HOLD_RECORD:
                is_held = row == covered
            else:
                is_held = row.startswith(covered)
            if is_held:
                return True
        return False


def row_version(cursor: Cursor, what: str) -> None:
    version = cursor.number(1)
    must(version == 1, f"{what} has version {version}")


def check_slot_row(key: bytes, value: bytes, what: str) -> None:
    """7.4: what the slots of the key store are for. Records name theirs, so that nothing is read of these rows."""
    lengths = {b"p": (8, 4), b"s": (None, 8), b"n": (0, 8), b"d": (9, 0), b"r": (8, 0), b"c": (4, 8), b"o": (8, 0)}
    must(key[:1] in lengths, f"{what} is unknown")
    key_length, value_length = lengths[key[:1]]
    if key_length is None:
        check_name(key[1:], "a subject's name")
    else:
        must(len(key) == 1 + key_length, f"{what} is malformed")
    must(len(value) == value_length, f"the value of {what} is malformed")


def check_upload(name: bytes, cursor: "Cursor", what: str) -> None:
    """7.3: a large value that is on its way. No record names it yet."""
    must(len(name) == 16, f"{what} has no chunk set id")
    flags = cursor.number(2)
    must(flags & ~4095 == 0 and flags & 2304 != 2048 and flags & 384 != 384 and flags & 24 != 24 and flags & 96 != 96, f"{what} has flags {flags:#x}")
    cursor.take(8 + 4 + 8 + 4 + 4 * (flags & 1) + 8 * (flags >> 1 & 1) + 8 * (flags >> 10 & 1) + 8 * (flags >> 2 & 1) + 12 * (flags >> 4 & 1))
    cursor.take(8 if flags & 384 else 0)
    for _ in range(cursor.number(1) if flags & 512 else 0):
        check_name(cursor.take(cursor.number(1)), "an index's name")
        cursor.take(cursor.number(2))
    must(1 <= len(cursor.rest()) <= RECORD_KEY_BYTES_MAX, f"{what} has no record key")


def check_copy(name: bytes, cursor: "Cursor", what: str) -> None:
    """7.3: a large value that is sealed anew. The record still names the set that it is copied from."""
    must(len(name) == 16, f"{what} has no chunk set id")
    flags = cursor.number(1)
    must(flags & ~7 == 0, f"{what} has flags {flags:#x}")
    cursor.take(16 + 8 + 8 + 4 + 4 * (flags & 1) + 8 * (flags >> 1 & 1) + 8 * (flags >> 2 & 1))
    must(1 <= len(cursor.rest()) <= RECORD_KEY_BYTES_MAX, f"{what} has no record key")


HOLD_TENANT, HOLD_COLLECTION, HOLD_PREFIX, HOLD_RECORD, HOLD_SUBJECT = range(1, 6)


def parse_hold(name: bytes, cursor: "Cursor", what: str) -> Tuple[int, bytes]:
    """7.3: what a hold covers."""
    check_name(name, "a hold's name")
    cursor.number(8)
    kind = cursor.number(1)
    must(HOLD_TENANT <= kind <= HOLD_SUBJECT, f"{what} covers something of kind {kind}")
    if kind == HOLD_TENANT:
        return kind, b""
    covered = cursor.take(8)
    if kind == HOLD_SUBJECT:
        must(little(covered) > 0, f"{what} names no slot")
        check_name(cursor.rest(), "a subject's name")
    elif kind != HOLD_COLLECTION:
        rest = cursor.rest()
        must((kind == HOLD_PREFIX or rest != b"") and len(rest) <= RECORD_KEY_BYTES_MAX, f"{what} is malformed")
        covered += rest
    return kind, covered


def read_directory(rows: Iterator[Tuple[bytes, bytes]], is_system: bool) -> Directory:
    """7.3"""
    names_by_id: Dict[bytes, str] = {}
    directory = Directory({}, {}, [], {}, set(), {}, [])
    for key, value in rows:
        kind, name = key[:1], key[1:]
        what = f"row {key!r} of the directory"
        if kind == b"s":
            check_slot_row(name, value, what)
            continue
        if kind == b"e":
            must(name in (b"", b"s") and len(value) == 9, f"{what} is malformed")
            row_version(Cursor(value, what), what)
            continue
        known = (b"c", b"d", b"p", b"u", b"t", b"i", b"r", b"h", b"n") if is_system else (b"c", b"d", b"p", b"u", b"k", b"K", b"i", b"q", b"o", b"w")
        must(kind in known, f"an unknown row {key!r} in the directory")
        cursor = Cursor(value, what)
        if kind == b"i" and is_system:
            must(len(name) == 16, f"{what} has no tenant id")
            names_by_id[name] = check_name(value, "a tenant's name")
            continue
        row_version(cursor, what)
        if kind == b"u":
            check_upload(name, cursor, what)
        elif kind == b"k":
            check_copy(name, cursor, what)
        elif kind == b"K":
            must(name == b"" and cursor.number(4) > 0, f"{what} names no data key")
            cursor.take(16)
        elif kind == b"o":
            directory.holds.append(parse_hold(name, cursor, what))
        elif kind == b"c":
            collection_id = int.from_bytes(cursor.take(8), "big")
            cursor.number(8)
            must(collection_id not in directory.collections, f"{what} shares its id with another collection")
            directory.collections[collection_id] = check_name(name, "a collection's name")
        elif kind == b"d":
            must(len(name) in (8, 16), f"{what} has no collection id")
            cursor.number(8)
            if len(name) == 8:
                directory.dropped.add(int.from_bytes(name, "big"))
        elif kind == b"q":
            must(len(name) in (0, 8), f"{what} has no collection id")
            cursor.take(16)
        elif kind == b"i":
            place = (int.from_bytes(name[:8], "big"), int.from_bytes(cursor.take(8), "big"))
            must(place[1] != 0 and place not in directory.indexes, f"{what} has an id that is not its own")
            index_kind, state = cursor.number(1), cursor.number(1)
            must(index_kind in (1, 2) and state in (1, 2), f"{what} is of an unknown kind or in an unknown state")
            cursor.number(8)
            check_name(name[8:], "an index's name")
            directory.indexes[place] = "unique" if index_kind == 1 else "ordered"
        elif kind == b"w":
            must(len(name) in (0, 8), f"{what} has no collection id")
            cursor.number(8)
        elif kind == b"p":
            must(len(name) in (0, 8), f"{what} has no collection id")
            fields = []
            while not cursor.is_at_end():
                fields.append(cursor.number(1))
                must(cursor.number(8) < 2 or fields[-1] < 6, f"{what} has a field {fields[-1]} that says neither yes nor no")
            must(fields == sorted(set(fields)) and set(fields) <= POLICY_FIELDS, f"{what} has fields {fields}")
        elif kind == b"n":
            must(len(name) == 16, f"{what} has no tenant id")
            state = cursor.number(1)
            must(state in LEAVING_STATES, f"{what} is in an unknown state")
            must(cursor.number(1) in LANES, f"{what} is in a lane of an unknown kind")
            cursor.take(16)
            region = check_region_name(cursor.take(cursor.number(1)), "the region's name")
            if state == LEAVING_ERASED:
                directory.erased.append((region, name))
        elif kind == b"h":
            must(name == b"", f"{what} is not the one of its kind")
            cursor.number(8)
            cursor.number(8)
        elif kind == b"t":
            row = TenantRow(
                name=check_name(name, "a tenant's name"),
                tenant_id=cursor.take(16),
                state=cursor.number(1),
                lane=cursor.number(1),
                created=cursor.number(8),
                region=check_region_name(cursor.take(cursor.number(1)), "the region's name"),
            )
            must(row.state in TENANT_STATES, f"{what} is in state {row.state}")
            if row.state == TENANT_REMOVED:
                must(cursor.number(1) in (TENANT_ACTIVE, TENANT_SUSPENDED), f"{what} was in an unknown state")
                removed, purge = cursor.number(8), cursor.number(8)
                must(removed <= purge, f"{what} is to be erased before it was removed")
            must(row.lane in LANES, f"{what} is in a lane of kind {row.lane}")
            directory.tenants[row.name] = row
        else:
            region = check_region_name(name, "a region's name")
            cursor.number(8)
            root = text(cursor.take(cursor.number(2)), "a path")
            keys = text(cursor.take(cursor.number(2)), "a path")
            must(os.path.isabs(root) and os.path.isabs(keys), f"{what} holds a path that is not absolute")
            directory.regions[region] = Region(region, root, keys)
        cursor.end()
    expected = {row.tenant_id: row.name for row in directory.tenants.values()}
    must(len(expected) == len(directory.tenants), "two tenants share an id")
    must(names_by_id == expected, "the rows of tenants by name and by id do not agree")
    must(not directory.dropped & directory.collections.keys(), "a collection is there and dropped")
    return directory


# ---------------------------------------------------------------------------------------------------------
# 8. Record envelope


class ChunkSet(NamedTuple):
    """8, bit 3"""

    set_id: bytes
    value_bytes: int
    chunk_bytes: int

    @property
    def count(self) -> int:
        return max(1, -(-self.value_bytes // self.chunk_bytes))

    def bytes_of(self, index: int) -> int:
        return min(self.chunk_bytes, self.value_bytes - index * self.chunk_bytes)


class Record(NamedTuple):
    collection_id: int
    key: bytes
    timeline: int
    sequence: int
    data_slot: int
    period_slot: Optional[int]
    subject_slot: Optional[int]
    own_slot: Optional[int]
    written: int
    expires: Optional[int]
    chunks: Optional[ChunkSet]
    head: bytes  # suite .. chunks
    salt: bytes
    ciphertext: bytes
    tag: bytes


def parse_record(key: bytes, value: bytes) -> Record:
    """7.1 and 8"""
    must(9 <= len(key) <= 8 + RECORD_KEY_BYTES_MAX, f"a record's key of {len(key) - 8} bytes")
    cursor = Cursor(value, f"the row of record {key.hex()}")
    timeline, sequence = cursor.number(4), cursor.number(8)
    cursor = Cursor(cursor.rest(), f"the envelope of record {key.hex()}")
    suite, flags = cursor.number(1), cursor.number(1)
    must(suite == 1, f"a record of suite {suite}")
    must(flags & ~95 == 0 and flags & 68 != 64, f"a record with flags {flags:#x}")
    data_slot = cursor.number(4)
    period_slot = cursor.number(4) if flags & 1 else None
    subject_slot = cursor.number(8) if flags & 2 else None
    own_slot = cursor.number(8) if flags & 16 else None
    written = cursor.number(8)
    expires = cursor.number(8) if flags & 4 else None
    chunks = ChunkSet(cursor.take(16), cursor.number(8), cursor.number(4)) if flags & 8 else None
    if chunks:
        must(chunks.value_bytes <= LARGE_VALUE_BYTES_MAX, f"a value of {chunks.value_bytes} bytes")
        must(1024 <= chunks.chunk_bytes <= 1048576, f"chunks of {chunks.chunk_bytes} bytes")
        must(chunks.count < 1 << 32, f"{chunks.count} chunks")
    head, salt, sealed = cursor.taken(), cursor.take(24), cursor.rest()
    limit = 0 if chunks else VALUE_BYTES_MAX
    must(16 <= len(sealed) <= 16 + limit, f"a record's value of {len(sealed) - 16} bytes in its envelope")
    return Record(
        collection_id=int.from_bytes(key[:8], "big"),
        key=key[8:],
        timeline=timeline,
        sequence=sequence,
        data_slot=data_slot,
        period_slot=period_slot,
        subject_slot=subject_slot,
        own_slot=own_slot,
        written=written,
        expires=expires,
        chunks=chunks,
        head=head,
        salt=salt,
        ciphertext=sealed[:-16],
        tag=sealed[-16:],
    )


def record_prk(record: Record, keyring: Keyring) -> bytes:
    """8"""
    ikm = b""
    for kind, number in (
        (KIND_DATA, record.data_slot),
        (KIND_PERIOD, record.period_slot),
        (KIND_SUBJECT, record.subject_slot),
        (KIND_SUBJECT, record.own_slot),
    ):
        if number is not None:
            ikm += bytes([kind]) + u64(number) + keyring.key(kind, number)
    return extract(keyring.header.store_id + keyring.header.tenant_id, ikm)


def open_envelope(record: Record, keyring: Keyring) -> bytes:
    """8"""
    header = keyring.header
    record_key = expand(record_prk(record, keyring), b"strongroom/1 record" + record.salt)
    aad = b"strongroom/1 record" + record.head + header.tenant_id + record.collection_id.to_bytes(8, "big") + record.key
    return gcm_open(record_key, record.salt[12:24], aad, record.ciphertext, record.tag, "the value")


def open_chunks(record: Record, rows: Dict[int, bytes], keyring: Keyring) -> Iterator[bytes]:
    """8.1"""
    chunks, prk = record.chunks, record_prk(record, keyring)
    aad = b"strongroom/1 chunk\x01" + u32(chunks.chunk_bytes) + keyring.header.tenant_id
    aad += record.collection_id.to_bytes(8, "big") + chunks.set_id + record.key
    for index in range(chunks.count):
        must(index in rows, f"chunk {index} is missing")
        row = rows[index]
        must(len(row) == 40 + chunks.bytes_of(index), f"chunk {index} has {len(row)} bytes")
        chunk_key = expand(prk, b"strongroom/1 chunk" + row[:24] + chunks.set_id)
        nonce = u64(index) + bytes(3) + bytes([index == chunks.count - 1])
        yield gcm_open(chunk_key, nonce, aad, row[24:-16], row[-16:], f"chunk {index}")


# ---------------------------------------------------------------------------------------------------------
# 9. Journal

FIRST_BATCH = 4096
ALIGNMENT = 64
SEGMENT_LOG, SEGMENT_COLD = 1, 2
BATCH_FRAMES, BATCH_INDEX = 1, 2
LANE_OPEN, LANE_CLOSED = 1, 2
SEGMENT_NAME = re.compile(r"([0-9a-f]{16})\.journal")

# A place in the order in which a lane is read: whether in the log, segment, offset.
Position = Tuple[bool, int, int]


class LaneKeys:
    """The keys of one lane, and what it is bound to."""

    def __init__(self, system_structure_section_key: bytes, store_id: bytes, lane_id: bytes, region: str) -> None:
        lanes = expand(system_structure_section_key, b"strongroom/1 lanes")
        bound = lane_id + region.encode()
        self.store_id, self.lane_id = store_id, lane_id
        self.segment = expand(lanes, b"strongroom/1 lane segment" + bound)
        self.batch = expand(lanes, b"strongroom/1 lane batch" + bound)
        self.state = expand(lanes, b"strongroom/1 lane state" + bound)


class End(NamedTuple):
    """Where batches end: the segment, the offset, the lane sequence of the last one and its MAC."""

    segment: int
    offset: int
    sequence: int
    mac: bytes

    def check(self) -> None:
        must(self.offset % ALIGNMENT == 0, f"batches end at offset {self.offset}")
        must(self.segment == 0 or self.offset >= FIRST_BATCH, f"batches end at offset {self.offset}")
        must(self.segment != 0 or self.offset == 0, "an offset in no segment")
        must(self.sequence != 0 or is_zero(self.mac), "the MAC of no batch")


# 9.1 Segments


class SegmentHeader(NamedTuple):
    number: int
    kind: int
    before: End
    created: int


def parse_segment_header(data: bytes, keys: LaneKeys, number: int) -> SegmentHeader:
    """One of its two copies, whose MAC verifies."""
    check_version(data, b"SRJOURNL", data[12:24])
    must(data[10] in (SEGMENT_LOG, SEGMENT_COLD), f"a segment of kind {data[10]}")
    must_be_zero(data[11:12], "byte 11")
    must_be_zero(data[128:480], "bytes 128..480")
    must(data[24:40] == keys.store_id and data[40:56] == keys.lane_id, "the segment is another lane's")
    must(little(data[56:64]) == number, "the number is not that of the file's name")
    before = End(little(data[64:72]), little(data[72:80]), little(data[80:88]), data[96:128])
    before.check()
    must(before.segment < number, f"segment {before.segment} is said to be before segment {number}")
    must(data[10] == SEGMENT_LOG or before == (0, 0, 0, bytes(32)), "a cold segment names one before it")
    return SegmentHeader(number, data[10], before, little(data[88:96]))


# 9.2 Batches


class IndexEntry(NamedTuple):
    last: int
    tag: bytes


class Batch(NamedTuple):
    """A batch whose MAC verifies."""

    offset: int
    length: int
    sequence: int
    synced_through: int
    own_through: Optional[int]  # no later one up to this one has a frame of the tenant whose id is the lane's
    mac: bytes
    frames: List["Frame"]
    index: Optional[Dict[bytes, IndexEntry]]
    whole: bool

    @property
    def next_offset(self) -> int:
        return -(-(self.offset + self.length) // ALIGNMENT) * ALIGNMENT


def parse_batch(data: bytes, offset: int, keys: LaneKeys, number: int) -> Optional[Batch]:
    """None where no batch begins whose MAC verifies."""
    head = data[offset : offset + 40]
    length, kind, count = little(head[8:12]), head[12:13], little(head[32:36])
    if head[:4] != b"SRB1" or length < 72 or offset + length > len(data):
        return None
    end = offset + length
    covered, frames = data[offset + 40 : end - 32], []
    if kind == bytes([BATCH_FRAMES]):
        frames, at = [], offset + 40
        for _ in range(count):
            frame = parse_frame(data, at, end - 32)
            if frame is None:
                return None
            frames.append(frame)
            at = frame.end
        if at != end - 32:
            return None
        covered = b"".join(frame.clear + frame.nonce + frame.tag for frame in frames)
    elif kind != bytes([BATCH_INDEX]) or len(covered) != 40 * count:
        return None
    if not hmac.compare_digest(mac(keys.batch, u64(number) + head[8:40] + covered), data[end - 32 : end]):
        return None
    must_be_zero(head[13:16], f"bytes 13..16 of the batch at {offset}")
    own = little(head[36:40])
    batch = Batch(
        offset=offset,
        length=length,
        sequence=little(head[16:24]),
        synced_through=little(head[24:32]),
        own_through=little(head[16:24]) - own + 1 if own else None,
        mac=data[end - 32 : end],
        frames=frames,
        index=parse_index(covered) if kind == bytes([BATCH_INDEX]) else None,
        whole=zlib.crc32(data[offset + 8 : end]) == little(head[4:8]),
    )
    padding = data[end : batch.next_offset]
    return batch._replace(whole=batch.whole and len(padding) == batch.next_offset - end and is_zero(padding))


def parse_index(data: bytes) -> Dict[bytes, IndexEntry]:
    entries = {}
    for at in range(0, len(data), 40):
        entries[data[at : at + 16]] = IndexEntry(little(data[at + 16 : at + 24]), data[at + 24 : at + 40])
    must(list(entries) == sorted(entries) and 40 * len(entries) == len(data), "the tenants of an index do not ascend")
    return entries


def batches(data: bytes, keys: LaneKeys, number: int) -> Iterator[Batch]:
    """9.5: every batch in a segment whose MAC verifies, past what is no batch."""
    at = FIRST_BATCH
    while at < len(data):
        batch = parse_batch(data, at, keys, number)
        if batch is not None:
            yield batch
            at = batch.next_offset
            continue
        at = data.find(b"SRB1", at + ALIGNMENT)
        while at % ALIGNMENT and at >= 0:
            at = data.find(b"SRB1", at + 1)
        if at < 0:
            return


# 9.3 Frames and changes

OPERATION_PUT, OPERATION_REMOVE, OPERATION_SWEEP, OPERATION_RESEAL, OPERATION_MOVE = 1, 2, 4, 5, 6
ROW_TABLES = {1: "records", 2: "directory", 4: "secondary", 6: "removed"}
EXPIRY_TABLE = 5


class Frame(NamedTuple):
    """Authenticates nothing until it is opened."""

    epoch: int
    tenant_id: bytes
    timeline: int
    count: int
    first: int
    previous: bytes
    clear: bytes  # bytes 0..56
    nonce: bytes
    sealed: bytes
    tag: bytes
    end: int

    @property
    def last(self) -> int:
        return self.first + self.count - 1

    @property
    def what(self) -> str:
        return f"the frame of tenant {self.tenant_id.hex()} at sequence {self.first}"


def parse_frame(data: bytes, at: int, limit: int) -> Optional[Frame]:
    clear = data[at : at + 56]
    end = at + 96 + little(clear[0:4])
    count, first = little(clear[28:32]), little(clear[32:40])
    if end > limit or count == 0 or first == 0 or first + count >= 1 << 64:
        return None
    return Frame(
        epoch=little(clear[4:8]),
        tenant_id=clear[8:24],
        timeline=little(clear[24:28]),
        count=count,
        first=first,
        previous=clear[40:56],
        clear=clear,
        nonce=data[at + 56 : at + 80],
        sealed=data[at + 80 : end - 16],
        tag=data[end - 16 : end],
        end=end,
    )


class Operation(NamedTuple):
    table: str
    key: bytes
    value: Optional[bytes]  # None removes the row
    keeps_version: bool = False  # the value begins with the version of the record
    moves: bool = False  # the row goes to another table


def open_frame(frame: Frame, keyring: "Keyring") -> List[List[Operation]]:
    """The changes of a frame, each a list of operations."""
    sealing = Xaes(expand(keyring.key(KIND_STRUCTURE, frame.epoch), b"strongroom/1 frame"))
    aad = b"strongroom/1 frame" + keyring.header.store_id + frame.clear
    cursor = Cursor(sealing.open(frame.nonce, aad, frame.sealed, frame.tag, frame.what), frame.what)
    changes = [parse_change(cursor.take(cursor.number(4)), frame.what) for _ in range(frame.count)]
    cursor.end()
    return changes


def parse_change(data: bytes, what: str) -> List[Operation]:
    cursor, operations = Cursor(data, f"a change in {what}"), []
    while not cursor.is_at_end():
        kind, key_bytes, value_bytes = cursor.number(1), cursor.number(2), cursor.number(4)
        if kind == OPERATION_SWEEP:
            must((key_bytes, value_bytes) == (1, 8), f"{what} holds a malformed sweep")
            must(cursor.number(1) == EXPIRY_TABLE, f"{what} holds a sweep of another table")
            operations.append(Operation("expiry", b"", cursor.take(8)))
            continue
        known = (OPERATION_PUT, OPERATION_REMOVE, OPERATION_RESEAL, OPERATION_MOVE)
        must(kind in known, f"{what} holds an operation of kind {kind}")
        must(key_bytes >= 1, f"{what} holds an operation without a table")
        takes = kind in (OPERATION_REMOVE, OPERATION_MOVE)
        must(not takes or value_bytes == 0, f"{what} holds a removal with a value")
        table = cursor.number(1)
        must(table in ROW_TABLES, f"{what} holds an operation on table {table}")
        key, value = cursor.take(key_bytes - 1), cursor.take(value_bytes)
        if kind == OPERATION_RESEAL:
            must(table == 1 and value_bytes >= 12, f"{what} holds a record sealed anew without its version")
        must(kind != OPERATION_MOVE or table in (1, 6), f"{what} moves a row of table {table}")
        stays = None if takes else value
        operations.append(Operation(ROW_TABLES[table], key, stays, kind == OPERATION_RESEAL, kind == OPERATION_MOVE))
    return operations


# 9.4 Lane state


class LaneState(NamedTuple):
    sequence: int
    closed: bool
    timeline: int
    first: int
    end: End
    last: int
    cold: Tuple[int, ...]


def parse_lane_state(data: bytes, keys: LaneKeys, copy: int) -> LaneState:
    """One of its two copies, whose MAC verifies."""
    check_version(data, b"SRLANEST", data[12:24])
    count = little(data[136:140])
    must(count <= COLD_SEGMENTS_MAX, f"{count} cold segments")
    must_be_zero(data[10:12] + data[65:68] + data[140:144], "bytes 10..12, 65..68 or 140..144")
    must_be_zero(data[144 + 8 * count : 208] + data[216:4064], "what follows the cold segments or the last segment")
    must(data[24:40] == keys.store_id and data[40:56] == keys.lane_id, "the state is another lane's")
    must(data[64] in (LANE_OPEN, LANE_CLOSED), f"the lane is in state {data[64]}")
    state = LaneState(
        sequence=little(data[56:64]),
        closed=data[64] == LANE_CLOSED,
        timeline=little(data[68:72]),
        first=little(data[72:80]),
        end=End(little(data[80:88]), little(data[88:96]), little(data[96:104]), data[104:136]),
        last=little(data[208:216]),
        cold=tuple(little(data[at : at + 8]) for at in range(144, 144 + 8 * count, 8)),
    )
    must(state.sequence >= 1 and state.sequence % 2 == copy, f"sequence {state.sequence} lies in copy {copy}")
    must(state.timeline >= 1 and state.first >= 1, f"timeline {state.timeline}, first segment {state.first}")
    must(len(set(state.cold)) == count, "a cold segment is listed twice")
    state.end.check()
    return state


# 9.5 Reading a lane


class Lane:
    """All segments of a lane, read once. No frame is opened: that takes its tenant's key."""

    def __init__(self, region: Region, keys: LaneKeys) -> None:
        self.directory = region.lane_directory(keys.lane_id)
        self.state_path = region.lane_state_path(keys.lane_id)
        self._keys = keys
        self.counts: collections.Counter = collections.Counter()
        self.damaged_copies: List[str] = []
        self.damaged_texts: List[str] = []  # batches that are not whole, or that stand there twice and are damaged once
        self.damage: List[Tuple[Position, str]] = []
        self.notes: List[str] = []
        self.paths: Set[str] = {self.state_path}  # the files that count
        self.frames: Dict[bytes, List[Frame]] = collections.defaultdict(list)  # by tenant, in the order of positions
        self._newest: Dict[bytes, Position] = {}
        self._indexed: Dict[bytes, IndexEntry] = {}
        self._index_at: Optional[Position] = None
        self._own: Optional[Tuple[Position, int]] = None
        self._missing: List[Tuple[Position, int]] = []  # first batch that is missing, by position
        with within(self.state_path):
            self.state = self._choose_state()
        with within(self.directory):
            self._read()

    def _choose_state(self) -> LaneState:
        """9.4: the copy with the greater sequence whose MAC verifies."""
        data, found = read_whole(self.state_path), []
        must(len(data) == 2 * BLOCK, f"has {len(data)} bytes, not 8192")
        for copy in (0, 1):
            block = data[copy * BLOCK : (copy + 1) * BLOCK]
            if hmac.compare_digest(mac(self._keys.state, block[:4064]), block[4064:]):
                found.append(parse_lane_state(block, self._keys, copy))
            else:
                self.damaged_copies.append(f"{self.state_path}: copy {copy}: the MAC of the state does not verify")
        must(bool(found), "neither copy verifies")
        return max(found)

    def path(self, number: int) -> str:
        return os.path.join(self.directory, f"{number:016x}.journal")

    def _read(self) -> None:
        headers = self._headers()
        for header in headers:
            if header.kind == SEGMENT_COLD:
                self._read_segment(header, None, True)
        log = [header for header in headers if header.kind == SEGMENT_LOG]
        self._check_chain(log)
        sequence = 0
        for header, successor in zip(log, [*log[1:], None]):
            if successor is not None and successor.before.segment != header.number:
                sequence = self._read_segment(header, None, False)
            else:
                sequence = self._read_segment(header, successor, successor is None)
        must(
            sequence >= self.state.end.sequence or not log and self.state.end.segment < self.state.first,
            f"rolled back: the log ends at batch {sequence}, it was closed after batch {self.state.end.sequence}",
        )
        newest = max([header.number for header in log] + [at[1] for at, _ in self.damage if at[0]], default=0)
        must(
            self.state.last < self.state.first or newest >= self.state.last,
            f"rolled back: segment {self.state.last:016x} was made, and the newest there is is {newest:016x}",
        )
        if self.state.closed and sequence > self.state.end.sequence:
            self.notes.append(f"{self.directory}: was written after it was closed, says {self.state_path}")

    def _headers(self) -> List[SegmentHeader]:
        """The segments that count, by number."""
        names = os.listdir(self.directory) if os.path.isdir(self.directory) else []
        numbers = sorted(int(match.group(1), 16) for match in map(SEGMENT_NAME.fullmatch, names) if match)
        headers, illegible = [], []
        for number in numbers:
            if number not in self.state.cold and number < self.state.first:
                continue
            header = self._choose_header(read_whole(self.path(number)), number)
            if header is None:
                illegible.append(number)
            elif (header.kind == SEGMENT_COLD) == (number in self.state.cold):
                headers.append(header)
                self.paths.add(self.path(number))
            else:
                must(header.kind == SEGMENT_COLD, f"segment {number:016x} of the log is listed as a cold one")
        last = max([self.state.end.segment, self.state.last, *(header.number for header in headers)])
        for number in illegible:
            is_cold = number in self.state.cold
            if number > last and not is_cold and not any(batches(read_whole(self.path(number)), self._keys, number)):
                self.notes.append(f"{self.path(number)}: was being made when the power went")
            else:
                self._damaged(not is_cold, number, 0, "neither copy of the header verifies")
                self.paths.add(self.path(number))
        for number in set(self.state.cold) - set(numbers):
            self._damaged(False, number, 0, "is missing")
        return headers

    def _choose_header(self, data: bytes, number: int) -> Optional[SegmentHeader]:
        """9.1: the first copy whose MAC verifies."""
        found, damaged = [], []
        for copy, at in enumerate((0, 2048)):
            block = data[at : at + 512]
            if len(block) == 512 and hmac.compare_digest(mac(self._keys.segment, block[:480]), block[480:]):
                with within(self.path(number)):
                    found.append(parse_segment_header(block, self._keys, number))
            else:
                damaged.append(f"{self.path(number)}: header copy {copy}: the MAC of the header does not verify")
        self.damaged_copies.extend(damaged if found else ())
        return found[0] if found else None

    def _check_chain(self, log: List[SegmentHeader]) -> None:
        known = {position[1] for position, _ in self.damage}
        for before, header in zip([None, *log], log):
            expected = before.number if before else header.before.segment
            begins = before is None and (header.number == self.state.first or expected < self.state.first)
            if not begins and (before is None or header.before.segment != expected):
                if header.before.segment not in known:
                    self._damaged(True, header.before.segment, 0, f"is missing before segment {header.number:016x}")

    def _damaged(self, is_log: bool, number: int, offset: int, what: str, first: int = 0) -> None:
        """`first`: the first batch that is missing there; 0 where that is not known."""
        self.damage.append(((is_log, number, offset), f"{self.path(number)}: {what}"))
        self._missing.append(((is_log, number, offset), first))

    def _read_segment(self, header: SegmentHeader, successor: Optional[SegmentHeader], is_last: bool) -> int:
        """Gives the lane sequence of the last batch that counts."""
        number, is_log = header.number, header.kind == SEGMENT_LOG
        data = read_whole(self.path(number))
        with within(self.path(number)):
            found = list(batches(data, self._keys, number))
        self.counts["segments" if is_log else "cold segments"] += 1
        told = max((batch.synced_through for batch in found), default=0)
        if not is_log:
            confirmed = max(told, 1)
        elif successor:
            confirmed = successor.before.sequence
        else:
            confirmed = max(told, self.state.end.sequence) if is_last else told
        offset, sequence, last_mac = FIRST_BATCH, header.before.sequence, header.before.mac
        for batch in found:
            if successor and batch.offset >= successor.before.offset:
                break
            if batch.mac == last_mac:
                if not batch.whole or batch.offset != offset:
                    self.damaged_texts.append(f"{self.path(number)}: batch {sequence} stands there twice, once damaged")
                offset = batch.next_offset
                continue
            if batch.sequence <= sequence or is_log and self._is_belied(batch, successor):
                continue
            is_next = batch.sequence == sequence + 1
            if sequence + 1 > confirmed and not (is_next and batch.whole):
                break
            if not is_next:
                missing = f"batch {sequence + 1} is missing at offset {offset}"
                self._damaged(is_log, number, offset, missing, sequence + 1)
            elif not batch.whole:
                message = f"{self.path(number)}: batch {batch.sequence} at offset {batch.offset} is not as it was written"
                self.damaged_texts.append(message)
            elif batch.offset != offset:
                self.damaged_texts.append(f"{self.path(number)}: what stands at offset {offset} is no batch")
            self._take(batch, (is_log, number, batch.offset))
            offset, sequence, last_mac = batch.next_offset, batch.sequence, batch.mac
        if is_log and is_last and self.state.closed and sequence == self.state.end.sequence:
            if offset != self.state.end.offset:
                self.damaged_texts.append(f"{self.path(number)}: the index at the end does not stand there twice")
        is_at_end = successor and (offset, last_mac) == (successor.before.offset, successor.before.mac)
        if sequence < confirmed and not is_at_end:
            missing = f"batch {sequence + 1} is missing at offset {offset}"
            self._damaged(is_log, number, offset, missing, sequence + 1)
        elif is_log and is_last and not self.state.closed and not is_zero(data[offset:]):
            self.notes.append(f"{self.path(number)}: something was being written at offset {offset}")
        return sequence

    def _is_belied(self, batch: Batch, successor: Optional[SegmentHeader]) -> bool:
        """Whether a later header or the state names another batch of its sequence."""
        ends = [self.state.end, *([successor.before] if successor else [])]
        return any(batch.sequence == end.sequence and batch.mac != end.mac for end in ends)

    def _take(self, batch: Batch, position: Position) -> None:
        self.counts["batches"] += 1
        self.counts["frames"] += len(batch.frames)
        if position[0]:
            self._own = None if batch.own_through is None else (position, batch.own_through)
        for frame in batch.frames:
            self.frames[frame.tenant_id].append(frame)
            self._newest[frame.tenant_id] = position
        if batch.index is not None:
            self.counts["indexes"] += 1
            self._indexed.update(batch.index)
            self._index_at = position

    def frames_after(self, tenant_id: bytes, sequence: int) -> List[Frame]:
        """The frames of a tenant that do not end at or below a sequence, in order, each once."""
        frames: Dict[int, Frame] = {}
        for frame in self.frames.get(tenant_id, []):
            if frame.last > sequence:
                known = frames.setdefault(frame.first, frame)
                must(known._replace(end=frame.end) == frame, f"{frame.what} is there in two forms")
        return [frames[first] for first in sorted(frames)]

    def changes(
        self, keyring: "Keyring", version: Tuple[int, int], tag: bytes
    ) -> Iterator[Tuple[Tuple[int, int], bytes, List["Operation"]]]:
        """What a tenant has beyond the version and the frame's tag that its file ends with: each change with its version
        and the tag of its frame."""
        tenant_id = keyring.header.tenant_id
        for frame in self.frames_after(tenant_id, version[1]):
            timeline, last = version
            must(frame.first == last + 1, f"the changes between sequence {last} and {frame.what} are missing")
            must(frame.previous == tag, f"{frame.what} names another before it than sequence {last}")
            must(frame.timeline >= timeline, f"{frame.what} is of timeline {frame.timeline}, after {timeline}")
            tag = frame.tag
            for sequence, operations in enumerate(open_frame(frame, keyring), frame.first):
                version = frame.timeline, sequence
                yield version, tag, operations
        self.must_be_complete(tenant_id, version[1], tag)

    def must_be_complete(self, tenant_id: bytes, last: int, tag: bytes) -> None:
        """That nothing of a tenant is missing of which no trace is left."""
        indexed = self._indexed.get(tenant_id)
        if indexed is not None:
            complete = last > indexed.last or (last, tag) == indexed
            must(complete, f"tenant {tenant_id.hex()} ends at sequence {last}, an index says {indexed.last}")
        nowhere = (False, 0, 0)
        proven = max(self._index_at or nowhere, self._newest.get(tenant_id, nowhere))
        own_at, own_through = self._own if self._own and tenant_id == self._keys.lane_id else (nowhere, 0)
        for (position, message), (_, first) in zip(self.damage, self._missing):
            is_own_safe = own_at >= position and first > own_through
            must(proven >= position or is_own_safe, f"changes of tenant {tenant_id.hex()} may be lost: {message}")


# 9.6 The rows of a tenant


class Tenant:
    """The keyring of one tenant, its current file if there is one, its part of its lane, and the small tables."""

    def __init__(
        self, region: Region, tenant_id: bytes, provider, lane: Lane, is_system: bool, files: contextlib.ExitStack
    ) -> None:
        self.keyring = Keyring(region, tenant_id, provider)
        self.lane = lane
        self.place = f"tenant {tenant_id.hex()}"
        anchor = self.keyring.anchor
        self.file: Optional[SealedFile] = None
        self._chunks: Optional[Dict[bytes, Dict[int, bytes]]] = None
        self.commit, self.tag = (0, 0), bytes(16)
        if not anchor.no_file:
            path = region.sealed_path(tenant_id, anchor.current_file)
            self.file = SealedFile(path, anchor.current_file, self.keyring, files)
            self.place = path
            with within(path):
                must(self.file.epoch == anchor.current_epoch, "the epoch is not the anchor's")
                self.redb = Redb(self.file)
                self._read_meta()
        with within(lane.directory):
            self._read_frames()
        with within(self.place):
            self.directory = read_directory(self.rows("directory"), is_system)

    def _read_meta(self) -> None:
        """7.2, and 4.5: a file behind its anchor is rolled back."""
        meta = dict(self.redb.table_rows("meta"))
        must(len(meta.get(b"origin", b"")) == 32, "the row `origin` is missing or malformed")
        must(len(meta.get(b"commit", b"")) == 28, "the row `commit` is missing or malformed")
        header = self.keyring.header
        must(meta[b"origin"] == header.store_id + header.tenant_id, "the origin is not the keyring's")
        self.commit = little(meta[b"commit"][0:4]), little(meta[b"commit"][4:12])
        self.tag = meta[b"commit"][12:28]
        checkpoint = self.keyring.anchor.commit_sequence
        must(self.commit[1] >= checkpoint, f"rolled back: the file holds change {self.commit[1]}, its anchor {checkpoint}")

    def _read_frames(self) -> None:
        """9.5: what the lane has beyond the file. `version` and `tag` are those of the last change there is."""
        self._changed: Dict[str, Dict[bytes, Optional[bytes]]] = {name: {} for name in ROW_TABLES.values()}
        self.swept = 0
        in_file = {key for key, _ in self.redb.table_rows("removed")} if self.file else set()
        self.version, self.changes = self.commit, 0
        for self.version, self.tag, operations in self.lane.changes(self.keyring, self.commit, self.tag):
            self.changes += 1
            for table, key, value, keeps_version, moves in operations:
                if table == "expiry":
                    self.swept = little(value)
                    continue
                if table == "records" and value is not None and not keeps_version:
                    value = u32(self.version[0]) + u64(self.version[1]) + value
                if table == "secondary" and value is not None:
                    must(value[:1] in (b"\0", b"\1"), "a secondary key in a change says neither whose version it has")
                    version = u32(self.version[0]) + u64(self.version[1]) if value[0] == 0 else b""
                    value = version + value[1:]
                if table == "records" and value is None and not moves:
                    # 9.3: what was removed of its key goes with it.
                    begin = key[:8] + escape(key[8:]) + b"\0\0"
                    gone = [row for row in in_file | self._changed["removed"].keys() if row.startswith(begin)]
                    self._changed["removed"].update((row, None) for row in gone)
                self._changed[table][key] = value

    def rows(self, table: str) -> Iterator[Tuple[bytes, bytes]]:
        """The rows of the file, and over them those of the frames; in order."""
        changed = sorted(self._changed[table].items(), reverse=True)
        for key, value in self.redb.table_rows(table) if self.file else ():
            while changed and changed[-1][0] < key:
                yield from present(changed.pop())
            if changed and changed[-1][0] == key:
                yield from present(changed.pop())
                continue
            must(table != "records" or row_version_of(value) <= self.commit, "a record is newer than the file's commit")
            yield key, value
        while changed:
            yield from present(changed.pop())

    def records(self) -> Iterator["Record"]:
        """7.1"""
        with within(self.place):
            for key, value in self.rows("records"):
                record = parse_record(key, value)
                is_due = record.expires is not None and record.expires <= self.swept
                was_swept = is_due and not self.directory.is_held(record)
                if record.collection_id not in self.directory.dropped and not was_swept:
                    yield record

    def removed(self) -> Iterator["Record"]:
        """7.8"""
        with within(self.place):
            for key, value in self.rows("removed"):
                record, purge = parse_removed(key, value)
                was_swept = purge <= self.swept and not self.directory.is_held(record)
                if record.collection_id not in self.directory.dropped and not was_swept:
                    yield record

    def check_expiry(self) -> int:
        """7.6: a row for each record of the file that expires and each removed one, and no other. Gives how many."""
        expected = set()
        for key, value in self.redb.table_rows("records"):
            expires = parse_record(key, value).expires
            if expires is not None:
                timeline, sequence = row_version_of(value)
                version = timeline.to_bytes(4, "big") + sequence.to_bytes(8, "big")
                expected.add(expires.to_bytes(8, "big") + b"\x01" + key + version)
        for key, value in self.redb.table_rows("removed"):
            expected.add(parse_removed(key, value)[1].to_bytes(8, "big") + b"\x06" + key)
        rows = list(self.redb.table_rows("expiry"))
        must({key for key, _ in rows} == expected, "the table `expiry` is not that of the records")
        must(all(value == b"" for _, value in rows), "a row of the table `expiry` has a value")
        return len(rows)

    def check_subjects(self) -> int:
        """7.9: a row for each record of the file that has a subject, and no other. Gives how many."""
        if b"subjects" not in dict(self.redb.table_rows("meta")):
            return 0
        expected = set()
        for key, value in self.redb.table_rows("records"):
            slot = parse_record(key, value).subject_slot
            if slot is not None:
                expected.add(slot.to_bytes(8, "big") + b"\x01" + key)
        for key, value in self.redb.table_rows("removed"):
            slot = parse_removed(key, value)[0].subject_slot
            if slot is not None:
                expected.add(slot.to_bytes(8, "big") + b"\x06" + key)
        rows = list(self.redb.table_rows("subjects"))
        must({key for key, _ in rows} == expected, "the table `subjects` is not that of the records")
        must(all(value == b"" for _, value in rows), "a row of the table `subjects` has a value")
        return len(rows)

    def open_record(self, record: "Record") -> bytes:
        with within(f"{self.place}: record {record.key!r} of collection {record.collection_id:016x}"):
            value = open_envelope(record, self.keyring)
            if record.chunks:
                rows = self.chunks().get(record.chunks.set_id, {})
                value = b"".join(open_chunks(record, rows, self.keyring))
            return value

    def chunks(self) -> Dict[bytes, Dict[int, bytes]]:
        """7.7: the rows of each chunk set."""
        if self._chunks is None:
            self._chunks = {}
            for key, value in self.redb.table_rows("chunks") if self.file else ():
                must(len(key) in (16, 20), f"a key of {len(key)} bytes in the table of chunks")
                rows = self._chunks.setdefault(key[:16], {})
                if len(key) == 20:
                    rows[int.from_bytes(key[16:], "big")] = value
        return self._chunks


def escape(key: bytes) -> bytes:
    """7.5"""
    return key.replace(b"\0", b"\0\xff")


def parse_removed(row: bytes, value: bytes) -> Tuple["Record", int]:
    """7.8: the record, and when it is erased."""
    key, version = split_entry(row[8:])
    must(len(version) == 12, "the key of a removed record has no version")
    what = f"the row of removed record {key.hex()}"
    cursor = Cursor(value, what)
    row_version(cursor, what)
    _, purge = cursor.number(8), cursor.number(8)
    for _ in parse_list(cursor.take(cursor.number(4))):
        pass
    written_by = version[3::-1] + version[:3:-1]
    return parse_record(row[:8] + key, written_by + cursor.rest()), purge


def parse_list(data: bytes) -> Iterator[Tuple[int, int, bytes]]:
    """7.5: index id, unique, key."""
    cursor = Cursor(data, "a list of secondary keys")
    while not cursor.is_at_end():
        index, unique = int.from_bytes(cursor.take(8), "big"), cursor.number(1)
        yield index, unique, cursor.take(cursor.number(2))


def split_entry(data: bytes) -> Tuple[bytes, bytes]:
    """7.5: the key of an entry, and what follows it."""
    key, at = b"", 0
    while data[at : at + 2] != b"\0\0":
        must(at < len(data) and (data[at] != 0 or data[at : at + 2] == b"\0\xff"), "is malformed")
        key, at = key + data[at : at + 1], at + (2 if data[at] == 0 else 1)
    return key, data[at + 2 :]


def present(row: Tuple[bytes, Optional[bytes]]) -> List[Tuple[bytes, bytes]]:
    return [] if row[1] is None else [(row[0], row[1])]


def row_version_of(value: bytes) -> Tuple[int, int]:
    return little(value[0:4]), little(value[4:12])


# ---------------------------------------------------------------------------------------------------------
# The store as a whole


class Store:
    """Opens the default region, the system tenant and its catalog; lanes and tenants on demand."""

    def __init__(self, store: str, keys: Optional[str], provider, root_key_path: Optional[str]) -> None:
        store = os.path.abspath(store)
        keys = os.path.abspath(keys) if keys else store + ".keys"
        self._provider, self._root_key_path = provider, root_key_path
        default = Region("default", store, keys)
        self.markers = 0
        self.store_id = read_marker(store).store_id  # not yet trusted: the MAC is verified below
        self.regions: Dict[str, Region] = {"default": default}
        self._verified: Set[str] = set()
        self._lanes: Dict[Tuple[str, bytes], Union[Lane, FormatError]] = {}
        keyring = Keyring(default, self.store_id, provider)
        must(keyring.header.store_id == self.store_id, "the system tenant is another store's")
        self.structure = keyring.structure
        self.region("default")
        self.timeline = self.lane("default", self.store_id).state.timeline
        with self.open("default", self.store_id, LANE_SHARED) as system:
            directory = system.directory
        must("default" not in directory.regions, "the directory holds a region `default`")
        self.regions.update(directory.regions)
        self.tenants: Dict[str, TenantRow] = directory.tenants
        self.erased: List[Tuple[str, bytes]] = directory.erased

    def region(self, name: str) -> Region:
        """3: a region counts only where both its markers are in place."""
        region = self.regions.get(name)
        must(region is not None, f"region {name} is not in the directory")
        if name not in self._verified:
            for directory, role in ((region.root, ROLE_REGION_ROOT), (region.keys, ROLE_KEY_STORE)):
                marker = read_marker(directory)
                with within(os.path.join(directory, "strongroom.marker")):
                    marker.verify(self.structure)
                    must(marker.role == role, f"has role {marker.role}, not {role}")
                    must(marker.store_id == self.store_id, "is another store's")
                    must(marker.region == name, f"is of region {marker.region}, not {name}")
                self.markers += 1
            self._verified.add(name)
        return region

    def lane(self, region: str, lane_id: bytes) -> Lane:
        """9: read once."""
        if (region, lane_id) not in self._lanes:
            keys = LaneKeys(self.structure, self.store_id, lane_id, region)
            try:
                self._lanes[region, lane_id] = Lane(self.region(region), keys)
            except FormatError as error:
                self._lanes[region, lane_id] = error
        lane = self._lanes[region, lane_id]
        if isinstance(lane, FormatError):
            raise lane
        return lane

    def lane_id(self, tenant_id: bytes, kind: int) -> bytes:
        return tenant_id if kind == LANE_OWN else self.store_id

    def lane_ids(self) -> List[Tuple[str, bytes]]:
        """Every lane there is: that of each region, and those of tenants with one of their own."""
        own = [(row.region, row.tenant_id) for row in self.tenants.values() if row.lane == LANE_OWN]
        return [(name, self.store_id) for name in self.regions] + own

    def may_be_torn(self, lane: Lane) -> bool:
        """Whether a writer stopped without closing: half-written copies and free blocks then prove nothing. A timeline
        past 1 tells of an earlier stop."""
        return self.timeline > 1 or not lane.state.closed

    def check_places(self) -> None:
        """2: key stores and root keys lie apart from all region roots."""
        places = [region.keys for region in self.regions.values()]
        places += [self._root_key_path] if self._root_key_path else []
        for place in places:
            for region in self.regions.values():
                must_lie_apart(place, region.root)

    def anchor(self, region: Region, tenant_id: bytes) -> Anchor:
        return Keyring(region, tenant_id, self._provider).anchor

    @contextlib.contextmanager
    def open(self, region: str, tenant_id: bytes, lane: int) -> Iterator[Tenant]:
        journal = self.lane(region, self.lane_id(tenant_id, lane))
        is_system = tenant_id == self.store_id
        with contextlib.ExitStack() as files:
            yield Tenant(self.region(region), tenant_id, self._provider, journal, is_system, files)

    def tenant(self, row: TenantRow) -> ContextManager[Tenant]:
        return self.open(row.region, row.tenant_id, row.lane)


def list_tenants(store: Store) -> Iterator[dict]:
    for row in store.tenants.values():
        with store.tenant(row) as tenant:
            names = sorted(tenant.directory.collections.values())
        yield {
            "name": row.name,
            "id": row.tenant_id.hex(),
            "region": row.region,
            "lane": LANES[row.lane],
            "state": TENANT_STATES[row.state],
            "collections": names,
        }


def dump_tenant(store: Store, name: str) -> Iterator[dict]:
    """Records of which a key is destroyed are left out; expired ones are not, as no clock is asked."""
    must(name in store.tenants, f"there is no tenant {name}")
    erased = 0
    with store.tenant(store.tenants[name]) as tenant:
        for record in tenant.records():
            try:
                yield dump_record(tenant, record)
            except KeyDestroyed:
                erased += 1
    if erased:
        print(f"note: {erased} records left out, their keys are destroyed", file=sys.stderr)


def dump_record(tenant: Tenant, record: Record) -> dict:
    collection = tenant.directory.collections.get(record.collection_id)
    must(collection is not None, f"a record of an unknown collection {record.collection_id:016x}")
    try:
        key = {"key": record.key.decode("utf-8")}
    except UnicodeDecodeError:
        key = {"key_base64": base64.b64encode(record.key).decode()}
    return {
        "collection": collection,
        **key,
        "value_base64": base64.b64encode(tenant.open_record(record)).decode(),
        "written": record.written,
        "expires": record.expires,
        "timeline": record.timeline,
        "sequence": record.sequence,
    }


class Check:
    """Opens everything there is. `failures` make the store bad; `notes` are what a crash may leave behind."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.counts: collections.Counter = collections.Counter()
        self.notes: List[str] = []
        self.failures: List[str] = []

    def run(self) -> None:
        store = self.store
        self._attempt(store.check_places)
        for name in store.regions:
            self._attempt(lambda name=name: store.region(name))
        self.counts["regions"], self.counts["markers"] = len(store.regions), store.markers
        for region, lane_id in store.lane_ids():
            self._attempt(lambda region=region, lane_id=lane_id: self._lane(region, lane_id))
        self._attempt(lambda: self._tenant(store.open("default", store.store_id, LANE_SHARED)))
        for row in store.tenants.values():
            self._attempt(lambda row=row: self._tenant(store.tenant(row)))
        for region, tenant_id in store.erased:
            self._attempt(lambda region=region, tenant_id=tenant_id: self._erased(region, tenant_id))
        self._strangers()

    def _attempt(self, step) -> None:
        try:
            step()
        except (FormatError, OSError) as error:
            if str(error) not in self.failures:
                self.failures.append(str(error))

    def _lane(self, region: str, lane_id: bytes) -> None:
        """Every header and batch. Frames are opened with their tenants."""
        lane = self.store.lane(region, lane_id)
        self.counts["lanes"] += 1
        self.counts.update(lane.counts)
        self.notes.extend(lane.notes)
        self._torn(lane, lane.damaged_copies)
        self.failures.extend(lane.damaged_texts)
        self.failures.extend(message for _, message in lane.damage)
        rows = self.store.tenants.values()
        members = {row.tenant_id for row in rows if row.region == region}
        members = {lane_id} if lane_id in members else members | {lane_id}
        for tenant_id in lane.frames.keys() - members:
            self.notes.append(f"{lane.directory}: frames of tenant {tenant_id.hex()}, which is not in the catalog")

    def _erased(self, region: str, tenant_id: bytes) -> None:
        """Of a tenant that was erased its ledger stays, if it had one."""
        path = self.store.region(region).ledger_path(tenant_id)
        self.counts["erased tenants"] += 1
        if os.path.exists(path):
            with within(path):
                for event in read_ledger(path, self.store.structure, self.store.store_id + tenant_id, None):
                    self.counts[f"ledger entries, {event}"] += 1

    def _tenant(self, opening: ContextManager[Tenant]) -> None:
        with opening as tenant:
            self.counts["tenants"] += 1
            keyring, lane = tenant.keyring, tenant.lane
            self._key_file(keyring, keyring, lane)
            if keyring.subjects:
                self._key_file(keyring.subjects, keyring, lane)
            path = keyring.path[: -len(".keyring")] + ".ledger"
            with within(path):
                ids = keyring.header.store_id + keyring.header.tenant_id
                for event in read_ledger(path, self.store.structure, ids, keyring.anchor):
                    self.counts[f"ledger entries, {event}"] += 1
            self.counts["anchors"] += 2
            self._frames(tenant)
            if tenant.file:
                self.counts["tenants with a file"] += 1
                if keyring.anchor.sync_failed:
                    self.notes.append(f"{tenant.file.path}: a sync of this file failed, it is to be replaced")
                self._blocks(tenant)
                self._counts(tenant)
            self._records(tenant)
            self._secondary(tenant)

    def _torn(self, lane: Lane, messages: List[str]) -> None:
        (self.notes if self.store.may_be_torn(lane) else self.failures).extend(messages)

    def _key_file(self, file: KeyFile, keyring: Keyring, lane: Lane) -> None:
        """Both headers, both anchors, both twins of every slot, and the key of every slot that has one."""
        self.counts["key file headers"] += 2
        self._torn(lane, file.damaged_copies)
        for number in range(file.slot_count):
            first, second = file.twins(number)
            if is_zero(first) and is_zero(second):
                continue
            self.counts["slots"] += 1
            where = f"{file.path}: slot {number}"
            if number == 0:
                self.failures.append(f"{where} is never used, and is not zero")
                continue
            if first != second:
                self._torn(lane, [f"{where}: the twins differ"])
            self._attempt(lambda: self._slot(file, number, keyring))

    def _slot(self, file: KeyFile, number: int, keyring: Keyring) -> None:
        slot = file.slot(number)
        self.counts[f"{KIND_NAMES[slot.kind]} slots, {STATE_NAMES[slot.state]}"] += 1
        if slot.state != STATE_DESTROYED:
            with within(file.path):
                file.open_key(slot, keyring.section_key(slot.kind))

    def _frames(self, tenant: Tenant) -> None:
        """Those beyond the file were opened with the tenant; here the others, as far as there are keys."""
        tenant_id = tenant.keyring.header.tenant_id
        self.counts["frames beyond files"] += len(tenant.lane.frames_after(tenant_id, tenant.commit[1]))
        self.counts["changes beyond files"] += tenant.changes
        for frame in tenant.lane.frames.get(tenant_id, []):
            if frame.last <= tenant.commit[1]:
                try:
                    with within(tenant.lane.directory):
                        open_frame(frame, tenant.keyring)
                except KeyDestroyed:
                    self.counts["frames with a destroyed key"] += 1
                except FormatError as error:
                    self.failures.append(str(error))

    def _blocks(self, tenant: Tenant) -> None:
        """Every block that was written. One that no tree reaches may be torn by a crash."""
        file = tenant.file
        self.counts["file headers"] += 1
        self.counts["root slots"] += file.root_slots
        self._torn(tenant.lane, file.damaged_copies)
        with within(file.path):
            reached = tenant.redb.reach()
        for block in range(1, file.count):
            if file.tag_entry(block) is None:
                continue
            self.counts["blocks"] += 1
            if block in reached:
                self.counts["blocks in use"] += 1
                continue  # it was opened on the way
            try:
                file.read(block)
            except FormatError as error:
                self._torn(tenant.lane, [f"{error}; no tree reaches it"])

    def _records(self, tenant: Tenant) -> None:
        if tenant.file:
            with within(tenant.place):
                self.counts["rows of what is due"] += tenant.check_expiry()
                self.counts["rows of subjects"] += tenant.check_subjects()
        named = [("records", record) for record in tenant.records()]
        named += [("removed records", record) for record in tenant.removed()]
        for name, record in named:
            self.counts[name] += 1
            if record.chunks:
                self.counts[f"{name} in chunks"] += 1
            if record.collection_id not in tenant.directory.collections:
                self.failures.append(f"{tenant.place}: unknown collection {record.collection_id:016x}")
            try:
                tenant.open_record(record)
            except KeyDestroyed:
                self.counts["records with a destroyed key"] += 1
            except FormatError as error:
                self.failures.append(str(error))

    def _counts(self, tenant: Tenant) -> None:
        """7.2: the counts of the file are those of its rows."""
        meta = dict(tenant.redb.table_rows("meta"))
        if b"counted" not in meta:
            return
        counts = {int.from_bytes(key[5:], "big"): value for key, value in meta.items() if key[:5] == b"count" and len(key) == 13}
        found: Dict[int, List[int]] = {}
        for key, value in tenant.redb.table_rows("records"):
            record = parse_record(key, value)
            count = found.setdefault(record.collection_id, [0, 0])
            value_bytes = record.chunks.value_bytes if record.chunks else len(record.ciphertext)
            count[0], count[1] = count[0] + 1, count[1] + len(record.key) + value_bytes
        for key, value in tenant.redb.table_rows("removed"):
            record, _ = parse_removed(key, value)
            count = found.setdefault(record.collection_id, [0, 0])
            value_bytes = record.chunks.value_bytes if record.chunks else len(record.ciphertext)
            count[0], count[1] = count[0] + 1, count[1] + len(record.key) + value_bytes
        must(
            counts == {collection: u64(count[0]) + u64(count[1]) for collection, count in found.items()},
            f"{tenant.place}: counts are not those of the records",
        )

    def _secondary(self, tenant: Tenant) -> None:
        """7.5: rows that are not stale agree, each with each."""
        records = {(r.collection_id, r.key): u32(r.timeline) + u64(r.sequence) for r in tenant.records()}
        entries: Dict[Tuple[int, int, bytes, bytes], bytes] = {}
        listed: Dict[Tuple[int, int, bytes, bytes], bytes] = {}
        for key, value in tenant.rows("secondary"):
            with within(f"{tenant.place}: secondary key {key!r}"):
                collection, index, rest = int.from_bytes(key[:8], "big"), int.from_bytes(key[8:16], "big"), key[16:]
                if index == 0:
                    if records.get((collection, rest)) == value[:12]:
                        for of, _, name in parse_list(value[12:]):
                            listed[collection, of, name, rest] = value[:12]
                    continue
                name, record = split_entry(rest)
                if tenant.directory.indexes.get((collection, index)) == "unique":
                    must(record == b"", "an entry of a unique index names a record in its key")
                    record = value[12:]
                if records.get((collection, record)) == value[:12]:
                    entries[collection, index, name, record] = value[:12]
        kept = {place: version for place, version in listed.items() if place[:2] in tenant.directory.indexes}
        found = {place: version for place, version in entries.items() if place[:2] in tenant.directory.indexes}
        self.counts["secondary keys"] += len(kept)
        # Of a record that has expired a later one may have a unique key.
        taken = {place[:3] for place in found if tenant.directory.indexes[place[:2]] == "unique"}
        lacking = {place for place in kept if found.get(place) != kept[place] and place[:3] not in taken}
        if lacking or found.keys() - kept.keys():
            self.failures.append(f"{tenant.place}: indexes and records do not agree")

    def _strangers(self) -> None:
        """Files of no tenant and no lane, or not current: nothing wrong, and nothing that is read."""
        known = {os.path.join(self.store.regions["default"].root, "store.toml")}
        for region in self.store.regions.values():
            for top in (region.root, region.keys):
                known.update(os.path.join(top, name) for name in ("strongroom.marker", "strongroom.lock", "strongroom.health"))
        places = [(row.region, row.tenant_id) for row in self.store.tenants.values()]
        for name, tenant_id in [("default", self.store.store_id), *places]:
            region = self.store.regions.get(name)
            if region is not None:
                known.update((region.keyring_path(tenant_id), region.slots_path(tenant_id), region.ledger_path(tenant_id)))
                with contextlib.suppress(FormatError):
                    anchor = self.store.anchor(region, tenant_id)
                    if not anchor.no_file:
                        known.add(region.sealed_path(tenant_id, anchor.current_file))
        for name, tenant_id in self.store.erased:
            if name in self.store.regions:
                known.add(self.store.regions[name].ledger_path(tenant_id))
        for name, lane_id in self.store.lane_ids():
            with contextlib.suppress(FormatError):
                known.update(self.store.lane(name, lane_id).paths)
        for region in self.store.regions.values():
            for top in (os.path.join(region.root, "tenants"), os.path.join(region.root, "journal"), region.keys):
                for directory, _, names in os.walk(top):
                    paths = {os.path.join(directory, name) for name in names}
                    self.notes.extend(f"{path}: not in use" for path in sorted(paths - known))


# ---------------------------------------------------------------------------------------------------------
# Command line


def parse_arguments(arguments: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Reads a Strongroom store by docs/FORMAT.md alone.")
    parser.add_argument("--store", required=True, metavar="DIR", help="the data directory")
    parser.add_argument("--keys", metavar="DIR", help="the key store; DIR.keys of the data directory if not given")
    provider = parser.add_mutually_exclusive_group(required=True)
    provider.add_argument("--root-key", metavar="FILE", help="the root key file")
    provider.add_argument("--passphrase-file", metavar="FILE", help="the passphrase; one last line feed is dropped")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="the tenants, one JSON object a line")
    dump = commands.add_parser("dump", help="the records of a tenant, one JSON object a line")
    dump.add_argument("tenant")
    dump.add_argument("--out", metavar="FILE", help="where to write; standard output if not given")
    commands.add_parser("check", help="opens everything and counts it")
    return parser.parse_args(arguments)


def print_check(check: Check) -> int:
    for what, count in check.counts.items():
        print(f"{what}: {count}")
    for note in check.notes:
        print(f"note: {note}")
    for failure in check.failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if check.failures else 0


def main(arguments: Optional[List[str]] = None) -> int:
    options = parse_arguments(arguments)
    try:
        if options.root_key:
            provider = KeyFileProvider(options.root_key)
        else:
            provider = PassphraseProvider(options.passphrase_file)
        store = Store(options.store, options.keys, provider, options.root_key)
        if options.command == "check":
            check = Check(store)
            check.run()
            return print_check(check)
        store.check_places()
        rows = list_tenants(store) if options.command == "list" else dump_tenant(store, options.tenant)
        with contextlib.ExitStack() as stack:
            output = sys.stdout
            if options.command == "dump" and options.out:
                output = stack.enter_context(open(options.out, "w", encoding="utf-8"))
            for row in rows:
                print(json.dumps(row), file=output)
    except (FormatError, OSError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
