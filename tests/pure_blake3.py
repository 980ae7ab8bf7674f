"""BLAKE3 without a library, for the readers that know only the documents: slow and simple."""

import struct

IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]


def blake3(data):
    """BLAKE3 of a message, 32 bytes."""
    mask = 0xFFFFFFFF
    turn = lambda x, n: (x >> n | x << 32 - n) & mask

    def compress(value, block, length, counter, flags):
        words = list(struct.unpack("<16I", block.ljust(64, b"\0")))
        v = value + IV[:4] + [counter & mask, counter >> 32, length, flags]
        for turned in range(7):
            for at, (a, b, c, d) in enumerate([(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                                               (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]):
                for word, first, second in ((words[2 * at], 16, 12), (words[2 * at + 1], 8, 7)):
                    v[a] = v[a] + v[b] + word & mask
                    v[d] = turn(v[d] ^ v[a], first)
                    v[c] = v[c] + v[d] & mask
                    v[b] = turn(v[b] ^ v[c], second)
            words = [words[place] for place in ORDER]
        return [x ^ y for x, y in zip(v[:8], v[8:])]

    def chunk(piece, counter, root):
        value, blocks = IV, [piece[at:at + 64] for at in range(0, len(piece), 64)] or [b""]
        for at, block in enumerate(blocks):
            last = at == len(blocks) - 1
            value = compress(value, block, len(block), counter, (at == 0) | last << 1 | (root and last) << 3)
        return value

    def tree(first, count, root):
        if count == 1:
            return chunk(data[first * 1024:(first + 1) * 1024], first, root)
        left = 1 << (count - 1).bit_length() - 1
        pair = tree(first, left, False) + tree(first + left, count - left, False)
        return compress(IV, struct.pack("<16I", *pair), 64, 0, 4 | root << 3)

    return struct.pack("<8I", *tree(0, max(1, -(-len(data) // 1024)), True))
