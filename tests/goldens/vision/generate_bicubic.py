"""Writes bicubic.json: frames that a formula defines, resized with a cubic filter by Pillow and by torchvision.

Usage: python generate_bicubic.py    (the versions are named in ../README.md)

The frames are those of generate.py; outputs are kept as FNV-1a hashes with their first bytes.
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2 import functional
from torchvision.transforms.v2.functional import InterpolationMode

HERE = Path(__file__).parent

# (width, height) of the frame, (width, height) it is resized to.
SIZES = [
    ((320, 240), (244, 244)),
    ((640, 480), (244, 244)),
    ((1280, 720), (244, 244)),
    ((244, 244), (256, 256)),
    ((244, 244), (224, 224)),
    ((640, 480), (576, 416)),
    ((640, 480), (288, 192)),
    ((1280, 720), (1280, 704)),
    ((96, 96), (128, 128)),
    ((61, 97), (96, 96)),
    ((97, 61), (64, 96)),
    ((128, 96), (128, 96)),
    ((128, 90), (128, 96)),
    ((90, 96), (128, 96)),
    ((33, 47), (32, 32)),
    ((1, 1), (32, 32)),
    ((2, 1000), (32, 64)),
    ((1000, 3), (7, 5)),
    ((300, 200), (1, 1)),
]


def noise(width, height, seed):
    """`[height, width, 3]` bytes; the test computes the same."""
    at = np.arange(width * height * 3, dtype=np.uint64)
    value = (at * 2654435761 + seed) & 0xFFFFFFFF
    value ^= value >> 15
    value = (value * 2246822519) & 0xFFFFFFFF
    return (value >> 24).astype(np.uint8).reshape(height, width, 3)


def edges(width, height, seed):
    """Bars of black and white: where a cubic filter overshoots."""
    at = np.arange(width * height).reshape(height, width) // 3 + seed
    return np.repeat(((at % 2) * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def case(kind, frame, size, seed, how):
    height, width, _ = frame.shape
    out_width, out_height = size
    if how == "pillow":
        out = np.asarray(Image.fromarray(frame).resize(size, Image.BICUBIC))
    else:
        planes = torch.from_numpy(frame.copy()).permute(2, 0, 1)
        planes = functional.resize(planes, [out_height, out_width], InterpolationMode.BICUBIC, antialias=True)
        out = planes.permute(1, 2, 0).contiguous().numpy()
    data = out.tobytes()
    return dict(how=how, frame=kind, seed=seed, input=[width, height], output=list(size), first=list(data[:24]), fnv1a=fnv1a(data))


def main():
    cases = []
    for seed, (shape, size) in enumerate(SIZES):
        for kind, make in (("noise", noise), ("edges", edges)):
            frame = make(*shape, seed)
            cases += [case(kind, frame, size, seed, how) for how in ("pillow", "torchvision")]
    (HERE / "bicubic.json").write_text(json.dumps(cases, separators=(",", ":")).replace("},", "},\n") + "\n")


if __name__ == "__main__":
    main()
