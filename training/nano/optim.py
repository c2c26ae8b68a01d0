"""Muon for the hidden matrices, AdamW for everything else."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor, nn


def orthogonalise(stack: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz: each matrix of `[n, rows, columns]` towards the nearest matrix with singular values of one."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = stack.shape[1] > stack.shape[2]
    x = stack.transpose(1, 2) if tall else stack
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.transpose(1, 2) if tall else x


class Muon:
    """Momentum, orthogonalised per matrix; updates have the root mean square of a typical Adam update."""

    def __init__(self, matrices: list[nn.Parameter], weight_decay: float, momentum: float = 0.95):
        self.groups: dict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
        for matrix in matrices:
            self.groups[tuple(matrix.shape)].append(matrix)
        self.momentum, self.weight_decay = momentum, weight_decay
        self.velocity = {shape: torch.zeros(len(group), *shape) for shape, group in self.groups.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for shape, group in self.groups.items():
            gradient = torch.stack([m.grad if m.grad is not None else torch.zeros_like(m) for m in group])
            velocity = self.velocity[shape].lerp_(gradient, 1 - self.momentum)
            update = orthogonalise(gradient.lerp(velocity, self.momentum)) * (0.2 * max(shape) ** 0.5)
            for matrix, change in zip(group, update, strict=True):
                matrix.mul_(1 - rate * self.weight_decay).sub_(change, alpha=rate)


# Rows of these are looked up one by one, which orthogonalising them together would ignore.
TABLES = ("wte", "positional", "embed_tokens", "pos_embed")


class Optimiser:
    """Both, with one schedule: a rate in [0, 1] scales `muon_rate` and `adam_rate`."""

    def __init__(self, modules: dict[str, nn.Module], muon_rate: float, adam_rate: float, weight_decay: float = 0.01):
        matrices, rest, table = [], [], []
        for label, module in modules.items():
            for name, value in module.named_parameters():
                if not value.requires_grad:
                    continue
                if any(part in name for part in TABLES) or label == "head":
                    table.append(value)
                elif value.ndim == 2 and min(value.shape) >= 16:
                    matrices.append(value)
                else:
                    rest.append(value)
        self.muon_rate, self.adam_rate = muon_rate, adam_rate
        self.muon = Muon(matrices, weight_decay)
        self.adam = torch.optim.AdamW(
            [{"params": p, "weight_decay": 0.0} for p in (table, rest) if p],
            lr=adam_rate, betas=(0.9, 0.97), foreach=True,
        )  # fmt: skip
        self.parameters = matrices + rest + table

    def step(self, scale: float) -> None:
        for group in self.adam.param_groups:
            group["lr"] = self.adam_rate * scale
        torch.nn.utils.clip_grad_norm_(self.parameters, 2.0)
        self.muon.step(self.muon_rate * scale)
        self.adam.step()
        for value in self.parameters:
            value.grad = None
