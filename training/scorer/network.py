"""Qwen3-VL for training on a CPU: the published names and mathematics, laid out so that one reading of a video serves all
its prefixes and questions, as scoring does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nano import fused
from nano.network import RmsNorm

from .config import FRAME_VALUES, MERGE, PATCH, PATCHES, SIDE, TOKENS, Sizes

if TYPE_CHECKING:
    from .clips import Clips, Questions


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`x` `[..., dim]` turned by angles whose cosines and sines cover half of `dim`."""
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


def merge_order() -> Tensor:
    """Row and column of every patch, those that become one token together."""
    side = SIDE // PATCH
    grid = torch.arange(side * side).view(side // MERGE, MERGE, side // MERGE, MERGE).permute(0, 2, 1, 3).reshape(-1)
    return torch.stack((grid // side, grid % side), -1)


def smooth_patches(outputs: int) -> Tensor:
    """Weights `[outputs, 3, 2, PATCH, PATCH]` that begin as the lowest cosines over a patch, of each colour, of two frames
    together and of what changed between them: where a coloured thing is within a patch, one can read off these, and
    hardly off as many sums of noise."""
    at = (torch.arange(PATCH) + 0.5) * torch.pi / PATCH
    waves = sorted(((u, v) for u in range(PATCH) for v in range(PATCH)), key=lambda wave: (sum(wave), wave))
    found = []
    for u, v in waves:
        wave = (u * at).cos()[:, None] * (v * at).cos()[None] / (2 * PATCH**2)
        gain = 1.0 if u + v == 0 else 4.0
        for colour in range(3):
            for later in (1.0, -1.0):
                weight = torch.zeros(3, 2, PATCH, PATCH)
                weight[colour, 0], weight[colour, 1] = gain * wave, gain * later * wave
                found.append(weight)
        if len(found) >= outputs:
            break
    return torch.stack(found[:outputs])


class VisionBlock(nn.Module):
    def __init__(self, s: Sizes):
        super().__init__()
        self.heads = s.vision_heads
        self.norm1 = nn.LayerNorm(s.vision_hidden, eps=1e-6)
        self.norm2 = nn.LayerNorm(s.vision_hidden, eps=1e-6)
        self.attn = nn.ModuleDict({
            "qkv": nn.Linear(s.vision_hidden, 3 * s.vision_hidden),
            "proj": nn.Linear(s.vision_hidden, s.vision_hidden),
        })
        self.mlp = nn.ModuleDict({
            "linear_fc1": nn.Linear(s.vision_hidden, s.vision_inner),
            "linear_fc2": nn.Linear(s.vision_inner, s.vision_hidden),
        })

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        n, p, h = x.shape
        qkv = self.attn["qkv"](self.norm1(x)).view(n, p, 3, self.heads, h // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(rotate(qkv[0], cos, sin), rotate(qkv[1], cos, sin), qkv[2])
        x = x + self.attn["proj"](mixed.transpose(1, 2).reshape(n, p, h))
        inner = F.gelu(self.mlp["linear_fc1"](self.norm2(x)), approximate="tanh")
        return x + self.mlp["linear_fc2"](inner)


class Merger(nn.Module):
    def __init__(self, s: Sizes, norm_after: bool):
        super().__init__()
        together = s.vision_hidden * MERGE**2
        self.norm_after = norm_after
        self.norm = nn.LayerNorm(together if norm_after else s.vision_hidden, eps=1e-6)
        self.linear_fc1 = nn.Linear(together, together)
        self.linear_fc2 = nn.Linear(together, s.hidden)

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[0]
        x = self.norm(x.reshape(n, TOKENS, -1)) if self.norm_after else self.norm(x).reshape(n, TOKENS, -1)
        return self.linear_fc2(F.gelu(self.linear_fc1(x)))


class Vision(nn.Module):
    def __init__(self, s: Sizes):
        super().__init__()
        self.taps = s.taps
        self.patch_embed = nn.ModuleDict({
            "proj": nn.Conv3d(3, s.vision_hidden, (2, PATCH, PATCH), stride=(2, PATCH, PATCH))
        })
        self.pos_embed = nn.Embedding(PATCHES, s.vision_hidden)
        self.blocks = nn.ModuleList(VisionBlock(s) for _ in range(s.vision_depth))
        self.merger = Merger(s, norm_after=False)
        self.deepstack_merger_list = nn.ModuleList(Merger(s, norm_after=True) for _ in s.taps)
        places = merge_order()
        self.places = places[:, 0] * (SIDE // PATCH) + places[:, 1]
        half = s.vision_hidden // s.vision_heads // 2
        frequencies = 1.0 / (10_000.0 ** (torch.arange(0, half, 2).float() / half))
        angles = (places[:, :, None] * frequencies).flatten(1)
        self.cos, self.sin = angles.cos(), angles.sin()

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Patches of two frames `[n, PATCHES, 3 * PATCH * PATCH]` to tokens `[n, TOKENS, hidden]`, and the same on the
        way."""
        weight = self.patch_embed["proj"].weight
        early, late = (weight[:, :, t].reshape(-1, FRAME_VALUES) for t in (0, 1))
        x = F.linear(first, early) + F.linear(second, late, self.patch_embed["proj"].bias)
        x = x + self.pos_embed.weight[self.places]
        taps = []
        for index, block in enumerate(self.blocks):
            x = block(x, self.cos, self.sin)
            if index in self.taps:
                taps.append(self.deepstack_merger_list[len(taps)](x))
        return self.merger(x), taps


class Layer(nn.Module):
    def __init__(self, s: Sizes):
        super().__init__()
        self.s = s
        q, kv = s.heads * s.head_dim, s.kv_heads * s.head_dim
        self.self_attn = nn.ModuleDict({
            "q_proj": nn.Linear(s.hidden, q, bias=False),
            "k_proj": nn.Linear(s.hidden, kv, bias=False),
            "v_proj": nn.Linear(s.hidden, kv, bias=False),
            "o_proj": nn.Linear(q, s.hidden, bias=False),
            "q_norm": RmsNorm(s.head_dim, s.eps),
            "k_norm": RmsNorm(s.head_dim, s.eps),
        })
        self.mlp = nn.ModuleDict({
            "gate_proj": nn.Linear(s.hidden, s.inner, bias=False),
            "up_proj": nn.Linear(s.hidden, s.inner, bias=False),
            "down_proj": nn.Linear(s.inner, s.hidden, bias=False),
        })
        self.input_layernorm = RmsNorm(s.hidden, s.eps)
        self.post_attention_layernorm = RmsNorm(s.hidden, s.eps)

    def project(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values `[n, heads, rows, head_dim]`."""
        n, rows, _ = x.shape
        part, s = self.self_attn, self.s
        weight = torch.cat([part[name].weight for name in ("q_proj", "k_proj", "v_proj")])
        # The places of every clip are its own, so the rows of all are one long batch of one.
        projected = F.linear(self.input_layernorm(x), weight).view(1, n * rows, -1)
        cos, sin = (half.reshape(n * rows, -1) for half in rotary)
        norms = part["q_norm"].weight, part["k_norm"].weight
        found = fused.heads(projected, *norms, cos, sin, s.heads, s.kv_heads, s.eps)
        return tuple(y.view(-1, n, rows, s.head_dim).transpose(0, 1) for y in found)

    def finish(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        share = self.s.heads // self.s.kv_heads
        k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.self_attn["o_proj"](mixed.transpose(1, 2).flatten(2))
        weight = torch.cat([self.mlp[name].weight for name in ("gate_proj", "up_proj")])
        inner = fused.swiglu(F.linear(self.post_attention_layernorm(x), weight), value_first=False)
        return x + self.mlp["down_proj"](inner)


@dataclass
class Watched:
    """What reading clips leaves."""

    held: list[tuple[Tensor, Tensor]]  # keys and values of every layer, [clips, heads, rows, head_dim]
    merged: Tensor  # the blocks' tokens, [clips * blocks, TOKENS, hidden]
    early: Tensor  # what comes out of the second layer where each block ends, [clips, blocks, hidden]
    middle: Tensor  # and of the third
    # How much attention a head of the third layer pays there to where the first block ends, a logarithm, [clips, blocks].
    back: Tensor


class Scorer(nn.Module):
    """`visual` and `language_model`, as `state_dict` of the published model names them under `model.`."""

    def __init__(self, s: Sizes):
        super().__init__()
        self.s = s
        self.visual = Vision(s)
        self.language_model = nn.ModuleDict({
            "embed_tokens": nn.Embedding(s.vocab, s.hidden),
            "layers": nn.ModuleList(Layer(s) for _ in range(s.layers)),
            "norm": RmsNorm(s.hidden, s.eps),
        })
        pairs = s.head_dim // 2
        frequencies = 1.0 / (s.rope_theta ** (torch.arange(0, s.head_dim, 2).float() / s.head_dim))
        axis = torch.zeros(pairs, dtype=torch.long)
        for pair in range(pairs):
            if pair % 3 == 1 and pair < 3 * s.sections[1]:
                axis[pair] = 1
            if pair % 3 == 2 and pair < 3 * s.sections[2]:
                axis[pair] = 2
        self.frequencies, self.axis = frequencies, axis
        self.start()

    @torch.no_grad()
    def start(self) -> None:
        """Weights of unit gain, so that a few minutes are enough."""
        for name, value in self.named_parameters():
            if "norm" in name:
                continue
            if name.endswith("bias"):
                value.zero_()
            elif "embed" in name and value.ndim == 2:
                value.normal_(std=0.5 if "tokens" in name else 0.1)
            else:
                fan = value[0].numel()
                value.normal_(std=fan**-0.5 * (0.4 if "o_proj" in name or "down_proj" in name else 1.0))
        self.visual.patch_embed["proj"].weight.copy_(smooth_patches(self.s.vision_hidden))

    def rotary(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """`places` `[n, rows, 3]`."""
        angles = places[..., self.axis].float() * self.frequencies
        return angles.cos(), angles.sin()

    def watch(self, clips: Clips, said: tuple[Tensor, list[Tensor]] | None = None, depth: int | None = None) -> Watched:
        """Reads clips through the first `depth` layers, all unless said. `said`: what the tower says, where that is known."""
        merged, taps = said or self.visual(clips.first, clips.second)
        where = clips.picture_clip, clips.picture_row
        x = self.language_model["embed_tokens"](clips.ids)
        x = x.index_put(where, merged.flatten(0, 1))
        turn, rows = self.rotary(clips.places), clips.ids.shape[1]
        mask = torch.ones(rows, rows).tril().bool()[None, None]
        clip = torch.arange(len(clips.ids))[:, None]
        held, ends, back = [], [], None
        for index, layer in enumerate(self.language_model["layers"][:depth]):
            q, k, v = layer.project(x, turn)
            held.append((k, v))
            if index == self.s.layers - 1:  # Questions read no further.
                break
            if index == 2:
                back = self.look_back(q[:, 0], k[:, 0], clips.ends)
            x = layer.finish(x, q, k, v, mask)
            if index < len(taps):
                x = x.index_put(where, taps[index].flatten(0, 1), accumulate=True)
            ends.append(x[clip, clips.ends - 1])
        return Watched(held, merged, ends[1], ends[2], back)

    def forward(self, watched: Watched, asked: Questions) -> tuple[Tensor, Tensor]:
        """Log-probabilities of every token where each question ends, `[clips, points, questions, vocab]`, and what comes out
        of the last layer but one there, `[clips, points, questions, hidden]`."""
        table = self.language_model["embed_tokens"]
        clips, points = asked.points.shape
        head = table(asked.head_ids)[None, None].expand(clips, points, -1, -1).flatten(0, 1)
        questions = asked.ids.shape[1]
        # All questions of a point lie in a row and do not see each other, so that what they share is not copied.
        own = table(asked.ids)[:, None].expand(-1, points, -1, -1, -1).flatten(2, 3).flatten(0, 1)
        head_turn, own_turn = self.rotary(asked.head_places), self.rotary(asked.places)
        rows = torch.arange(own.shape[0])[:, None]
        for layer, video in zip(self.language_model["layers"], watched.held, strict=True):
            is_last = layer is self.language_model["layers"][-1]
            hq, hk, hv = layer.project(head, head_turn)
            oq, ok, ov = layer.project(own, own_turn)
            vk, vv = (t.repeat_interleave(points, 0) for t in video)
            hk, hv = torch.cat((vk, hk), 2), torch.cat((vv, hv), 2)
            if not is_last:
                head = layer.finish(head, hq, hk, hv, asked.head_mask)
            mask = asked.mask
            if is_last:  # Nothing reads the other rows.
                late = own = own[rows, asked.last]
                oq, mask = oq.transpose(1, 2)[rows, asked.last].transpose(1, 2), mask[rows, :, asked.last].transpose(1, 2)
            own = layer.finish(own, oq, torch.cat((hk, ok), 2), torch.cat((hv, ov), 2), mask)
        logits = F.linear(self.language_model["norm"](own), table.weight).float()
        shape = clips, points, questions, -1
        return logits.log_softmax(-1).view(shape), late.view(shape)

    @staticmethod
    def look_back(q: Tensor, k: Tensor, ends: Tensor) -> Tensor:
        """The logarithm of the attention from where each block ends to where the first one does, `[clips, blocks]`;
        `q` and `k` `[clips, rows, head_dim]` of one head."""
        clips = torch.arange(len(ends))[:, None]
        rows = torch.arange(k.shape[1])
        scores = q[clips, ends - 1] @ k.transpose(1, 2) * k.shape[-1] ** -0.5
        scores = scores.masked_fill(rows >= ends[..., None], -torch.inf)
        first = (ends[:, :1, None] - 1).expand(-1, ends.shape[1], -1)
        return scores.log_softmax(-1).gather(-1, first)[..., 0]
