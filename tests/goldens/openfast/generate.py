"""Goldens for the `openfast` crate, made by the reference Python.

Run from the repository root, with Python 3.12 and
`pip install "lerobot[molmoact2]==0.6.1" transformers==5.5.4 tokenizers==0.22.2 scipy numpy==2.2.6`:

    OMP_NUM_THREADS=1 python tests/goldens/openfast/generate.py

It takes about two minutes and rewrites everything beside it:

    <name>/              twelve tokenizers fitted by the reference, in every published layout (`fits.py`)
    facts.json           per tokenizer: size, what it can write, what each id stands for (`grid.py`)
    cases.json           what the reference encoded, decoded or refused (figures point into values.f32)
    grid.json            every tokenizer x shape x kind of chunk, encoded in batches (`grid.py`)
    vlm.json             robot units to ids of the VLM, per embodiment and checkpoint (`vlm.py`)
    values.f32           little-endian float32: inputs and decoded chunks, each [horizon, dims] row-major
    sweep.u32            one FNV-1a hash of the ids per chunk of a large sweep; the chunks themselves are
                         made by integer arithmetic on both sides (`sweep_chunk`), so they need no storage

`fits.py`, `grid.py`, `sweep.py`, `vlm.py` and `reference.py` are its parts; `differential.py` compares without storing anything.
Everything is seeded. Decoded chunks are computed by the reference in float64 and stored as float32.
"""

import json

import numpy as np
from scipy.fft import idct

import reference
from fits import all_tokenizers
from grid import facts, grid
from reference import HERE, decode, fnv1a, store, walk
from sweep import sweep_chunk
from vlm import embodiments, mappings, pi0_fast


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


def refused_batches(processor):
    """Batches that the reference will not take: one bad chunk refuses all of them."""
    rng = np.random.default_rng(41)
    rows = []
    for index, value in [(0, np.nan), (3, np.inf), (4, -np.inf), (2, 1e7)]:
        batch = np.stack([walk(rng, 5, 3, 0.4) for _ in range(5)])
        batch[index, 2, 1] = value
        try:
            with np.errstate(all="ignore"):
                processor(batch)
        except Exception as error:
            rows.append(dict(index=index, input=store(batch), error=f"{type(error).__name__}: {error}"))
        else:
            raise AssertionError("the reference took it")
    return rows


def write(name, groups):
    rows = ",\n".join(
        f'"{key}": [\n' + ",\n".join(json.dumps(case, separators=(",", ":")) for case in group) + "\n]"
        for key, group in groups.items()
    )
    (HERE / name).write_text("{\n" + rows + "\n}\n")


def main():
    tokenizers = all_tokenizers()
    # First: decoding makes the reference remember the last shape in place of its own.
    write("facts.json", dict(facts=[facts(name, processor) for name, processor in tokenizers.items()]))
    sweeps = [("nano", 16, 6, 4000), ("fine", 30, 7, 1000)]
    hashes = []
    for name, horizon, dims, count in sweeps:
        for chunk in range(count):
            hashes.append(fnv1a(tokenizers[name](sweep_chunk(chunk, horizon, dims))[0]))
    encodes, streams = [], []
    for seed, name in enumerate(["nano", "fine", "holes"]):
        encodes += encode_cases(name, tokenizers[name], 100 + seed)
        streams += stream_cases(name, tokenizers[name], 200 + seed)
    for seed, name in enumerate(["fast_plus", "molmoact2", "hundred"]):
        streams += stream_cases(name, tokenizers[name], 210 + seed)
    cases = dict(
        encode=encodes,
        stream=streams,
        refused_batch=refused_batches(tokenizers["nano"]),
        sweep=[dict(tokenizer=n, horizon=h, dims=d, chunks=c) for n, h, d, c in sweeps],
    )
    write("cases.json", cases)
    rows = grid(tokenizers)
    write("grid.json", dict(grid=rows))
    write("vlm.json", dict(embodiments=embodiments(tokenizers), mappings=mappings(), pi0_fast=pi0_fast()))
    (HERE / "values.f32").write_bytes(np.concatenate(reference.values).astype("<f4").tobytes())
    (HERE / "sweep.u32").write_bytes(np.asarray(hashes, "<u4").tobytes())
    print(
        f"{len(encodes)} encode cases, {len(streams)} streams, {len(hashes)} sweep chunks, {len(rows)} grid chunks, "
        f"{reference.values_len} values"
    )


if __name__ == "__main__":
    main()
