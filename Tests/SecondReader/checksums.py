# SPDX-License-Identifier: GPL-2.0-or-later

"""CRC32C and XXH3-64, from their public descriptions.

CRC32C is the table form of the polynomial that docs/log-format.md gives. XXH3-64 follows the section "XXH3 Algorithm
Description" of doc/xxhash_spec.md in Cyan4973/xxHash 0.8.2 (specification version 0.2.0), default secret, any seed.
"""

import struct
from operator import xor

MASK32 = 0xFFFFFFFF
MASK64 = 0xFFFFFFFFFFFFFFFF


# CRC32C


def _crc_table():
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_CRC_TABLE = _crc_table()


def crc32c(data):
    """The CRC32C of `data`."""
    crc = MASK32
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ MASK32


def crc32c_of_structure(data, field_offset):
    """The CRC32C of a structure whose own CRC field, a u32 at `field_offset`, counts as zero."""
    return crc32c(data[:field_offset] + b"\0\0\0\0" + data[field_offset + 4 :])


# XXH3-64

_PRIME32_1 = 0x9E3779B1
_PRIME32_2 = 0x85EBCA77
_PRIME32_3 = 0xC2B2AE3D
_PRIME64_1 = 0x9E3779B185EBCA87
_PRIME64_2 = 0xC2B2AE3D27D4EB4F
_PRIME64_3 = 0x165667B19E3779F9
_PRIME64_4 = 0x85EBCA77C2B2AE63
_PRIME64_5 = 0x27D4EB2F165667C5
_PRIME_MX1 = 0x165667919E3779F9
_PRIME_MX2 = 0x9FB21C651E98DF25

_DEFAULT_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
_SECRET_WORDS = struct.unpack("<24Q", _DEFAULT_SECRET)


def _u64(data, offset):
    return int.from_bytes(data[offset : offset + 8], "little")


def _byte_swap(value, size):
    return int.from_bytes(value.to_bytes(size, "little"), "big")


def _rotate_left(value, bits):
    return (value << bits | value >> 64 - bits) & MASK64


def _fold(a, b):
    """The 128-bit product of two 64-bit values, its halves xored."""
    product = a * b
    return product & MASK64 ^ product >> 64


def _avalanche(x):
    x ^= x >> 37
    x = x * _PRIME_MX1 & MASK64
    return x ^ x >> 32


def _avalanche_xxh64(x):
    x ^= x >> 33
    x = x * _PRIME64_2 & MASK64
    x ^= x >> 29
    x = x * _PRIME64_3 & MASK64
    return x ^ x >> 32


def xxh3_64(data, seed=0):
    """The XXH3-64 of `data` with the default secret."""
    length = len(data)
    if length > 240:
        return _xxh3_large(data, seed)
    if length > 16:
        return _xxh3_medium(data, seed)
    if length > 8:
        return _xxh3_9_to_16(data, seed)
    if length >= 4:
        return _xxh3_4_to_8(data, seed)
    if length > 0:
        return _xxh3_1_to_3(data, seed)
    return _avalanche_xxh64(seed ^ _u64(_DEFAULT_SECRET, 56) ^ _u64(_DEFAULT_SECRET, 64))


def _xxh3_1_to_3(data, seed):
    length = len(data)
    combined = data[-1] | length << 8 | data[0] << 16 | data[length >> 1] << 24
    low, high = struct.unpack_from("<2I", _DEFAULT_SECRET)
    return _avalanche_xxh64((low ^ high) + seed & MASK64 ^ combined)


def _xxh3_4_to_8(data, seed):
    first = int.from_bytes(data[:4], "little")
    last = int.from_bytes(data[-4:], "little")
    modified_seed = seed ^ _byte_swap(seed & MASK32, 4) << 32
    value = (_SECRET_WORDS[1] ^ _SECRET_WORDS[2]) - modified_seed & MASK64 ^ (last | first << 32)
    value ^= _rotate_left(value, 49) ^ _rotate_left(value, 24)
    value = value * _PRIME_MX2 & MASK64
    value ^= (value >> 35) + len(data)
    value = value * _PRIME_MX2 & MASK64
    return value ^ value >> 28


def _xxh3_9_to_16(data, seed):
    first = _u64(data, 0)
    last = _u64(data, len(data) - 8)
    low = (_SECRET_WORDS[3] ^ _SECRET_WORDS[4]) + seed & MASK64 ^ first
    high = (_SECRET_WORDS[5] ^ _SECRET_WORDS[6]) - seed & MASK64 ^ last
    return _avalanche(len(data) + _byte_swap(low, 8) + high + _fold(low, high) & MASK64)


def _mix(data, offset, secret_offset, seed):
    low = _u64(data, offset) ^ _u64(_DEFAULT_SECRET, secret_offset) + seed & MASK64
    high = _u64(data, offset + 8) ^ _u64(_DEFAULT_SECRET, secret_offset + 8) - seed & MASK64
    return _fold(low, high)


def _xxh3_medium(data, seed):
    length = len(data)
    total = length * _PRIME64_1
    if length <= 128:
        for i in range((length - 1) // 32, -1, -1):
            total += _mix(data, i * 16, i * 32, seed)
            total += _mix(data, length - i * 16 - 16, i * 32 + 16, seed)
    else:
        for i in range(8):
            total += _mix(data, i * 16, i * 16, seed)
        total = _avalanche(total & MASK64)
        for i in range(8, length // 16):
            total += _mix(data, i * 16, (i - 8) * 16 + 3, seed)
        total += _mix(data, length - 16, 119, seed)
    return _avalanche(total & MASK64)


def _accumulate(totals, words, secret_words):
    """Adds whole stripes to the eight accumulators. A lane takes the words at its place in every stripe."""
    stripes = len(words) // 8
    for lane in range(8):
        lane_words = words[lane::8]
        totals[lane ^ 1] += sum(lane_words)
        secret = secret_words[lane : lane + stripes]
        totals[lane] += sum([(value & MASK32) * (value >> 32) for value in map(xor, lane_words, secret)])


def _xxh3_large(data, seed):
    secret_words = [
        word - seed & MASK64 if index % 2 else word + seed & MASK64 for index, word in enumerate(_SECRET_WORDS)
    ]
    secret = struct.pack("<24Q", *secret_words)
    length = len(data)
    # fmt: off
    totals = [_PRIME32_3, _PRIME64_1, _PRIME64_2, _PRIME64_3, _PRIME64_4, _PRIME32_2, _PRIME64_5, _PRIME32_1]
    # fmt: on
    last_block = (length - 1) // 1024 * 1024
    for (*words,) in struct.iter_unpack("<128Q", memoryview(data)[:last_block]):
        _accumulate(totals, words, secret_words)
        for lane, word in enumerate(secret_words[16:]):
            total = totals[lane] & MASK64
            totals[lane] = (total ^ total >> 47 ^ word) * _PRIME32_1 & MASK64
    stripes = (length - last_block - 1) // 64
    _accumulate(totals, struct.unpack_from(f"<{stripes * 8}Q", data, last_block), secret_words)
    _accumulate(totals, struct.unpack("<8Q", data[-64:]), struct.unpack_from("<8Q", secret, 121))
    result = length * _PRIME64_1
    merge = struct.unpack_from("<8Q", secret, 11)
    for pair in range(0, 8, 2):
        result += _fold(totals[pair] & MASK64 ^ merge[pair], totals[pair + 1] & MASK64 ^ merge[pair + 1])
    return _avalanche(result & MASK64)
