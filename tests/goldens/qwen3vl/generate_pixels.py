"""Writes pixels.json: what transformers makes of the frames of real cameras, and the sizes that it gives to any.

Usage: python generate_pixels.py    (with transformers 5.5.4, then with 4.57.1: each adds what is its own)

Pixel values and sizes are kept as a polynomial hash of their 32-bit words. Beside it are the sums of the bytes that the
values stand for in 64 parts of equal length, which say where a difference lies, and every 997th size.
"""

import json

import numpy as np
import torch
import transformers
from transformers import Qwen3VLVideoProcessor
from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize

from generate import HERE, PUBLISHED_SIZE, frame

FILE = HERE / "pixels.json"
STILL_SIZE = (65_536, 16_777_216)
PARTS = 64

# Frames, width, height.
VIDEOS = [
    (4, 640, 480), (3, 640, 360), (2, 848, 480), (2, 1280, 720), (2, 1920, 1080), (3, 244, 244), (2, 224, 224),
    (2, 480, 640), (5, 320, 240), (2, 333, 517), (2, 35, 900),
]
STILLS = [(640, 480), (640, 360), (1280, 720), (1920, 1080), (244, 244), (333, 517), (10, 30), (1, 200), (1, 1)]

SIDES = sorted({round(32 * 1.09**k) for k in range(58)})
COUNTS = [2, 3, 4, 5, 7, 16, 81, 96, 97, 384, 420, 767]


def words(data):
    """h = h * 0x100000001b3 + word + 1, modulo 2^64, over the little-endian 32-bit words."""
    data = np.frombuffer(data, dtype="<u4").astype(np.uint64) + np.uint64(1)
    powers = np.ones(len(data), dtype=np.uint64)
    with np.errstate(over="ignore"):
        powers[1:] = np.cumprod(np.full(len(data) - 1, 0x100000001B3, dtype=np.uint64))
        return f"{int((data * powers[::-1]).sum(dtype=np.uint64)):016x}"


def kept(pixels):
    values = pixels.float().contiguous().numpy().reshape(-1)
    levels = np.rint((values.astype(np.float64) + 1) * 127.5).astype(np.int64)
    assert len(levels) % PARTS == 0 and levels.min() >= 0 and levels.max() <= 255
    return dict(pixels=words(values.tobytes()), parts=levels.reshape(PARTS, -1).sum(axis=1).tolist())


def videos(version):
    least, most = PUBLISHED_SIZE
    processor = Qwen3VLVideoProcessor(size=dict(shortest_edge=least, longest_edge=most))
    for index, (count, width, height) in enumerate(VIDEOS):
        frames = np.stack([frame(width, height, index * 100 + number) for number in range(count)])
        out = processor(videos=[frames], do_sample_frames=False, return_tensors="pt")
        grid = out["video_grid_thw"][0].tolist()
        yield dict(version=version, frames=count, input=[width, height], seed=index * 100, grid=grid,
                   **kept(out["pixel_values_videos"]))


def stills(version):
    kind = getattr(transformers, "Qwen2VLImageProcessorFast", None) or transformers.Qwen2VLImageProcessor
    least, most = STILL_SIZE
    processor = kind(
        patch_size=16, merge_size=2, temporal_patch_size=2, size=dict(shortest_edge=least, longest_edge=most),
        image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )
    for index, (width, height) in enumerate(STILLS):
        out = processor(images=[torch.from_numpy(frame(width, height, 5000 + index)).permute(2, 0, 1)],
                        return_tensors="pt")
        grid = out["image_grid_thw"][0].tolist()
        yield dict(version=version, input=[width, height], seed=5000 + index, grid=grid, **kept(out["pixel_values"]))


def sizes(version):
    """Height and width for every choice of frames, width and height, in this order; zeros where it refuses."""
    least, most = PUBLISHED_SIZE
    table = []
    for count in COUNTS:
        for width in SIDES:
            for height in SIDES:
                try:
                    table.append(smart_resize(count, height, width, min_pixels=least, max_pixels=most))
                except ValueError:
                    table.append((0, 0))
    hashed = words(np.array(table, dtype="<u4").tobytes())
    return dict(version=version, counts=COUNTS, sides=SIDES, words=hashed, some=table[::997])


def main():
    version = transformers.__version__
    torch.set_num_threads(2)
    old = json.loads(FILE.read_text()) if FILE.exists() else dict(videos=[], stills=[], sizes=[])
    new = dict(videos=list(videos(version)), stills=list(stills(version)), sizes=[sizes(version)])
    whole = {key: sorted([row for row in old[key] if row["version"] != version] + new[key], key=lambda row: row["version"])
             for key in new}
    lines = [f' "{key}": [\n' + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]" for key, rows in whole.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
