"""Prompts as the reference builds them, split into the part over the pictures and the rest."""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer

from .config import CAMERAS, CONTROL, SETUP, TOKENS_PER_IMAGE

NUM_STATE_TOKENS = 256


def normalise(x: np.ndarray, stats: dict) -> np.ndarray:
    """Robot units -> [-1, 1] by the 1st and 99th percentile, clipped."""
    low, high = np.float32(stats["q01"]), np.float32(stats["q99"])
    return np.clip(2.0 * (x - low) / np.maximum(high - low, 1e-6) - 1.0, -1.0, 1.0).astype(np.float32)


def unnormalise(y: np.ndarray, stats: dict) -> np.ndarray:
    """[-1, 1] -> robot units, clipped first."""
    low, high = np.float32(stats["q01"]), np.float32(stats["q99"])
    return (np.clip(y, -1.0, 1.0) + 1.0) / 2.0 * (high - low) + low


def state_bins(normalised: np.ndarray) -> np.ndarray:
    """Which of the 256 state tokens stands for each normalised value (half to even)."""
    return np.rint((normalised + 1.0) / 2.0 * (NUM_STATE_TOKENS - 1)).astype(np.int64)


class Prompts:
    """Token ids of prompts. A prompt is `prefix` + the suffix of a sentence with its state tokens filled in."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        token = tokenizer.token_to_id
        self.eos, self.pad = token("<|im_end|>"), token("<|endoftext|>")
        self.state_0, self.action_0 = token("<state_0>"), token("<action_0>")
        self.action_start, self.action_end = token("<action_start>"), token("<action_end>")
        pictures = "".join(
            f"Image {i + 1}<im_start>{'<im_patch>' * TOKENS_PER_IMAGE}<im_end>" for i in range(CAMERAS)
        )
        self.prefix = np.array([self.eos] + self.encode(pictures), dtype=np.int64)
        self._suffixes: dict[str, tuple[np.ndarray, int]] = {}

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def suffix(self, sentence: str, dof: int = 6) -> tuple[np.ndarray, int]:
        """Ids after the pictures with state bins of zero, and where the state tokens start."""
        if sentence not in self._suffixes:
            text = (
                f"<|im_start|>user\nThe task is to {sentence}. The setup is <setup_start>{SETUP}<setup_end>. "
                f"The current state of the robot is <state_start>{'<state_0>' * dof}<state_end>. "
                f"The expected control mode is <control_start>{CONTROL}<control_end>. Given these, what action "
                "should the robot take to complete the task?<|im_end|>\n<|im_start|>assistant\n<action_output>"
            )
            ids = np.array(self.encode(text), dtype=np.int64)
            self._suffixes[sentence] = (ids, int(np.flatnonzero(ids == self.state_0)[0]))
        return self._suffixes[sentence]

    def filled(self, sentence: str, normalised_state: np.ndarray) -> np.ndarray:
        """The suffix of a sentence with the state written in."""
        ids, start = self.suffix(sentence, len(normalised_state))
        ids = ids.copy()
        ids[start : start + len(normalised_state)] = self.state_0 + state_bins(normalised_state)
        return ids
