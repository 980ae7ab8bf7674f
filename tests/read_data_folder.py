#!/usr/bin/env python3
"""A second reader of docs/formats/keyring.md, store.md and snapshot.md, written from those documents alone.

    read_data_folder.py DATA --root-key FILE | --recovery-key FILE [--generation FOLDER]

Opens the keyring by the root key's file or by the recovery key (an age identity), then reads the system's store: its
superblock, the newer header copy, and every block that was written. With --generation it reads, by the keyring that stands
beside it, a generation instead: its manifest and every segment. Prints one JSON object. Standard library only, but for the
zstd command; it is slow and simple on purpose.
"""

import argparse
import base64
import hashlib
import hmac
import json
import pathlib
import struct
import subprocess
import sys

from format_vectors import chacha_block, hchacha, hkdf, poly1305
from pure_blake3 import blake3


class Refused(Exception):
    """The file is not what was written, or the key is another one."""


# ---------------------------------------------------------------- ciphers

def aead_open(key, nonce, sealed, aad):
    """ChaCha20-Poly1305, RFC 8439 2.8."""
    text, tag = sealed[:-16], sealed[-16:]
    pad = lambda data: data + bytes(-len(data) % 16)
    mac_text = pad(aad) + pad(text) + struct.pack("<QQ", len(aad), len(text))
    if not hmac.compare_digest(poly1305(chacha_block(key, 0, nonce)[:32], mac_text), tag):
        raise Refused("it does not authenticate")
    stream = b"".join(chacha_block(key, 1 + at, nonce) for at in range(-(-len(text) // 64)))
    return (int.from_bytes(text, "little") ^ int.from_bytes(stream[:len(text)], "little")).to_bytes(len(text), "little")


def xchacha_open(key, nonce, sealed, aad):
    return aead_open(hchacha(key, nonce[:16]), bytes(4) + nonce[16:], sealed, aad)


def x25519(scalar, point):
    """RFC 7748, 5."""
    p = 2**255 - 19
    k = int.from_bytes(scalar, "little") & ~7 & (2**255 - 1) | 2**254
    u = int.from_bytes(point, "little") % 2**255
    x1, x2, z2, x3, z3, swap = u, 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % p, b * b % p, d * a % p, c * b % p
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % p, x1 * (da - cb) ** 2 % p
        x2, z2 = aa * bb % p, e * (aa + 121665 * e) % p
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


def bech32_data(text):
    """The bytes of a Bech32 text (BIP 173); its checksum is not looked at."""
    digits = ["qpzry9x8gf2tvdw0s3jn54khce6mua7l".index(c) for c in text.lower().rsplit("1", 1)[1][:-6]]
    bits = int("".join(f"{digit:05b}" for digit in digits), 2) >> (len(digits) * 5 % 8)
    return bits.to_bytes(len(digits) * 5 // 8, "big")


def age_open(file, identity):
    """A binary age file with one X25519 recipient (c2sp.org/age)."""
    scalar = bech32_data(identity)
    own = x25519(scalar, (9).to_bytes(32, "little"))
    head, rest = file.split(b"\n--- ", 1)
    mac, rest = rest.split(b"\n", 1)
    unpadded = lambda text: base64.b64decode(text + b"=" * (-len(text) % 4))
    lines = head.split(b"\n")
    at = next(number for number, line in enumerate(lines) if line.startswith(b"-> X25519 "))
    share, wrapped = unpadded(lines[at].split(b" ")[2]), unpadded(lines[at + 1])
    wrap = hkdf(share + own, x25519(scalar, share), b"age-encryption.org/v1/X25519", 32)
    file_key = aead_open(wrap, bytes(12), wrapped, b"")
    if not hmac.compare_digest(hmac.new(hkdf(b"", file_key, b"header", 32), head + b"\n---", hashlib.sha256).digest(), unpadded(mac)):
        raise Refused("the age header does not authenticate")
    key, body, out, count = hkdf(rest[:16], file_key, b"payload", 32), rest[16:], b"", 0
    while True:
        chunk, body = body[:65536 + 16], body[65536 + 16:]
        out += aead_open(key, count.to_bytes(11, "big") + bytes([not body]), chunk, b"")
        count += 1
        if not body:
            return out


# ---------------------------------------------------------------- CBOR (RFC 8949), as far as the keyring uses it

def cbor(data, at=0):
    kind, short = data[at] >> 5, data[at] & 31
    at += 1
    if short == 31:
        value = None
    elif short < 24:
        value = short
    else:
        size = 1 << short - 24
        value, at = int.from_bytes(data[at:at + size], "big"), at + size
    if kind == 0:
        return value, at
    if kind == 1:
        return -1 - value, at
    if kind in (2, 3):
        return (data[at:at + value] if kind == 2 else data[at:at + value].decode()), at + value
    if kind in (4, 5):
        items = []
        while (value is None and data[at] != 0xFF) or (value is not None and len(items) < value * (kind - 3)):
            item, at = cbor(data, at)
            items.append(item)
        at += value is None
        return (items if kind == 4 else dict(zip(items[::2], items[1::2]))), at
    if kind == 7 and value in (20, 21, 22):
        return {20: False, 21: True, 22: None}[value], at
    raise Refused(f"CBOR of kind {kind} is not used here")


# ---------------------------------------------------------------- the keyring

def read_keyring(file, root=None, identity=None):
    if file[:8] != b"WRKKEYS\n":
        raise Refused("not a keyring")
    version, n, m, zero = struct.unpack_from("<4I", file, 8)
    if version != 1 or zero or 160 + n + m != len(file):
        raise Refused("the keyring's header is damaged")
    sealed, age = file[160:160 + n], file[160 + n:]
    if root is not None:
        if hkdf(b"", root, b"workrun v1 fingerprint", 8) != file[24:32]:
            raise Refused("another root key")
        plain = xchacha_open(hkdf(file[56:88], root, b"workrun v1 keyring", 32), sealed[:24], sealed[24:], file[:160])
        if hashlib.sha256(age).digest() != file[88:120]:
            raise Refused("the part for the recovery key is another one")
    else:
        plain = age_open(age, identity)
    content, _ = cbor(plain)
    if content[0] != int.from_bytes(file[32:40], "little"):
        raise Refused("the keyring's parts are of different ages")
    for described in content[1]:
        key = described.get(1)
        if key is not None and hkdf(b"", key, b"workrun v1 fingerprint", 8) != described[0][5]:
            raise Refused("a key is not the one described")
    return content


# ---------------------------------------------------------------- the store

def read_store(file, keys):
    if file[:8] != b"WRKSTORE" or int.from_bytes(file[8:12], "little") != 1:
        raise Refused("not a store of format 1")
    file_id, key_id, version, fingerprint = file[16:32], file[32:48], int.from_bytes(file[48:52], "little"), file[56:64]
    key = next((key[1] for key in keys if (key[0][0], key[0][1]) == (key_id, version)), None)
    if key is None or hkdf(b"", key, b"workrun v1 fingerprint", 8) != fingerprint:
        raise Refused("the store needs another key")
    mac_key = hkdf(b"", key, b"workrun v1 mac store superblock", 32)
    if not hmac.compare_digest(hmac.new(mac_key, file[:4064], hashlib.sha256).digest(), file[4064:4096]):
        raise Refused("the superblock is damaged")
    block_key = hkdf(file_id, key, b"workrun v1 block", 32)
    count = max(0, (len(file) - 16384) // 4608)

    def open_block(index):
        if not 1 <= index <= count:
            raise Refused(f"there is no block {index}")
        block = file[16384 + (index - 1) * 4608:][:4608]
        if any(block[4136:]):
            raise Refused(f"the padding of block {index} is not zero")
        xchacha_open(block_key, block[:24], block[24:4136], file_id + b"\x00" + struct.pack("<Q", index))
        return block[4120:4136]

    headers = {}
    for place in (4096, 8192):
        copy = file[place:place + 4096]
        try:
            seq, listed = copy[:8], int.from_bytes(copy[368:372], "little")
            if listed > 256:
                continue
            message = copy[32:352] + copy[376:376 + (32 + 8 * listed if listed else 0)] + copy[352:368]
            header = xchacha_open(block_key, copy[8:32], message, file_id + b"\x01" + seq)
            named = struct.unpack(f"<{listed}Q", header[352:])
            if listed and hashlib.sha256(b"".join(map(open_block, named))).digest() != header[320:352]:
                continue
            if any(seq):
                headers[int.from_bytes(seq, "little")] = header[:320], named
        except Refused:
            pass
    if not headers or not count:
        raise Refused("no header copy counts")
    # Of a file that was closed cleanly both copies say the same, and every block opens; in another one there may be blocks
    # that were being written, and that nothing points at.
    closed = len(headers) == 2 and len({header for header, _ in headers.values()}) == 1
    header, named = headers[max(headers)]
    blocks = 0
    for index in range(1, count + 1):
        if any(file[16384 + (index - 1) * 4608:][:4608]):
            try:
                open_block(index)
                blocks += 1
            except Refused:
                if closed:
                    raise
    return {"header_copies": len(headers), "redb": header[:4].decode("latin-1"), "listed": named, "blocks": blocks, "key_version": version}


# ---------------------------------------------------------------- generations

def open_container(file, magic, keys):
    if file[:8] != magic or int.from_bytes(file[8:12], "little") not in (1, 2, 3):
        raise Refused("not a container of formats 1 to 3")
    header, named = file[:128], (file[16:32], int.from_bytes(file[32:36], "little"))
    key = next((key.get(1) for key in keys if (key[0][0], key[0][1]) == named), None)
    if key is None or hkdf(b"", key, b"workrun v1 fingerprint", 8) != file[40:48]:
        raise Refused("it needs another key")
    stream_key = hkdf(file[48:80], key, b"workrun v1 stream", 32)
    chunks = [file[at:at + 65536 + 16] for at in range(128, len(file), 65536 + 16)]
    return b"".join(
        aead_open(stream_key, bytes(3) + number.to_bytes(8, "big") + bytes([number == len(chunks) - 1]), chunk, header)
        for number, chunk in enumerate(chunks))


def unpack(frame):
    return subprocess.run(["zstd", "-dcq"], input=frame, stdout=subprocess.PIPE, check=True).stdout


class Reading:
    """Numbers and bytes off the front of a content."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def take(self, length):
        if self.at + length > len(self.data):
            raise Refused("the content is cut off")
        self.at += length
        return self.data[self.at - length:self.at]

    def ended(self):
        return self.at == len(self.data)


def add(tables, name, key, value):
    """A record of a table, whose keys rise."""
    records = tables.setdefault(name, [])
    if records and records[-1][0] >= key:
        raise Refused("keys out of order")
    if cbor(value)[1] != len(value):
        raise Refused("a value is not one CBOR item")
    records.append((key, value))


def read_frames(content):
    """The tables of a segment: name to a list of key and value."""
    frames, tables = Reading(content), {}
    while length := int.from_bytes(frames.take(4), "little"):
        frame, together = Reading(unpack(frames.take(length))), {}
        while not frame.ended():
            name, records = frame.take(frame.number()).decode(), frame.number()
            sizes = [frame.number() for _ in range(3)]
            lengths, keys, values = (Reading(frame.take(size)) for size in sizes)
            before = b""
            for _ in range(records):
                shared, rest, value = lengths.number(), lengths.number(), lengths.number()
                if shared > len(before):
                    raise Refused("a key shares more than there is")
                before = before[:shared] + keys.take(rest)
                add(tables, name, before, values.take(value))
            if name in together or not (lengths.ended() and keys.ended() and values.ended()):
                raise Refused("a part is not what it says")
            together[name] = records
        if "payloads" in together and "events" not in together:
            raise Refused("payloads without their events")
    if not frames.ended():
        raise Refused("something follows the end")
    return tables


def read_items(plain, shortened):
    """The same, of formats 1 and 2."""
    items, names, tables, records = Reading(plain), [], {}, 0
    while True:
        table = items.number()
        if table:
            shared = items.number() if shortened else 0
            rest, value = items.number(), items.number()
            before = tables[names[table - 1]][-1][0] if shared else b""
            add(tables, names[table - 1], before[:shared] + items.take(rest), items.take(value))
            records += 1
            continue
        length = items.number()
        if length == 0:
            if items.number() != records or not items.ended():
                raise Refused("the end names another number of records")
            return tables
        names.append(items.take(length).decode())
        tables[names[-1]] = []


def encode(value):
    """CBOR of the kinds that an event's map holds."""
    def head(major, number):
        for size, code in ((0, None), (1, 24), (2, 25), (4, 26), (8, 27)):
            if size == 0 and number < 24:
                return bytes([major << 5 | number])
            if size and number < 1 << 8 * size:
                return bytes([major << 5 | code]) + number.to_bytes(size, "big")
    if value is None:
        return b"\xf6"
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(encode(key) + encode(item) for key, item in value.items())
    return head(0, value) if value >= 0 else head(1, -1 - value)


def follow_chain(tables, schema):
    """Number and chain hash of the last event."""
    payloads, chain, last = dict(tables.get("payloads", [])), bytes(32), 0
    for key, value in tables.get("events", []):
        number, event = int.from_bytes(key, "big"), cbor(value)[0]
        if number != last + 1:
            raise Refused("an event is missing")
        payload = cbor(payloads[key])[0] if key in payloads else None
        hashed = blake3(payload[0] + payload[1]) if payload else event.get(3)
        if hashed is None or schema == 1 and hashed != event[3]:
            raise Refused("an event has another payload, or none")
        if schema == 1:
            said, chain = event[4], blake3(chain + key + encode({**event, 4: bytes(32)}))
            if said != chain:
                raise Refused("an event does not continue the chain")
        else:
            chain = blake3(chain + key + hashed + (value if payload else encode({k: v for k, v in event.items() if k != 3})))
        last = number
    return last, chain


def read_generation(folder, keys):
    manifest, end = cbor(unpack(open_container((folder / "manifest").read_bytes(), b"WRKMANI\n", keys)))
    if manifest[0] != folder.name:
        raise Refused("the manifest is another generation's")
    records, boards = 0, []
    for entry in manifest[7]:
        files = [path for path in folder.glob("*.seg") if path.read_bytes()[48:80] == entry[1]]
        if len(files) != 1:
            raise Refused("no segment of the entry's stream id")
        file = files[0].read_bytes()
        if (len(file), blake3(file)) != (entry[4], entry[5]):
            raise Refused(f"{files[0].name} is not the file that the manifest names")
        content = open_container(file, b"WRKSEGM\n", keys)
        tables = read_frames(content) if file[8] > 2 else read_items(unpack(content), file[8] == 2)
        counted = {name: len(found) for name, found in tables.items() if found}
        if counted != {name: count for name, count in entry[11].items() if count}:
            raise Refused("the records are not those that the manifest counts")
        if follow_chain(tables, entry[6]) != (entry[9], entry[10]):
            raise Refused("the history ends otherwise than the manifest says")
        records += sum(entry[11].values())
        boards += [cbor(value)[0][1] for _, value in tables.get("boards", [])]
    return {"generation": manifest[0], "segments": len(manifest[7]), "records": records, "boards": boards}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--root-key", type=pathlib.Path)
    parser.add_argument("--recovery-key", type=pathlib.Path)
    parser.add_argument("--generation", type=pathlib.Path)
    args = parser.parse_args()
    root = bytes.fromhex(args.root_key.read_text().strip()) if args.root_key else None
    lines = args.recovery_key.read_text().splitlines() if args.recovery_key else []
    identity = next((line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-1")), None)
    try:
        if args.generation:
            content = read_keyring((args.generation.parent / "keyring").read_bytes(), root, identity)
            print(json.dumps(read_generation(args.generation, content[1])))
            return
        content = read_keyring((args.data / "keyring").read_bytes(), root, identity)
        store = read_store((args.data / "live" / "system.store").read_bytes(), content[1])
    except Refused as refusal:
        sys.exit(f"refused: {refusal}")
    active = sum(key[0][3] == 0 for key in content[1])
    print(json.dumps({"sequence": content[0], "keys": len(content[1]), "active": active, **store}))


if __name__ == "__main__":
    main()
