"""Frames that a formula defines, so that they need not be stored, and what is kept of large outputs."""

import numpy as np


def noise(width, height, seed):
    """A hash of the byte's position: a pixel that is read from the wrong place shows. `[height, width, 3]`."""
    at = np.arange(width * height * 3, dtype=np.uint64)
    value = (at * 2654435761 + seed) & 0xFFFFFFFF
    value ^= value >> 15
    value = (value * 2246822519) & 0xFFFFFFFF
    return (value >> 24).astype(np.uint8).reshape(height, width, 3)


def edges(width, height, seed):
    """Bars of black and white: where a cubic filter overshoots."""
    at = np.arange(width * height).reshape(height, width) // 3 + seed
    return np.repeat(((at % 2) * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def slopes(width, height, seed):
    """Neighbours a level or two apart, as in a picture out of focus: many mixes of them lie near a tie."""
    y, x, channel = np.mgrid[0:height, 0:width, 0:3]
    return ((3 * x + 5 * y + 85 * channel + 31 * seed) // 4 % 256).astype(np.uint8)


FRAMES = dict(noise=noise, edges=edges, slopes=slopes)


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def kept(image):
    """Of resized bytes: the first ones, a hash, and the sum of each row modulo 2^16, four hexadecimal digits each.
    Where the hash differs, the sums say in how many rows, and by how many levels at least."""
    sums = image.astype(np.int64).sum(axis=(1, 2)) % 65536
    return dict(
        first=image.reshape(-1)[:24].tolist(), fnv1a=fnv1a(image.tobytes()), rows="".join(f"{s:04x}" for s in sums)
    )
