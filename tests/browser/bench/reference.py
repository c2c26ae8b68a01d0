"""Times the reference's tokenizer on the motions that the page times: prints JSON, microseconds per chunk.

    python reference.py FOLDER '[{"rows": 16, "dims": 6, "batch": 1}, …]'

Needs lerobot 0.6.1 with its molmoact2 policy. FOLDER holds tokenizer.json and processor_config.json.
"""

import json
import math
import statistics
import sys
import time

import numpy as np
from lerobot.policies.molmoact2.molmoact2_hf_model.action_tokenizer import UniversalActionProcessor

ROUNDS = 9
ROUND_SECS = 0.012
MASK = (1 << 64) - 1


def motions(rows, dims, batch):
    """The chunks of wasm/src/timing.rs, [batch, rows, dims]."""
    state = 0x9E3779B97F4A7C15

    def draw():
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z ^= z >> 31
        return (z >> 40) / (1 << 23) - 1.0

    chunks = np.empty((batch, rows, dims), np.float32)
    at = np.arange(rows) / rows
    blend = at * at * (3.0 - 2.0 * at)
    for chunk in chunks:
        for dim in range(dims):
            start, way, sway, phase = 0.6 * draw(), 0.25 * draw(), 0.05 * draw(), 3.0 * draw()
            chunk[:, dim] = np.clip(start + way * blend + sway * np.sin(9.0 * at + phase), -1, 1)
    return chunks


def median_micros(call, batch):
    """Median over the rounds, each of as many calls as make it last; per chunk."""

    def one_round(calls):
        started = time.perf_counter()
        for _ in range(calls):
            call()
        return time.perf_counter() - started

    calls = 1
    while one_round(calls) < ROUND_SECS:
        calls *= 2
    return statistics.median(one_round(calls) / calls for _ in range(ROUNDS)) * 1e6 / batch


def main(folder, runs):
    processor = UniversalActionProcessor.from_pretrained_local(folder)
    found = []
    for run in runs:
        rows, dims, batch = run["rows"], run["dims"], run["batch"]
        chunks = motions(rows, dims, batch)
        streams = processor(chunks)
        assert len(streams) == batch
        found.append({
            **run,
            "encode_micros": median_micros(lambda: processor(chunks), batch),
            "decode_micros": median_micros(
                lambda: processor.decode(streams, time_horizon=rows, action_dim=dims), batch
            ),
            "tokens": math.fsum(map(len, streams)) / batch,
        })
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
