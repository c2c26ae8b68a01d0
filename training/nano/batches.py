"""Rows for a training step, drawn at random from collected frames."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .data import Frames, patches_of
from .policy import Policy
from .prompt import normalise

MOST_ACTION_TOKENS = 28


@dataclass
class Batch:
    """`frames` pictures with `prompts` sentences each; rows = frames * prompts."""

    patches: Tensor  # u8 [frames, 2, patches, pixels]
    facts: Tensor  # [frames, F]
    state: Tensor  # [frames, 6], robot units
    ids: Tensor  # [rows, S]
    lengths: Tensor  # [rows], ids of the prompt
    chunks: Tensor  # [rows, 16, 6], normalised
    objects: Tensor  # [rows], index of the named colour
    at: Tensor  # [rows, A], positions whose next token is taught
    targets: Tensor  # [rows, A], that token, -100 where there is none


class Batches:
    def __init__(self, frames: Frames, policy: Policy, sentences: Path, seed: int):
        self.frames, self.prompts = frames, policy.prompts
        tasks = json.loads(sentences.read_text())
        self.wordings = [task["wordings"] for task in tasks]
        self.object_of = np.array([task["object"] for task in tasks])
        self.state = normalise(frames.state, policy.stats["state_stats"])
        shape = frames.chunks.shape
        self.chunks = normalise(frames.chunks, policy.stats["action_stats"])
        encoded = policy.fast.encode(self.chunks.reshape(-1, *shape[2:]))
        self.tokens = [np.asarray(t, dtype=np.int64) + self.prompts.action_0 for t in encoded]
        self.rng = np.random.default_rng(seed)
        self.pool = np.empty(0, dtype=np.int64)

    def pick(self, count: int) -> np.ndarray:
        """Frames without repetition until every one was used."""
        while len(self.pool) < count:
            self.pool = np.concatenate([self.pool, self.rng.permutation(len(self.frames))])
        chosen, self.pool = self.pool[:count], self.pool[count:]
        return np.sort(chosen)

    def pictures(self, chosen: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        f = self.frames
        return (
            torch.as_tensor(patches_of(f.pictures[chosen])),
            torch.as_tensor(f.facts[chosen]),
            torch.as_tensor(f.state[chosen]),
        )

    def draw(self, count: int) -> Batch:
        chosen = self.pick(count)
        prompts, labels = self.prompts, self.frames.tasks.shape[1]
        rows, lengths, at, targets, objects = [], [], [], [], []
        for frame in chosen:
            for label in range(labels):
                task = self.frames.tasks[frame, label]
                wordings = self.wordings[task]
                prompt = prompts.filled(wordings[self.rng.integers(len(wordings))], self.state[frame])
                tail = self.tokens[frame * labels + label]
                tail = np.concatenate([[prompts.action_start], tail, [prompts.action_end, prompts.eos]])
                tail = tail[:MOST_ACTION_TOKENS]
                rows.append(np.concatenate([prompt, tail[:-1]]))
                lengths.append(len(prompt))
                at.append(np.arange(len(prompt) - 1, len(prompt) - 1 + len(tail)))
                targets.append(tail)
                objects.append(self.object_of[task])
        width, most = max(map(len, rows)), max(map(len, targets))
        ids = np.full((len(rows), width), prompts.pad)
        at_, targets_ = np.zeros((len(rows), most), np.int64), np.full((len(rows), most), -100)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            at_[i, : len(at[i])] = at[i]
            targets_[i, : len(targets[i])] = targets[i]
        chunks = self.chunks[chosen].reshape(-1, *self.chunks.shape[2:])
        return Batch(
            *self.pictures(chosen),
            *(torch.as_tensor(x) for x in (ids, np.array(lengths), chunks, np.array(objects), at_, targets_)),
        )
