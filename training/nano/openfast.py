"""Fits the action tokenizer (OpenFAST) with the reference implementation's own `fit`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.fft import dct, idct
from tokenizers import Tokenizer

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


class Fast:
    """A fitted tokenizer folder, without the weight of the reference's imports."""

    def __init__(self, folder: Path):
        processor = json.loads((folder / "processor_config.json").read_text())
        self.scale, self.min_token = processor["scale"], processor["min_token"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        count = self.tokenizer.get_vocab_size()
        self.texts = [self.tokenizer.decode([i], skip_special_tokens=False) for i in range(count)]

    def encode(self, chunks: np.ndarray) -> list[list[int]]:
        """Ids of normalised chunks `[count, horizon, joints]`."""
        symbols = np.maximum(np.around(dct(chunks, axis=1, norm="ortho") * self.scale) - self.min_token, 0).astype(int)
        texts = ["".join(map(chr, row)) for row in symbols.reshape(len(chunks), -1)]
        return [e.ids for e in self.tokenizer.encode_batch(texts, add_special_tokens=False)]

    def decode(self, ids: list[list[int]], horizon: int, joints: int) -> np.ndarray:
        """Normalised chunks `[count, horizon, joints]`; a stream of the wrong length is an error."""
        symbols = np.array([[ord(c) for i in row for c in self.texts[i]] for row in ids])
        coefficients = (symbols + self.min_token).reshape(len(ids), horizon, joints)
        return idct(coefficients / self.scale, axis=1, norm="ortho")
