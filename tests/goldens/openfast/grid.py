"""Every tokenizer against every shape and kind of chunk, in batches.

The chunks are made by integer arithmetic on both sides (here and in `models/openfast/tests/common/made.rs`), so they
need no storage; of the ids a hash is kept, of the decoded values up to `SAMPLES` and their sum.
"""

import numpy as np

from reference import decode, fnv1a, store
from sweep import ONE, mix, walk_steps

SHAPES = [
    (1, 1), (1, 2), (1, 7), (1, 32), (2, 1), (5, 1), (17, 1), (50, 1), (2, 3), (3, 7), (7, 2), (4, 4), (7, 11),
    (13, 5), (23, 3), (10, 7), (15, 7), (16, 6), (47, 2), (30, 6), (31, 13), (30, 14), (50, 7), (50, 14), (50, 32),
]  # fmt: skip
KINDS = ["walk", "noise", "constant", "step", "square", "wide", "tiny", "subnormal", "tie"]
SAMPLES = 24


def made(kind, chunk, horizon, dims, scale):
    """Chunk number `chunk` of a kind, exact in float32."""
    if kind in ("walk", "wide", "tiny", "subnormal"):
        factor = {"walk": 1 / ONE, "wide": 8 / ONE, "tiny": 2.0**-50, "subnormal": 2.0**-149}[kind]
        return (walk_steps(chunk, horizon, dims) * factor).astype(np.float32)
    count = horizon * dims
    bits = mix(chunk * count + np.arange(count)).reshape(horizon, dims)
    noise = ((bits % np.uint64(2 * ONE)).astype(np.int64) - ONE) / ONE
    time = np.arange(horizon)[:, None]
    if kind == "noise":
        out = noise
    elif kind == "constant":
        out = noise[:1].repeat(horizon, 0)
    elif kind == "step":
        out = np.where(time < (bits[:1] >> np.uint64(32)) % np.uint64(horizon), noise[:1], noise[-1:])
    elif kind == "square":
        out = np.where(time % 4 < 2, 1.0, -1.0).repeat(dims, 1)
    elif kind == "tie":
        # The mean's coefficient lies halfway between two whole numbers, or as near as float32 comes.
        halves = ((bits[:1] % np.uint64(12)).astype(np.float32) - np.float32(5.5)).repeat(horizon, 0)
        return halves / np.float32(scale) / np.sqrt(np.float32(horizon))
    return out.astype(np.float32)


def sampled(out):
    flat = out.ravel()
    count = min(flat.size, SAMPLES)
    return flat[np.arange(count) * flat.size // count]


def grid(tokenizers):
    """Rows [tokenizer, kind, horizon, dims, ids, hash of the ids, fell back, start of the samples, sum]."""
    rows = []
    for name, processor in tokenizers.items():
        for horizon, dims in SHAPES:
            chunks = [made(kind, 7 + index, horizon, dims, processor.scale) for index, kind in enumerate(KINDS)]
            streams = processor(np.stack(chunks))
            for kind, chunk, ids in zip(KINDS, chunks, streams, strict=True):
                assert processor(chunk)[0] == ids, "a batch is its chunks"
                out, fell_back = decode(processor, ids, horizon, dims)
                start = None if fell_back else store(sampled(out))
                total = 0.0 if fell_back else float(out.sum())
                rows.append([name, kind, horizon, dims, len(ids), fnv1a(ids), fell_back, start, total])
    return rows


def ranges(numbers):
    """[3, 4, 5, 9] as [[3, 5], [9, 9]]."""
    out = []
    for number in numbers:
        if out and out[-1][1] == number - 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return out


# Two- and three-byte characters on both sides of every boundary of UTF-8, and one of four bytes.
BEYOND = [0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF]


def facts(name, processor):
    """What the reference's tokenizer can write and what its ids stand for, asked one by one."""
    tokenizer = processor.tokenizer
    size = len(tokenizer)
    expressible = []
    for character in [*range(0x7FF), *BEYOND]:
        ids = tokenizer(chr(character))["input_ids"]
        if tokenizer.decode(ids) == chr(character):
            expressible.append(character)
    # Characters per id, where the id is whole characters.
    texts = [tokenizer.decode([index]) for index in range(size)]
    lengths = [None if "\ufffd" in text else len(text) for text in texts]
    return dict(
        tokenizer=name, ids=size, scale=processor.scale, min_token=processor.min_token,
        vocab_size=processor.vocab_size, time_horizon=processor.time_horizon, action_dim=processor.action_dim,
        expressible=ranges(expressible), lengths=lengths,
    )  # fmt: skip
