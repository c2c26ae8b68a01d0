"""The reference Python, and how its answers are kept.

`UniversalActionProcessor` of lerobot 0.6.1 is the reference: everything here asks it, nothing computes in its place.
"""

import logging
from pathlib import Path

import numpy as np
from lerobot.policies.molmoact2.molmoact2_hf_model import action_tokenizer

HERE = Path(__file__).parent
Processor = action_tokenizer.UniversalActionProcessor


class FallbackCounter(logging.Handler):
    """The reference reports its all-zeros fallback only as a log line: count those."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def emit(self, record):
        self.count += "Error decoding" in record.msg


fallbacks = FallbackCounter()
action_tokenizer.logger.addHandler(fallbacks)
action_tokenizer.logger.propagate = False

values = []  # float32 blocks of values.f32
values_len = 0


def store(array):
    """Appends an array to values.f32 and returns where it starts."""
    global values_len
    flat = np.ascontiguousarray(array, np.float32).ravel()
    values.append(flat)
    start = values_len
    values_len += flat.size
    return start


def decode(processor, ids, horizon, dims):
    """What the reference decodes a stream to, and whether that is its silent zeros."""
    before = fallbacks.count
    out = processor.decode([ids], time_horizon=horizon, action_dim=dims)[0]
    return out, fallbacks.count > before


def walk(rng, horizon, dims, amplitude):
    steps = rng.normal(0, amplitude / horizon**0.5, (horizon, dims))
    return np.clip(np.cumsum(steps, 0) + rng.uniform(-0.8, 0.8, (1, dims)), -1, 1).astype(np.float32)


def fnv1a(ids):
    """32-bit FNV-1a of the ids as little-endian u32."""
    value = 0x811C9DC5
    for byte in np.asarray(ids, "<u4").tobytes():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value
