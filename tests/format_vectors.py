#!/usr/bin/env python3
"""The test vectors of docs/formats (store.md, keyring.md, snapshot.md, trail.md) and of the history's chain in docs/data.md,
computed from those documents alone.

Standard library only, BLAKE3 beside it in pure_blake3.py, and no line shared with the product: where its unit tests pin the same values, two independent
implementations of the format agree. Run it without arguments; it prints one `name value` a line.
"""

import hashlib
import hmac
import struct

from pure_blake3 import blake3


def hkdf(salt, key, info, length):
    """RFC 5869 with SHA-256."""
    pseudorandom = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = hmac.new(pseudorandom, block + info + bytes([count]), hashlib.sha256).digest()
        out, count = out + block, count + 1
    return out[:length]


def rounds(state):
    def turn(value, by):
        return (value << by | value >> 32 - by) & 0xFFFFFFFF

    def quarter(a, b, c, d):
        for first, second, third, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[first] = (state[first] + state[second]) & 0xFFFFFFFF
            state[third] = turn(state[third] ^ state[first], by)

    for _ in range(10):
        for at in range(4):
            quarter(at, at + 4, at + 8, at + 12)
        for at in range(4):
            quarter(at, (at + 1) % 4 + 4, (at + 2) % 4 + 8, (at + 3) % 4 + 12)


CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")


def chacha_block(key, counter, nonce):
    """RFC 8439, 2.3."""
    start = [*CONSTANTS, *struct.unpack("<8I", key), counter, *struct.unpack("<3I", nonce)]
    state = list(start)
    rounds(state)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, start)))


def hchacha(key, nonce):
    """draft-irtf-cfrg-xchacha-03, 2.2."""
    state = [*CONSTANTS, *struct.unpack("<8I", key), *struct.unpack("<4I", nonce)]
    rounds(state)
    return struct.pack("<8I", *state[:4], *state[12:])


def poly1305(key, message):
    """RFC 8439, 2.5."""
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(message), 16):
        total = (total + int.from_bytes(message[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def xchacha20_poly1305(key, nonce, aad, plaintext):
    """Ciphertext and tag."""
    key, nonce = hchacha(key, nonce[:16]), bytes(4) + nonce[16:]
    stream = b"".join(chacha_block(key, 1 + at, nonce) for at in range(-(-len(plaintext) // 64)))
    ciphertext = bytes(a ^ b for a, b in zip(plaintext, stream))
    padded = [part + bytes(-len(part) % 16) for part in (aad, ciphertext)]
    lengths = struct.pack("<QQ", len(aad), len(ciphertext))
    return ciphertext, poly1305(chacha_block(key, 0, nonce)[:32], b"".join(padded) + lengths)


def fingerprint(key):
    return hkdf(b"", key, b"workrun v1 fingerprint", 8)


def mac(key, purpose, message):
    return hmac.new(hkdf(b"", key, b"workrun v1 mac " + purpose, 32), message, hashlib.sha256).digest()


def show(name, value):
    print(f"{name:28} {value.hex()}")


def store():
    key, file_id, nonce = bytes(range(32)), b"\x22" * 16, b"\x33" * 24
    block_key = hkdf(file_id, key, b"workrun v1 block", 32)
    show("store.fingerprint", fingerprint(key))
    show("store.block_key", block_key)

    ciphertext, tag = xchacha20_poly1305(block_key, nonce, file_id + b"\0" + struct.pack("<Q", 5), b"\x44" * 4096)
    sealed = (nonce + ciphertext + tag).ljust(4608, b"\0")
    show("store.block.tag", tag)
    show("store.block.sha256", hashlib.sha256(sealed).digest())

    ciphertext, tag = xchacha20_poly1305(block_key, nonce, file_id + b"\1" + struct.pack("<Q", 7), b"\x55" * 320)
    place = (struct.pack("<Q", 7) + nonce + ciphertext + tag).ljust(4096, b"\0")
    show("store.header.tag", tag)
    show("store.header.sha256", hashlib.sha256(place).digest())

    third, third_tag = xchacha20_poly1305(block_key, nonce, file_id + b"\0" + struct.pack("<Q", 3), b"\x66" * 4096)
    commit_list = hashlib.sha256(third_tag + sealed[4120:4136]).digest() + struct.pack("<QQ", 3, 5)
    ciphertext, tag = xchacha20_poly1305(block_key, nonce, file_id + b"\1" + struct.pack("<Q", 7), b"\x55" * 320 + commit_list)
    place = struct.pack("<Q", 7) + nonce + ciphertext[:320] + tag + struct.pack("<II", 2, 0) + ciphertext[320:]
    show("store.listed.tag", tag)
    show("store.listed.sha256", hashlib.sha256(place.ljust(4096, b"\0")).digest())

    head = b"WRKSTORE" + struct.pack("<II", 1, 0) + file_id + b"\x11" * 16 + struct.pack("<II", 1, 0)
    head = (head + fingerprint(key) + b"0.1.0".ljust(16, b"\0")).ljust(4064, b"\0")
    show("store.superblock.mac", mac(key, b"store superblock", head))
    superblock = head + mac(key, b"store superblock", head)
    show("store.superblock.sha256", hashlib.sha256(superblock).digest())


def aead(key, nonce, aad, plaintext):
    """ChaCha20-Poly1305, RFC 8439 2.8: ciphertext and tag in one."""
    stream = b"".join(chacha_block(key, 1 + at, nonce) for at in range(-(-len(plaintext) // 64)))
    ciphertext = bytes(a ^ b for a, b in zip(plaintext, stream))
    padded = [part + bytes(-len(part) % 16) for part in (aad, ciphertext)]
    lengths = struct.pack("<QQ", len(aad), len(ciphertext))
    return ciphertext + poly1305(chacha_block(key, 0, nonce)[:32], b"".join(padded) + lengths)


def chunk(key, number, last, aad, plain):
    """A chunk of a sealed stream."""
    return aead(key, bytes(3) + struct.pack(">Q", number) + bytes([last]), aad, plain)


def leb128(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def snapshot():
    key, stream_id = bytes(range(32)), b"\x66" * 32
    header = b"WRKSEGM\n" + struct.pack("<II", 3, 0) + b"\x11" * 16 + struct.pack("<II", 1, 0) + fingerprint(key)
    header = (header + stream_id + b"0.1.0".ljust(16, b"\0")).ljust(128, b"\0")
    stream_key = hkdf(stream_id, key, b"workrun v1 stream", 32)
    show("snapshot.stream_key", stream_key)
    show("snapshot.chunk", chunk(stream_key, 0, True, header, b"hello"))

    key, content = b"\7" * 32, bytes(at % 251 for at in range(65541))
    first, second = chunk(key, 0, False, b"head", content[:65536]), chunk(key, 1, True, b"head", content[65536:])
    show("snapshot.stream.tag0", first[-16:])
    show("snapshot.stream.chunk1", second)
    show("snapshot.stream.sha256", hashlib.sha256(first + second).digest())

    value = b"\x78\xc8" + b"x" * 200
    def part(name, lengths, keys, values):
        lengths = b"".join(leb128(length) for record in lengths for length in record)
        head = leb128(len(name)) + name + leb128(values[0]) + leb128(len(lengths)) + leb128(len(keys)) + leb128(len(values[1]))
        return head + lengths + keys + values[1]

    frame = part(b"t", [(0, 5, len(value)), (4, 1, 1)], b"key 12", (2, value + b"\x07"))
    frame += part(b"u", [(0, 0, 1)], b"", (1, b"\x08"))
    show("snapshot.frame.begin", frame[:frame.index(b"xx") + 2])
    show("snapshot.frame.end", frame[frame.index(b"\x07\x01u"):])
    show("snapshot.frame.sha256", hashlib.sha256(frame).digest())


def keys():
    key, nonce = b"\1" * 32, b"\2" * 24
    show("keys.fingerprint", fingerprint(key))
    show("keys.mac", mac(key, b"example", b"data"))
    ciphertext, tag = xchacha20_poly1305(hkdf(b"", key, b"workrun v1 seal example", 32), nonce, b"aad", b"hello")
    show("keys.sealed", nonce + ciphertext + tag)
    show("keyring.file_key", hkdf(b"\3" * 32, key, b"workrun v1 keyring", 32))


def trail():
    key = hkdf(b"", b"\1" * 32, b"workrun v1 seal workrun trail segment 1", 32)
    # One entry: moment 1, request "r", GET, "(none)", 404, an operator nobody knows, 5 microseconds, "::1", "c".
    entries = bytes.fromhex("81 a9 0001 016172 0263474554 0366286e6f6e6529 04190194 05820480 0605 07633a3a31 086163")
    show("trail.entries", entries)
    for number in (0, 1):
        aad = b"2026-11-22" + struct.pack(">Q", number)
        ciphertext, tag = xchacha20_poly1305(key, bytes([2 + number]) * 24, aad, entries)
        show(f"trail.chunk{number}.sealed", ciphertext + tag)


def history():
    def link(previous, number, payload, header):
        return blake3(previous + struct.pack(">Q", number) + payload + header)

    headers = [bytes.fromhex("a3 0001 01820080 0202"), bytes.fromhex("a3 0002 01820080 0201")]
    payloads = [blake3(b"\7" * 16 + b"\x01"), blake3(b"\x08" * 16 + b"\x02")]
    first = link(bytes(32), 1, payloads[0], headers[0])
    show("history.header1", headers[0])
    show("history.payload1", payloads[0])
    show("history.chain1", first)
    show("history.payload2", payloads[1])
    show("history.chain2", link(first, 2, payloads[1], headers[1]))


if __name__ == "__main__":
    store()
    snapshot()
    keys()
    trail()
    history()
