"""Goldens for the `openfast` crate, made by the reference Python.

Run from the repository root, with Python 3.12 and
`pip install "lerobot[molmoact2]==0.6.1" transformers==5.5.4 tokenizers==0.22.2 scipy numpy==2.2.6`:

    OMP_NUM_THREADS=1 python tests/goldens/openfast/generate.py

It takes about a minute and rewrites everything beside it:

    nano/ fine/ holes/   tokenizers fitted by `UniversalActionProcessor.fit`, as `save_pretrained` writes them
    cases.json           what the reference encoded, decoded or refused (figures point into values.f32)
    values.f32           little-endian float32: inputs and decoded chunks, each [horizon, dims] row-major
    sweep.u32            one FNV-1a hash of the ids per chunk of a large sweep; the chunks themselves are
                         made by integer arithmetic on both sides (`sweep_chunk`), so they need no storage

Everything is seeded. Decoded chunks are computed by the reference in float64 and stored as float32.
"""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
from lerobot.policies.molmoact2.molmoact2_hf_model import action_tokenizer as reference
from scipy.fft import idct

HERE = Path(__file__).parent
Processor = reference.UniversalActionProcessor


class FallbackCounter(logging.Handler):
    """The reference reports its all-zeros fallback only as a log line: count those."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def emit(self, record):
        self.count += "Error decoding" in record.msg


fallbacks = FallbackCounter()
reference.logger.addHandler(fallbacks)
reference.logger.propagate = False

values = []  # float32 blocks
values_len = 0


def store(array):
    """Appends an array to values.f32 and returns where it starts."""
    global values_len
    flat = np.ascontiguousarray(array, np.float32).ravel()
    values.append(flat)
    start = values_len
    values_len += flat.size
    return start


def walk(rng, horizon, dims, amplitude):
    steps = rng.normal(0, amplitude / horizon**0.5, (horizon, dims))
    return np.clip(np.cumsum(steps, 0) + rng.uniform(-0.8, 0.8, (1, dims)), -1, 1).astype(np.float32)


def fit(name, seed, count, horizon, dims, amplitude, scale, vocab_size, declare_shape):
    rng = np.random.default_rng(seed)
    chunks = [walk(rng, horizon, dims, amplitude) for _ in range(count)]
    shape = dict(time_horizon=horizon, action_dim=dims) if declare_shape else {}
    fitted = Processor.fit(chunks, scale=scale, vocab_size=vocab_size, **shape)
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    fitted.save_pretrained(folder)
    # What the tests use is what was saved, not what is in memory.
    return Processor.from_pretrained_local(str(folder))


def decode(processor, ids, horizon, dims):
    before = fallbacks.count
    out = processor.decode([ids], time_horizon=horizon, action_dim=dims)[0]
    return out, fallbacks.count > before


def near_tie(rng, horizon, dims, scale):
    """A chunk whose every coefficient lies within float32 error of a rounding tie."""
    halves = rng.integers(-12, 12, (horizon, dims)) + 0.5
    return idct(halves / scale, axis=0, norm="ortho").astype(np.float32)


def encode_cases(name, processor, seed):
    rng = np.random.default_rng(seed)
    cases = []

    def add(kind, chunk):
        horizon, dims = chunk.shape
        case = dict(tokenizer=name, kind=kind, horizon=horizon, dims=dims, input=store(chunk))
        try:
            with np.errstate(all="ignore"):
                ids = processor(chunk)[0]
        except Exception as error:  # what the reference refuses, and how
            case["error"] = f"{type(error).__name__}: {error}"[:120]
        else:
            out, fell_back = decode(processor, ids, horizon, dims)
            case.update(ids=ids, fell_back=fell_back, decoded=store(out))
        cases.append(case)

    for horizon, dims in [(1, 1), (1, 6), (2, 3), (3, 7), (5, 1), (7, 2), (10, 7), (16, 6), (30, 6), (50, 14), (50, 32)]:
        add("walk", walk(rng, horizon, dims, 0.4))
        if horizon * dims <= 700:
            add("constant", np.full((horizon, dims), rng.uniform(-1, 1), np.float32))
            add("noise", rng.uniform(-1, 1, (horizon, dims)).astype(np.float32))
            add("near_tie", near_tie(rng, horizon, dims, processor.scale))
        if horizon * dims <= 180:
            add("zeros", np.zeros((horizon, dims), np.float32))
            add("square", np.where(np.arange(horizon)[:, None] % 4 < 2, 1, -1) * np.ones((1, dims), np.float32))
            add("out_of_range", (8 * walk(rng, horizon, dims, 1.0)).astype(np.float32))
    # One step long, the transform changes (nearly) nothing and most of these are true ties even in
    # float32: they tell rounding half to even from half away from zero.
    halves = np.asarray([[0.5, 1.5, 2.5, 3.5, -0.5, -1.5, -2.5, -3.5]], np.float32)
    add("exact_tie", halves / np.float32(processor.scale))
    for bad in (np.nan, np.inf, -np.inf):
        everywhere = np.full((16, 6), bad, np.float32)
        once = walk(rng, 16, 6, 0.4)
        once[3, 2] = bad
        add("not_finite", everywhere)
        add("not_finite", once)
    add("empty", np.zeros((0, 6), np.float32))
    add("empty", np.zeros((16, 0), np.float32))
    add("beyond_unicode", np.full((1, 1), 1e6, np.float32))
    return cases


def stream_cases(name, processor, seed):
    """Token streams that no encoder made: what the reference decodes them to, zeros included."""
    rng = np.random.default_rng(seed)
    size = len(processor.tokenizer)
    cases = []

    def add(kind, ids, horizon, dims):
        ids = [int(i) for i in ids]
        out, fell_back = decode(processor, ids, horizon, dims)
        case = dict(tokenizer=name, kind=kind, horizon=horizon, dims=dims, ids=ids, fell_back=fell_back)
        case["decoded"] = None if fell_back else store(out)
        cases.append(case)

    whole = processor(walk(rng, 16, 6, 0.4))[0]
    add("truncated", whole[:-1], 16, 6)
    add("doubled", whole + whole, 16, 6)
    add("unknown_id", whole[:3] + [size, size + 7] + whole[3:], 16, 6)
    add("empty", [], 16, 6)
    for first in range(0, 40, 3):
        add("single", [first], 1, 1)
    for _ in range(40):
        length = int(rng.integers(1, 30))
        ids = rng.integers(0, size, length)
        # The shape that this stream happens to fill, so that the reference decodes it.
        chars = len(processor.tokenizer.decode(ids.tolist()))
        add("random", ids, max(chars, 1), 1)
        add("random_short", ids, chars + 1, 1)
    return cases


SWEEP_ONE = 1 << 20


def mix(index):
    """SplitMix64 of a counter: the same integers in numpy and in Rust."""
    with np.errstate(over="ignore"):
        z = (index.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def sweep_chunk(chunk, horizon, dims):
    """A clamped random walk per dimension in steps of 2^-20, exact in float32."""
    out = np.empty((horizon, dims), np.int64)
    for dim in range(dims):
        index = (chunk * dims + dim) * horizon + np.arange(horizon)
        bits = mix(index)
        at = int(bits[0] % np.uint64(2 * SWEEP_ONE)) - SWEEP_ONE
        out[0, dim] = at
        for time in range(1, horizon):
            at += int(bits[time] % np.uint64(1 << 18)) - (1 << 17)
            at = max(-SWEEP_ONE, min(SWEEP_ONE, at))
            out[time, dim] = at
    return (out / SWEEP_ONE).astype(np.float32)


def fnv1a(ids):
    value = 0x811C9DC5
    for byte in np.asarray(ids, "<u4").tobytes():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def main():
    tokenizers = {
        # The nano policy's shape; every char is one byte.
        "nano": fit("nano", 1, 400, 16, 6, 0.6, 10, 384, True),
        # A fine scale: coefficients reach past char 127, so UTF-8 takes two bytes and BPE may split them.
        "fine": fit("fine", 2, 300, 30, 7, 0.6, 40, 1024, False),
        # Few chunks with a wide spread: control chars that never occurred are holes in the vocabulary.
        "holes": fit("holes", 3, 12, 10, 7, 1.5, 20, 512, False),
    }
    sweeps = [("nano", 16, 6, 4000), ("fine", 30, 7, 1000)]
    hashes = []
    for name, horizon, dims, count in sweeps:
        for chunk in range(count):
            hashes.append(fnv1a(tokenizers[name](sweep_chunk(chunk, horizon, dims))[0]))
    encodes, streams = [], []
    for seed, (name, processor) in enumerate(tokenizers.items()):
        encodes += encode_cases(name, processor, 100 + seed)
        streams += stream_cases(name, processor, 200 + seed)
    cases = dict(
        encode=encodes,
        stream=streams,
        sweep=[dict(tokenizer=n, horizon=h, dims=d, chunks=c) for n, h, d, c in sweeps],
    )
    rows = ",\n".join(
        f'"{key}": [\n' + ",\n".join(json.dumps(case, separators=(",", ":")) for case in group) + "\n]"
        for key, group in cases.items()
    )
    (HERE / "cases.json").write_text("{\n" + rows + "\n}\n")
    (HERE / "values.f32").write_bytes(np.concatenate(values).astype("<f4").tobytes())
    (HERE / "sweep.u32").write_bytes(np.asarray(hashes, "<u4").tobytes())
    print(f"{len(encodes)} encode cases, {len(streams)} streams, {len(hashes)} sweep chunks, {values_len} values")


if __name__ == "__main__":
    main()
