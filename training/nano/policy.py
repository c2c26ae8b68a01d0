"""A checkpoint folder as a policy for many robots at once (float32, CPU), in both action modes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from . import checkpoint, config as sizes
from .data import patches_of
from .openfast import Fast
from .prompt import Prompts, normalise, unnormalise


class Policy:
    def __init__(self, folder: Path, network=None):
        self.folder = folder
        self.network = network if network is not None else checkpoint.read(folder)
        self.prompts = Prompts(Tokenizer.from_file(str(folder / "tokenizer.json")))
        self.stats = json.loads((folder / "norm_stats.json").read_text())["metadata_by_tag"][sizes.TAG]
        self.fast = Fast(folder / "openfast")
        self.lengths = np.array([len(text) for text in self.fast.texts])
        self.prefix = torch.as_tensor(self.prompts.prefix)

    def _prompts(self, states: np.ndarray, sentences: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        normalised = normalise(states, self.stats["state_stats"])
        rows = [self.prompts.filled(s, n) for s, n in zip(sentences, normalised, strict=True)]
        lengths = torch.tensor([len(row) for row in rows])
        ids = np.full((len(rows), int(lengths.max())), self.prompts.pad)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
        return torch.as_tensor(ids), lengths

    @torch.no_grad()
    def act_continuous(self, pictures, states, sentences, noise=None, steps: int = 10, generator=None) -> np.ndarray:
        """Flow matching. Pictures `[N, 2, side, side, 3]` u8, states `[N, 6]` -> targets `[N, 16, 6]`, robot units."""
        ids, lengths = self._prompts(states, sentences)
        seen = self.network.see(torch.as_tensor(patches_of(pictures)), self.prefix, ids)
        expert = self.network.model.action_expert
        context = expert.context(seen.layers, ids.shape[1])
        mask = self.network.cross_mask(self.prefix, ids, lengths, ids.shape[1])
        if noise is None:
            noise = torch.randn(len(ids), sizes.HORIZON, 32, generator=generator)
        real = torch.arange(32) < sizes.DOF
        x = noise * real
        for step in range(steps):
            time = torch.full((len(ids), 1), step / steps)
            velocity = expert(x[:, None], time, context, mask)[:, 0]
            x = (x + velocity * real / steps) * real
        return unnormalise(x[..., : sizes.DOF].numpy(), self.stats["action_stats"])

    @torch.no_grad()
    def act_discrete(self, pictures, states, sentences) -> np.ndarray:
        """Greedy action tokens under the grammar: only tokens whose coefficients still fit."""
        ids, lengths = self._prompts(states, sentences)
        network, p = self.network, self.prompts
        image_tokens = network.model.vision_backbone(torch.as_tensor(patches_of(pictures)))
        total = sizes.HORIZON * sizes.DOF
        # Room for the tokens; the network is run over the whole row each time, which is simple and small.
        ids = F.pad(ids, (0, total + 1), value=p.pad)
        at = lengths.clone()
        rows = torch.arange(len(ids))
        ids[rows, at] = p.action_start
        left = np.full(len(ids), total)
        out: list[list[int]] = [[] for _ in range(len(ids))]
        table = torch.as_tensor(self.lengths)
        while (left > 0).any():
            width = int(at.max()) + 1
            seen = network.read(image_tokens, self.prefix, ids[:, :width])
            hidden = seen.normed[rows, at]
            first = p.action_0
            logits = hidden @ network.lm_head.weight[first : first + len(table)].T
            fits = (table[None] > 0) & (table[None] <= torch.as_tensor(left)[:, None])
            best = logits.masked_fill(~fits, -torch.inf).argmax(-1)
            for i in np.flatnonzero(left > 0):
                out[i].append(int(best[i]))
                left[i] -= int(self.lengths[best[i]])
                at[i] += 1
                ids[i, at[i]] = first + best[i]
        chunks = self.fast.decode(out, sizes.HORIZON, sizes.DOF)
        return unnormalise(chunks.astype(np.float32), self.stats["action_stats"])
