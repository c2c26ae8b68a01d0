"""Writes what the reference's image processor makes of frames that a formula defines.

Usage: python generate.py    (the versions are named in ../README.md)

The frames are those of frames.py; the large outputs are kept as FNV-1a hashes.
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

from frames import FRAMES, fnv1a, kept, noise

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
    # What cameras give, at the size of the published checkpoints and at that of the nano.
    ((224, 224), (378, 378)),
    ((320, 240), (378, 378)),
    ((848, 480), (378, 378)),
    ((800, 600), (378, 378)),
    ((480, 640), (378, 378)),
    ((1920, 1080), (378, 378)),
    ((640, 360), (96, 96)),
    ((640, 480), (96, 96)),
    ((224, 224), (96, 96)),
    ((1280, 720), (96, 96)),
    ((320, 240), (96, 96)),
    # On both sides of the sum of sides at which PyTorch changes kernels.
    ((100, 80), (64, 64)),
    ((100, 80), (65, 63)),
    ((100, 80), (64, 65)),
    ((100, 80), (65, 64)),
    ((100, 80), (127, 1)),
    ((100, 80), (1, 127)),
    ((100, 80), (128, 1)),
    ((100, 80), (1, 128)),
    ((50, 35), (70, 70)),
    # One axis left alone, sides of one pixel, and very long and thin.
    ((640, 480), (640, 96)),
    ((640, 480), (96, 480)),
    ((200, 300), (1, 300)),
    ((1, 1), (378, 378)),
    ((1, 500), (378, 378)),
    ((1000, 1), (378, 378)),
    ((2, 1000), (378, 378)),
    ((5, 3), (700, 11)),
    ((300, 200), (1, 378)),
    ((1999, 7), (3, 378)),
]

# Those that every frame goes through, in other noise and in slopes too.
REAL = [
    (size, (side, side))
    for side in (378, 96)
    for size in ((640, 360), (640, 480), (224, 224), (1280, 720))
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
    ((848, 480), (320, 320)),
    ((800, 600), (320, 320)),
    ((480, 640), (320, 320)),
    ((1920, 1080), (320, 320)),
    ((5, 900), (320, 320)),
    ((3, 1000), (320, 320)),
    ((1000, 3), (320, 320)),
    ((640, 320), (320, 320)),
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


def resizes():
    cases = [(*sizes, index, "noise") for index, sizes in enumerate(RESIZES)]
    cases += [(*sizes, 300 + seed, "noise") for sizes in REAL for seed in range(2)]
    cases += [(*sizes, index, "slopes") for index, sizes in enumerate(REAL)]
    rows = []
    for (width, height), (out_width, out_height), seed, frame in cases:
        image = FRAMES[frame](width, height, seed)
        unit = processing.resize_image(image, [out_height, out_width], BILINEAR)
        levels = unit.astype(np.float64) * 255
        data = np.rint(levels).astype(np.uint8)
        assert np.abs(levels - data).max() < 1e-3
        # In the other layout in memory, which takes another way through the kernel, it is the same.
        planes = np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)
        assert np.array_equal(unit, processing.resize_image(planes, [out_height, out_width], BILINEAR))
        rows.append(
            dict(frame=frame, input=[width, height], output=[out_width, out_height], seed=seed, **kept(data))
        )
    return rows


def resamples():
    """Pillow's own resizing, with antialiasing."""
    rows = []
    for index, ((width, height), (out_width, out_height)) in enumerate(RESAMPLES):
        for frame in ("noise", "slopes"):
            image = FRAMES[frame](width, height, 200 + index)
            data = np.asarray(Image.fromarray(image).resize((out_width, out_height), Image.BILINEAR))
            rows.append(
                dict(frame=frame, input=[width, height], output=[out_width, out_height], seed=200 + index, **kept(data))
            )
    return rows


def whole_path():
    """Frame to pixel values, as the processor gives them: hashed as little-endian f32."""
    rows = []
    cases = [(size, 80, 60) for size in ((56, 14, 2), (40, 8, 2), (70, 14, 2), (378, 14, 2))]
    cases += [((378, 14, 2), 640, 480), ((378, 14, 2), 1280, 720), ((96, 16, 2), 640, 360), ((96, 16, 2), 320, 240)]
    for index, ((size, patch, pooling), width, height) in enumerate(cases):
        image = noise(width, height, 100 + index)
        grid, pixels, pool = processing.image_to_patches_and_grids(
            image, 8, [4, 4], [size, size], BILINEAR, [0.5] * 3, [0.5] * 3, patch, pooling, pooling, "resize"
        )
        rows.append(
            dict(
                input=[width, height], seed=100 + index, size=size, patch=patch, pooling=pooling,
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
    # With one thread, PyTorch takes its kernel of small outputs for large ones too (../molmoact2/threads.py).
    torch.set_num_threads(2)
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        raise SystemExit("this processor has no fused multiply-add; PyTorch resizes differently on it")
    payload = dict(resizes=resizes(), resamples=resamples(), paths=whole_path(), poolings=poolings())
    lines = [
        f' "{key}": [\n' + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]"
        for key, rows in payload.items()
    ]
    (HERE / "golden.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    save_file(normalisations(), HERE / "normalisation.safetensors")
