# SPDX-License-Identifier: GPL-2.0-or-later

"""Bodies in the file: hashes, and decompression through the zstd command."""

import subprocess
import threading

from checksums import xxh3_64
from columns import BodyError
from structures import CODEC_RAW, CODEC_ZSTD, ELIDED

BATCH_SIZE = 16 << 20
_ZSTD = ("zstd", "-d", "-q", "-c", "-")


def read_bodies(data, chunks, check):
    """Yields (chunk, body or BodyError) for all chunks, in their order. `check` verifies body hashes first."""
    batch, size = [], 0
    for chunk in chunks:
        batch.append(chunk)
        size += chunk.raw_size
        if size >= BATCH_SIZE:
            yield from _read_batch(data, batch, check)
            batch, size = [], 0
    yield from _read_batch(data, batch, check)


def _read_batch(data, chunks, check):
    bodies, compressed = [], []
    for chunk in chunks:
        stored = data[chunk.body_offset : chunk.body_end]
        error = _stored_error(chunk, stored, check)
        if error is not None:
            bodies.append(error)
        elif chunk.codec == CODEC_RAW:
            bodies.append(stored)
        else:
            compressed.append((len(bodies), stored, chunk.raw_size))
            bodies.append(None)
    decompressed = _decompress([(stored, size) for _, stored, size in compressed])
    for (index, _, _), body in zip(compressed, decompressed, strict=True):
        bodies[index] = body
    yield from zip(chunks, bodies, strict=True)


def _stored_error(chunk, stored, check):
    if chunk.flags & ELIDED:
        if chunk.stored_size or chunk.codec or chunk.body_hash:
            return BodyError("an elided chunk has a body, a codec or a body hash")
        return BodyError("the body was left out")
    if len(stored) != chunk.stored_size:
        return BodyError("the body reaches beyond the end of the file")
    if chunk.codec == CODEC_RAW and chunk.stored_size != chunk.raw_size:
        return BodyError(f"raw_size is {chunk.raw_size}, stored_size {chunk.stored_size} of a raw body")
    if chunk.codec not in (CODEC_RAW, CODEC_ZSTD):
        return BodyError(f"codec {chunk.codec} is not known")
    if check and xxh3_64(stored) != chunk.body_hash:
        return BodyError(f"body_hash is {chunk.body_hash:#018x}, the bytes have {xxh3_64(stored):#018x}")
    return None


def _decompress(frames):
    """The bodies of (frame, size) pairs. All through one process; one process each where that fails."""
    if not frames:
        return []
    expected = sum(size for _, size in frames)
    output = _run_zstd(b"".join(frame for frame, _ in frames), expected)
    if output is not None and len(output) == expected:
        bodies, position = [], 0
        for _, size in frames:
            bodies.append(output[position : position + size])
            position += size
        return bodies
    if len(frames) == 1:
        return [BodyError(f"the body does not decompress to {expected} bytes")]
    return [body for frame in frames for body in _decompress([frame])]


def _run_zstd(stored, limit):
    """What zstd makes of `stored`, None where it fails. No more than `limit` + 1 bytes are read from it."""
    with subprocess.Popen(
        _ZSTD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        feeder = threading.Thread(target=_feed, args=(process.stdin, stored))
        feeder.start()
        output = process.stdout.read(limit + 1)
        process.stdout.close()
        feeder.join()
    return output if process.returncode == 0 else None


def _feed(pipe, stored):
    try:
        pipe.write(stored)
        pipe.close()
    except BrokenPipeError:
        pass
