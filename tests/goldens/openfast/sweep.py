"""Chunks made by integer arithmetic, the same bits in numpy and in Rust (`sweep_chunk` of the tests)."""

import numpy as np

ONE = 1 << 20


def mix(index):
    """SplitMix64 of a counter: the same integers in numpy and in Rust."""
    with np.errstate(over="ignore"):
        z = (index.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def walk_steps(chunk, horizon, dims):
    """A clamped random walk per dimension, in steps of 2^-20: integers within -2^20..=2^20."""
    out = np.empty((horizon, dims), np.int64)
    for dim in range(dims):
        index = (chunk * dims + dim) * horizon + np.arange(horizon)
        bits = mix(index)
        at = int(bits[0] % np.uint64(2 * ONE)) - ONE
        out[0, dim] = at
        for time in range(1, horizon):
            at += int(bits[time] % np.uint64(1 << 18)) - (1 << 17)
            at = max(-ONE, min(ONE, at))
            out[time, dim] = at
    return out


def sweep_chunk(chunk, horizon, dims):
    """That walk in float32, exactly."""
    return (walk_steps(chunk, horizon, dims) / ONE).astype(np.float32)
