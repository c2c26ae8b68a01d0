"""Writes what the reference's image processor makes of frames that a formula defines.

Usage: python generate.py    (the versions are named in ../README.md)

The frames are noise of a hash of the byte's position, so that they need not be stored and any pixel that
reads from the wrong place shows; the large outputs are kept as FNV-1a hashes.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from lerobot.policies.molmoact2.molmoact2_hf_model import image_processing_molmoact2 as processing
from lerobot.policies.molmoact2.molmoact2_hf_model.modeling_molmoact2 import MolmoAct2VisionBackbone

HERE = Path(__file__).parent
BILINEAR = 2

# (width, height) of the frame, (width, height) it is resized to.
RESIZES = [
    ((320, 240), (112, 112)),
    ((640, 360), (378, 378)),
    ((640, 480), (378, 378)),
    ((1280, 720), (378, 378)),
    ((320, 240), (56, 56)),
    ((47, 33), (378, 378)),
    ((61, 97), (40, 40)),
    ((64, 48), (56, 56)),
    ((90, 120), (84, 84)),
    ((224, 224), (112, 112)),
    ((53, 37), (64, 64)),
    ((112, 112), (112, 112)),
    ((113, 112), (112, 112)),
    ((1, 1), (14, 14)),
    ((7, 1), (14, 28)),
    ((2, 1000), (42, 42)),
    ((300, 200), (1, 1)),
]

# The same for the resizing with antialiasing.
RESAMPLES = [
    ((320, 240), (320, 320)),
    ((640, 480), (320, 320)),
    ((640, 360), (320, 320)),
    ((1280, 720), (320, 320)),
    ((224, 224), (320, 320)),
    ((96, 96), (64, 64)),
    ((64, 48), (96, 96)),
    ((61, 97), (96, 96)),
    ((320, 320), (320, 320)),
    ((53, 96), (96, 96)),
    ((96, 53), (96, 96)),
    ((1, 1), (32, 32)),
    ((2, 1000), (32, 64)),
    ((1000, 3), (7, 5)),
    ((300, 200), (1, 1)),
]

# (rows, columns) of the grid, (rows, columns) of a window.
POOLINGS = [
    ((27, 27), (2, 2)), ((8, 8), (2, 2)), ((5, 5), (2, 2)), ((5, 7), (3, 2)), ((4, 4), (4, 4)), ((3, 5), (4, 4)),
    ((1, 1), (2, 2)), ((6, 4), (1, 1)), ((5, 4), (3, 3)), ((7, 7), (5, 5)),
]

MEANS = {
    "halves": ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]),
    "imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "clip": ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]),
}


def noise(width, height, seed):
    """`[height, width, 3]` bytes; the test computes the same."""
    at = np.arange(width * height * 3, dtype=np.uint64)
    value = (at * 2654435761 + seed) & 0xFFFFFFFF
    value ^= value >> 15
    value = (value * 2246822519) & 0xFFFFFFFF
    return (value >> 24).astype(np.uint8).reshape(height, width, 3)


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def resizes():
    rows = []
    for index, ((width, height), (out_width, out_height)) in enumerate(RESIZES):
        image = noise(width, height, index)
        unit = processing.resize_image(image, [out_height, out_width], BILINEAR)
        levels = unit.astype(np.float64) * 255
        data = np.rint(levels).astype(np.uint8)
        assert np.abs(levels - data).max() < 1e-3
        rows.append(
            dict(
                input=[width, height],
                output=[out_width, out_height],
                seed=index,
                first=data.reshape(-1)[:24].tolist(),
                fnv1a=fnv1a(data.tobytes()),
            )
        )
    return rows


def resamples():
    """Pillow's own resizing, with antialiasing."""
    rows = []
    for index, ((width, height), (out_width, out_height)) in enumerate(RESAMPLES):
        image = noise(width, height, 200 + index)
        data = np.asarray(Image.fromarray(image).resize((out_width, out_height), Image.BILINEAR))
        rows.append(
            dict(
                input=[width, height],
                output=[out_width, out_height],
                seed=200 + index,
                first=data.reshape(-1)[:24].tolist(),
                fnv1a=fnv1a(data.tobytes()),
            )
        )
    return rows


def whole_path():
    """Frame to pixel values, as the processor gives them: hashed as little-endian f32."""
    rows = []
    for index, (size, patch, pooling) in enumerate([(56, 14, 2), (40, 8, 2), (70, 14, 2), (378, 14, 2)]):
        image = noise(80, 60, 100 + index)
        grid, pixels, pool = processing.image_to_patches_and_grids(
            image, 8, [4, 4], [size, size], BILINEAR, [0.5] * 3, [0.5] * 3, patch, pooling, pooling, "resize"
        )
        rows.append(
            dict(
                input=[80, 60], seed=100 + index, size=size, patch=patch, pooling=pooling,
                grid=grid[0, :2].tolist(), shape=list(pixels.shape),
                first=[float(x) for x in pixels.reshape(-1)[:8]],
                fnv1a=fnv1a(pixels.astype("<f4").tobytes()),
                pool_fnv1a=fnv1a(pool.astype("<i4").tobytes()),
            )
        )
    return rows


def poolings():
    rows = []
    for (rows_in, columns_in), (window_rows, window_columns) in POOLINGS:
        at = np.arange(rows_in * columns_in).reshape(rows_in, columns_in)
        out = processing.arange_for_pooling(at, window_rows, window_columns)
        rows.append(
            dict(grid=[rows_in, columns_in], window=[window_rows, window_columns],
                 output=list(out.shape[:2]), indices=out.reshape(-1).tolist())
        )
    return rows


class Reached(Exception):
    pass


def requantised(pixels):
    """The values that enter the vision tower, taken from the reference where it calls the tower."""
    seen = []

    def encode_image(images):
        seen.append(images)
        raise Reached

    backbone = SimpleNamespace(device="cpu", dtype=torch.float32, encode_image=encode_image)
    try:
        MolmoAct2VisionBackbone.forward(backbone, pixels, None)
    except Reached:
        pass
    return seen[0]


def normalisations():
    out = {}
    unit = np.arange(256, dtype=np.uint8).astype(np.float32) / 255.0
    for name, (mean, std) in MEANS.items():
        image = np.repeat(unit[None, :, None], 3, axis=2).copy()
        pixels = torch.from_numpy(processing.normalize_image(image, mean, std).astype(np.float32))
        out[f"{name}.processor"] = pixels[0].T.contiguous()
        out[f"{name}.model"] = requantised(pixels[None])[0, 0].T.contiguous()
        out[f"{name}.mean"] = torch.tensor(mean)
        out[f"{name}.std"] = torch.tensor(std)
    return out


if __name__ == "__main__":
    torch.set_num_threads(1)
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        raise SystemExit("this processor has no fused multiply-add; PyTorch resizes differently on it")
    payload = dict(resizes=resizes(), resamples=resamples(), paths=whole_path(), poolings=poolings())
    lines = [
        f' "{key}": [\n' + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]"
        for key, rows in payload.items()
    ]
    (HERE / "golden.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    save_file(normalisations(), HERE / "normalisation.safetensors")
