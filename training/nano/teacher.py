"""Auxiliary heads that say what the pictures show; thrown away after training.

They only steer what the network learns first: where each colour is, which cube the sentence names, whether
it is held, and where the hand goes next.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import DOF, HORIZON, TEXT_WIDTH, TOKENS_PER_IMAGE
from .fused import rms

COLOURS, PER_COLOUR, COLOUR_FACTS = 4, 7, 5
CENTRE = torch.tensor([0.24, -0.04, 0.03])
SPREAD = torch.tensor([0.04, 0.08, 0.03])


class Teacher(nn.Module):
    def __init__(self):
        super().__init__()
        # Per image token and query: a score, then present, x, y, z, held, and sine and cosine of 4 * yaw.
        self.overview = nn.Linear(TEXT_WIDTH, (COLOURS + 1) * 8)
        self.wrist = nn.Linear(TEXT_WIDTH, (COLOURS + 1) * 8)
        self.named = nn.ModuleList(nn.Linear(TEXT_WIDTH, 9) for _ in range(2))
        self.chunk = nn.Sequential(nn.Linear(TEXT_WIDTH, 128), nn.SiLU(), nn.Linear(128, HORIZON * DOF))

    @staticmethod
    def pool(tokens: Tensor, layer: nn.Linear) -> Tensor:
        """`[batch, tokens, width]` -> `[batch, colours + 1, 7]`: what the best-scoring tokens say."""
        out = layer(rms(tokens)).unflatten(-1, (COLOURS + 1, 8))
        return (out[..., :1].softmax(1) * out[..., 1:]).sum(1)

    @staticmethod
    def in_hand_frame(points: Tensor, facts: Tensor, state: Tensor) -> Tensor:
        """Points `[batch, n, 3]` of the table frame relative to the tool centre point, turned by the hand's yaw."""
        yaw = torch.deg2rad(state[:, 0] + state[:, 4])[:, None]
        d = points - facts[:, None, :3]
        cos, sin = yaw.cos(), yaw.sin()
        return torch.stack([cos * d[..., 0] + sin * d[..., 1], -sin * d[..., 0] + cos * d[..., 1], d[..., 2]], -1)

    def sight_loss(self, image_tokens: Tensor, facts: Tensor, state: Tensor) -> tuple[Tensor, dict[str, float]]:
        """What the pictures alone must tell. Returns the loss and errors in metres."""
        cubes = facts[:, COLOUR_FACTS:].view(-1, COLOURS, PER_COLOUR)
        present, place, held, turn = cubes[..., 0], cubes[..., 1:4], cubes[..., 4], cubes[..., 5:7]
        far = self.pool(image_tokens[:, :TOKENS_PER_IMAGE], self.overview)
        near = self.pool(image_tokens[:, TOKENS_PER_IMAGE:], self.wrist)
        far_cubes, near_cubes = far[:, :COLOURS], near[:, :COLOURS]
        count = present.sum().clamp_min(1)

        def distance(got: Tensor, want: Tensor) -> Tensor:
            return F.smooth_l1_loss(got, want, beta=0.1, reduction="none").sum(-1)

        loss = F.binary_cross_entropy_with_logits(far_cubes[..., 0], present)
        loss = loss + (present * distance(far_cubes[..., 1:4], (place - CENTRE) / SPREAD)).sum() / count
        loss = loss + 0.3 * (present * distance(far_cubes[..., 5:7], turn)).sum() / count
        tray = (facts[:, 3:5] - torch.tensor([0.19, 0.20])) / 0.01
        loss = loss + 0.2 * distance(far[:, COLOURS, 1:3], tray).mean()
        # The wrist camera knows places relative to the hand, and only of what is near it.
        relative = self.in_hand_frame(place, facts, state)
        close = present * (relative[..., :2].norm(dim=-1) < 0.07) * (relative[..., 2] > -0.14)
        near_count = close.sum().clamp_min(1)
        loss = loss + (close * distance(near_cubes[..., 1:4], relative / 0.03)).sum() / near_count
        loss = loss + 0.3 * (close * distance(near_cubes[..., 5:7], turn)).sum() / near_count
        loss = loss + F.binary_cross_entropy_with_logits(near_cubes[..., 4], held)
        loss = loss + 0.3 * F.binary_cross_entropy_with_logits(near_cubes[..., 0], close)
        with torch.no_grad():
            off = ((far_cubes[..., 1:4] * SPREAD + CENTRE - place)[..., :2].norm(dim=-1) * present).sum() / count
            off_near = ((near_cubes[..., 1:4] * 0.03 - relative)[..., :2].norm(dim=-1) * close).sum() / near_count
        return loss, {"sight_mm": 1000 * off.item(), "wrist_mm": 1000 * off_near.item()}

    def task_loss(self, hidden: list[Tensor], facts: Tensor, state: Tensor, objects: Tensor, chunks: Tensor):
        """What the last token of the prompt must know: the named cube, and the way to go.

        `hidden` [rows, width] at two depths; the deeper one is asked for the way too.
        """
        cubes = facts[:, COLOUR_FACTS:].view(-1, COLOURS, PER_COLOUR)
        cube = cubes[torch.arange(len(cubes)), objects]
        relative = self.in_hand_frame(cube[:, None, 1:4], facts, state)[:, 0]

        def distance(x: Tensor, want: Tensor) -> Tensor:
            return F.smooth_l1_loss(x, want, beta=0.1, reduction="none").sum(-1).mean()

        loss, off = torch.zeros(()), 0.0
        for layer, seen in zip(self.named, hidden, strict=True):
            got = layer(rms(seen))
            loss = loss + distance(got[:, :3], (cube[:, 1:4] - CENTRE) / SPREAD)
            loss = loss + distance(got[:, 3:6], relative / 0.05)
            loss = loss + F.binary_cross_entropy_with_logits(got[:, 6], cube[:, 4])
            loss = loss + 0.3 * distance(got[:, 7:9], cube[:, 5:7])
            off = (got[:, :2].detach() * SPREAD[:2] + CENTRE[:2] - cube[:, 1:3]).norm(dim=-1).mean()
        direct = self.chunk(rms(hidden[-1])).view(-1, HORIZON, DOF)
        guess = F.smooth_l1_loss(direct, chunks, beta=0.05)
        miss = (direct.detach() - chunks).abs().mean()
        return loss + 20.0 * guess, {"named_mm": 1000 * off.item(), "direct": miss.item()}
