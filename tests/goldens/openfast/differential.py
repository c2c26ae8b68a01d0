"""Ours against the reference on chunks that nobody chose: random tokenizers, shapes, scales and chunks.

Nothing is stored. Run from the repository root, in the environment that `generate.py` names:

    cargo build -p openfast --example answer
    OMP_NUM_THREADS=1 python tests/goldens/openfast/differential.py target/debug/examples/answer --chunks 20000

Each round fits a tokenizer with the reference, then encodes batches of one shape with both, and decodes the
reference's ids with both. Ids must be equal unless a coefficient lies within float32 error of a rounding tie; where the
reference decodes what an encoder can write, values must be within 1e-6 (relative above 1). It ends with status 1 at the
first chunk for which that does not hold, and prints how to make it again.
"""

import argparse
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter

import numpy as np
from scipy.fft import dct, idct

from reference import Processor, fallbacks, walk

# Chunks fitted per tokenizer, and chunks compared per shape.
FIT, BATCH = 60, 40


def chunk(rng, kind, horizon, dims, scale):
    if kind == "walk":
        return walk(rng, horizon, dims, rng.uniform(0.1, 1.0))
    if kind == "noise":
        return rng.uniform(-1, 1, (horizon, dims)).astype(np.float32)
    if kind == "constant":
        return np.repeat(rng.uniform(-1, 1, (1, dims)), horizon, 0).astype(np.float32)
    if kind == "step":
        at = rng.integers(0, horizon + 1, dims)
        low, high = rng.uniform(-1, 1, (2, dims))
        return np.where(np.arange(horizon)[:, None] < at, low, high).astype(np.float32)
    if kind == "wide":
        return (walk(rng, horizon, dims, 1.0) * 10.0 ** rng.uniform(0, 2)).astype(np.float32)
    if kind == "small":
        return (walk(rng, horizon, dims, 1.0) * 10.0 ** rng.uniform(-45, -1)).astype(np.float32)
    # Near ties: every coefficient within a little float32 error of one half.
    halves = rng.integers(-9, 9, (horizon, dims)) + 0.5
    return idct(halves / scale, axis=0, norm="ortho").astype(np.float32)


KINDS = ["walk", "noise", "constant", "step", "wide", "small", "tie"]


def undecidable(actions, scale):
    """Whether float32 cannot decide some coefficient: the bound of the Rust tests, `common::undecidable`."""
    actions = actions.astype(np.float64)
    horizon = actions.shape[0]
    scaled = dct(actions, axis=0, norm="ortho") * scale
    error = np.abs(actions).sum(0) * np.sqrt(2 / horizon) * scale * 8 * np.finfo(np.float32).eps
    return bool((np.abs(scaled - np.floor(scaled) - 0.5) <= error).any())


def random_tokenizer(rng):
    while True:
        horizon, dims = int(rng.integers(1, 51)), int(rng.integers(1, 17))
        scale = [1, 4, 10, 25, 100, round(float(rng.uniform(0.5, 60)), 3)][int(rng.integers(6))]
        vocabulary = int(rng.choice([256, 384, 1024, 2048]))
        amplitude = rng.uniform(0.2, 1.2)
        chunks = [walk(rng, horizon, dims, amplitude) for _ in range(FIT)]
        try:
            return Processor.fit(chunks, scale=scale, vocab_size=vocabulary)
        except AssertionError:
            pass  # The range does not fit in the vocabulary.


class Ours:
    def __init__(self, binary, folder):
        self.process = subprocess.Popen([binary, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def numbers(self, count):
        return np.frombuffer(self.process.stdout.read(4 * count), "<u4")

    def ask(self, chunks, streams):
        count, horizon, dims = chunks.shape
        request = [struct.pack("<3I", horizon, dims, count), chunks.astype("<f4").tobytes()]
        request += [np.asarray([len(ids), *ids], "<u4").tobytes() for ids in streams]
        self.process.stdin.write(b"".join(request))
        self.process.stdin.flush()
        encoded, decoded = [], []
        for _ in range(count):
            ids = self.numbers(int(self.numbers(1)[0])).tolist()
            lost = int(self.numbers(1)[0])
            encoded.append((None if lost == 0xFFFFFFFF else ids, lost))
        for _ in range(count):
            known = self.numbers(1)[0]
            decoded.append(self.numbers(horizon * dims).view("<f4").reshape(horizon, dims) if known else None)
        return encoded, decoded

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(name, processor, ours, kinds, chunks, tally):
    horizon, dims = chunks[0].shape
    expected = []
    for actions in chunks:
        try:
            with np.errstate(all="ignore"):
                expected.append(processor(actions)[0])
        except Exception:
            expected.append(None)
    streams = [ids or [] for ids in expected]
    encoded, decoded = ours.ask(np.stack(chunks), streams)
    for index, (actions, ids, (got, lost), values) in enumerate(zip(chunks, expected, encoded, decoded, strict=True)):
        tally["chunks"] += 1
        where = f"{name}, chunk {index} of {horizon}x{dims}, scale {processor.scale}"
        if ids is None or got is None:
            tally["refused by both"] += 1
            assert ids is None and got is None, f"{where}: one refuses, the other does not"
            continue
        tally["ids"] += len(ids)
        if got != ids:
            assert undecidable(actions, processor.scale), f"{where}: other ids and no tie"
            tally["other ids, chunk made of ties" if kinds[index] == "tie" else "other ids, float32 tie by chance"] += 1
        before = fallbacks.count
        want = processor.decode([ids], time_horizon=horizon, action_dim=dims)[0]
        if fallbacks.count > before:
            assert values is None, f"{where}: the reference fell back to zeros, ours decodes"
            tally["zeros in the reference"] += 1
        elif values is None:
            # Only half of a character was dropped; the reference reads the rest as U+FFFD.
            text = processor.tokenizer.decode(ids)
            assert "\ufffd" in text, f"{where}: ours refuses a good stream"
            tally["garbage in the reference"] += 1
        else:
            error = np.abs(values - want) / np.maximum(np.abs(want), 1)
            tally["largest difference"] = max(tally["largest difference"], float(error.max()))
            assert error.max() <= 1e-6, f"{where}: decoded values differ by {error.max()}"
            tally["decoded by both"] += 1
        if got == ids and lost == 0:
            assert values is not None, f"{where}: nothing lost, but it does not decode"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("binary")
    arguments.add_argument("--chunks", type=int, default=20_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()
    tally, tokenizers, shapes, begun = Counter(), 0, set(), time.time()
    while tally["chunks"] < arguments.chunks:
        seed = arguments.seed * 1_000_003 + tokenizers
        rng = np.random.default_rng(seed)
        tokenizers += 1
        with tempfile.TemporaryDirectory() as folder:
            random_tokenizer(rng).save_pretrained(folder)
            processor = Processor.from_pretrained_local(folder)
            ours = Ours(arguments.binary, folder)
            for shape in range(12):
                horizon, dims = int(rng.integers(1, 51)), int(rng.integers(1, 33 if shape % 4 == 0 else 9))
                shapes.add((horizon, dims))
                kinds = rng.choice(KINDS, BATCH)
                chunks = [chunk(rng, kind, horizon, dims, processor.scale) for kind in kinds]
                try:
                    compare(f"tokenizer seed {seed}", processor, ours, kinds, chunks, tally)
                except AssertionError as difference:
                    sys.exit(str(difference))
            ours.close()
    print(f"{tokenizers} tokenizers, {len(shapes)} shapes, {time.time() - begun:.0f} s")
    for key, value in tally.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()
