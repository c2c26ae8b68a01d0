"""A new tower that speaks as an old one, so that a language model that listened to the old one understands the new one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .network import Vision

Said = tuple[Tensor, list[Tensor]]


class Successor(nn.Module):
    """`tower` learns in units of how much each of the old one's outputs varies, for one of the old one's may be sixty times
    another; `finish` gives its last layers the old one's units back."""

    def __init__(self, tower: Vision, old: Vision):
        super().__init__()
        self.tower, self.old = tower, old.requires_grad_(False)
        self.register_buffer("mean", torch.empty(0))
        self.register_buffer("spread", torch.empty(0))

    @torch.no_grad()
    def start(self, first: Tensor, second: Tensor) -> list[float]:
        """Sets the last layer of every merger to what comes closest on these frames, by least squares; how much of the
        variance each explains."""
        theirs = self.stack(self.old(first, second)).flatten(1, 2)  # [outputs, tokens, hidden]
        self.mean = theirs.mean(1)
        self.spread = (theirs - self.mean[:, None]).square().mean((1, 2)).sqrt()
        inner: list[Tensor] = []
        hooks = [m.linear_fc2.register_forward_pre_hook(lambda _, given: inner.append(given[0])) for m in self.mergers()]
        self.tower(first, second)
        for hook in hooks:
            hook.remove()
        # The tower runs the mergers of its taps first and the last one at the end.
        order = [inner[-1], *inner[:-1]]
        explained = []
        for merger, x, truth, mean, spread in zip(self.mergers(), order, theirs, self.mean, self.spread, strict=True):
            x, y = x.flatten(0, 1), (truth - mean) / spread
            centre = x.mean(0)
            gram = (x - centre).T @ (x - centre)
            ridge = 1e-4 * gram.diagonal().mean() * torch.eye(len(gram))
            weight = torch.linalg.solve(gram + ridge, (x - centre).T @ y)
            merger.linear_fc2.weight.copy_(weight.T)
            merger.linear_fc2.bias.copy_(-centre @ weight)
            explained.append(1 - float((y - (x - centre) @ weight).square().mean()))
        return explained

    def mergers(self) -> list[nn.Module]:
        return [self.tower.merger, *self.tower.deepstack_merger_list]

    @staticmethod
    def stack(said: Said) -> Tensor:
        return torch.stack((said[0], *said[1]))

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """What the tower says, and the share of the old one's variance that it does not, `[outputs]`."""
        said = self.tower(first, second)
        with torch.no_grad():
            theirs = self.stack(self.old(first, second))
        wanted = (theirs - self.mean[:, None, None]) / self.spread[:, None, None, None]
        return *said, (self.stack(said) - wanted).square().mean((1, 2, 3))

    @torch.no_grad()
    def finish(self) -> None:
        for merger, mean, spread in zip(self.mergers(), self.mean, self.spread, strict=True):
            merger.linear_fc2.weight.mul_(spread)
            merger.linear_fc2.bias.mul_(spread).add_(mean)
