"""What a tower that no longer learns says, computed once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .config import TOKENS
from .episodes import Episodes

if TYPE_CHECKING:
    from .clips import Clips


def features_row(first: int, second: int) -> int:
    """Where `Features` holds two frames that are read together: a frame and the next, or a frame twice."""
    assert second in (first, first + 1)
    return 2 * first + (second - first)


class Features:
    """What a tower that no longer learns says of every two frames that a clip may put together: a frame and the next of
    its episode, a frame twice. `held` `[2 * frames, 1 + taps, TOKENS, hidden]`, 16-bit."""

    @torch.no_grad()
    def __init__(
        self, episodes: Episodes, tower: Callable[[Tensor, Tensor], tuple[Tensor, list[Tensor]]], kept: Path | None = None
    ):
        """`kept`: a file that has it from an earlier run on the same data and tower, or will."""
        frames, self.held = int(episodes.starts[-1]), None
        if kept and kept.exists():
            self.held = torch.load(kept)
            assert len(self.held) == 2 * frames, f"{kept} is of other episodes"
            return
        for begin in range(0, frames, 64):
            at = [min(f, frames - 1) for f in range(begin, begin + 65)]
            patches = episodes.patches(at)
            here, after = patches[:-1], patches[1:]
            first = torch.stack((here, here), 1).flatten(0, 1)
            second = torch.stack((here, after), 1).flatten(0, 1)
            merged, taps = tower(first, second)
            said = torch.stack((merged, *taps), 1)
            if self.held is None:
                self.held = torch.empty(2 * frames, *said.shape[1:], dtype=torch.float16)
            end = min(2 * frames, 2 * begin + len(said))
            self.held[2 * begin : end] = said[: end - 2 * begin].half()
        if kept:
            torch.save(self.held, kept)

    def of(self, clips: Clips) -> tuple[Tensor, list[Tensor]]:
        said = self.held[clips.rows].float()
        return said[:, 0], list(said[:, 1:].unbind(1))
