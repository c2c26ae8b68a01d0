"""Fits the action tokenizer (OpenFAST) with the reference implementation's own `fit`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

FILES = ("tokenizer.json", "tokenizer_config.json", "processor_config.json")


def fit(chunks: np.ndarray, folder: Path, scale: float, vocab_size: int):
    """Fits on normalised chunks `[count, horizon, joints]` in [-1, 1] and writes the folder."""
    from lerobot.policies.molmoact2.molmoact2_hf_model.action_tokenizer import UniversalActionProcessor

    fast = UniversalActionProcessor.fit(list(chunks.astype(np.float64)), scale=scale, vocab_size=vocab_size)
    folder.mkdir(parents=True, exist_ok=True)
    fast.bpe_tokenizer.save_pretrained(str(folder))
    for path in folder.iterdir():
        if path.name not in FILES:
            path.unlink()
    processor = {
        "processor_class": "UniversalActionProcessor",
        "scale": scale,
        "vocab_size": vocab_size,
        "min_token": int(fast.min_token),
        "action_dim": None,
        "time_horizon": None,
    }
    (folder / "processor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
    return fast


def load(folder: Path):
    """The reference's tokenizer object of a folder."""
    from lerobot.policies.molmoact2.molmoact2_hf_model.action_tokenizer import UniversalActionProcessor

    return UniversalActionProcessor.from_pretrained_local(str(folder))


def encode(fast, chunks: np.ndarray) -> list[list[int]]:
    """Token ids of many normalised chunks `[count, horizon, joints]`: what `fast(chunks)` gives, in bulk."""
    from scipy.fft import dct

    symbols = np.maximum(np.around(dct(chunks, axis=1, norm="ortho") * fast.scale) - fast.min_token, 0).astype(int)
    texts = ["".join(map(chr, row)) for row in symbols.reshape(len(chunks), -1)]
    return [e.ids for e in fast.bpe_tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)]
