"""Writes bicubic.json: frames that a formula defines, resized with a cubic filter by Pillow and by torchvision.

Usage: python generate_bicubic.py    (the versions are named in ../README.md)

The frames and what is kept of the outputs are those of frames.py.
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2 import functional
from torchvision.transforms.v2.functional import InterpolationMode

from frames import FRAMES, kept

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
    # Frames of cameras, at the sizes that the published scorer's processor chooses for them.
    ((640, 360), (640, 352)),
    ((848, 480), (864, 480)),
    ((480, 640), (480, 640)),
    ((720, 1280), (704, 1280)),
    ((1920, 1080), (1920, 1088)),
    ((224, 224), (256, 256)),
    ((320, 240), (320, 256)),
    ((640, 360), (244, 244)),
    ((1, 900), (64, 640)),
    ((3, 1000), (320, 320)),
    ((1000, 3), (320, 320)),
]


def case(kind, frame, size, seed, how):
    height, width, _ = frame.shape
    out_width, out_height = size
    if how == "pillow":
        out = np.asarray(Image.fromarray(frame).resize(size, Image.BICUBIC))
    else:
        planes = torch.from_numpy(frame.copy()).permute(2, 0, 1)
        planes = functional.resize(planes, [out_height, out_width], InterpolationMode.BICUBIC, antialias=True)
        out = planes.permute(1, 2, 0).contiguous().numpy()
    return dict(how=how, frame=kind, seed=seed, input=[width, height], output=list(size), **kept(out))


def main():
    cases = []
    for seed, (shape, size) in enumerate(SIZES):
        for kind in ("noise", "edges"):
            frame = FRAMES[kind](*shape, seed)
            cases += [case(kind, frame, size, seed, how) for how in ("pillow", "torchvision")]
    (HERE / "bicubic.json").write_text(json.dumps(cases, separators=(",", ":")).replace("},", "},\n") + "\n")


if __name__ == "__main__":
    main()
