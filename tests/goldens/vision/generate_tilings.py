"""Writes what the reference makes of images that are read in several overlapping crops.

Usage: python generate_tilings.py    (the versions are named in ../README.md)

Frames as in generate.py. Large outputs are kept as a polynomial hash of their 32-bit words (`words`).
"""

import json

import numpy as np
import torch

from frames import noise
from generate import BILINEAR, HERE, processing

# crop size, patch size, most crops, margins, window
SETTINGS = {
    "published": (378, 14, 8, [4, 4], [2, 2]),
    "small": (56, 14, 6, [1, 1], [2, 2]),
    "uneven": (40, 8, 5, [1, 2], [3, 2]),
    "one_crop": (84, 14, 1, [1, 1], [2, 2]),
    "many": (48, 8, 24, [2, 1], [2, 3]),
}

# (width, height)
SIZES = [
    (640, 480), (1280, 720), (100, 90), (378, 378), (61, 997), (1, 1), (53, 37), (224, 224), (112, 112), (113, 300),
    (28, 28), (27, 29), (320, 96), (96, 320), (42, 700), (1500, 40), (333, 334), (2, 1000), (70, 56), (56, 70),
]

# For the published setting, whose outputs are large: what cameras give, and the smallest and the longest.
PUBLISHED_SIZES = [
    (640, 480), (1280, 720), (100, 90), (378, 378), (640, 360), (224, 224), (480, 640), (1920, 1080), (1, 1), (30, 1500),
]


def words(array):
    """h = h * 0x100000001b3 + word + 1, modulo 2^64, over the little-endian 32-bit words."""
    data = np.frombuffer(np.ascontiguousarray(array).tobytes(), dtype="<u4").astype(np.uint64) + np.uint64(1)
    powers = np.ones(len(data), dtype=np.uint64)
    with np.errstate(over="ignore"):
        powers[1:] = np.cumprod(np.full(len(data) - 1, 0x100000001B3, dtype=np.uint64))
        return f"{int((data * powers[::-1]).sum(dtype=np.uint64)):016x}"


def setting(name):
    size, patch, crops, margins, window = SETTINGS[name]
    return dict(crop_size=size, patch_size=patch, max_crops=crops, margins=margins, window=window)


def choices():
    """The grid of crops for every size from 1x1 to about 2000x2000 in uneven steps, hashed per setting."""
    sides = np.unique(np.round(1.013 ** np.arange(0, 590)).astype(int))
    rows = []
    for name, (size, patch, crops, margins, _) in SETTINGS.items():
        margin = patch * sum(margins)
        window = size - margin
        table = [
            processing.select_tiling(int(h) - margin, int(w) - margin, window, crops) for h in sides for w in sides
        ]
        table = np.array(table, dtype=np.int32)
        kinds = {tuple(row) for row in table.tolist()}
        rows.append(
            dict(name=name, **setting(name), sides=sides.tolist(), kinds=len(kinds), words=words(table),
                 first=table[:: len(table) // 50].reshape(-1).tolist())
        )
    return rows


def cuts():
    rows = []
    for name, (size, patch, crops, margins, window) in SETTINGS.items():
        for index, (width, height) in enumerate(PUBLISHED_SIZES if name == "published" else SIZES):
            image = noise(width, height, 1000 + index)
            grid, pixels, pool = processing.image_to_patches_and_grids(
                image, crops, margins, [size, size], BILINEAR, [0.5] * 3, [0.5] * 3, patch, window[1], window[0],
            )
            rows.append(
                dict(
                    name=name, **setting(name), input=[width, height], seed=1000 + index, grid=grid[0].tolist(),
                    shape=list(pixels.shape), values=words(pixels.astype("<f4")), pool_shape=list(pool.shape),
                    pool=words(pool.astype("<i4")),
                )
            )
    return rows


if __name__ == "__main__":
    # Not one: see ../molmoact2/threads.py.
    torch.set_num_threads(2)
    payload = dict(choices=choices(), cuts=cuts())
    lines = [
        f' "{key}": [\n' + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]"
        for key, rows in payload.items()
    ]
    (HERE / "tilings.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
