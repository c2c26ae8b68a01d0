"""The MolmoAct2 network, written for fast training on a CPU.

The same mathematics and the same state-dict names as the published model, so that a state dict moves
between the two without conversion; `check_reference.py` proves it on every tensor. What differs is only
how the work is laid out:

* images arrive as uint8 patches `[batch, cameras, patches, patch * patch * 3]`;
* the images come first in every prompt and cannot see the text, so several prompts about one pair of
  pictures share one pass over the images (`prefix`) and differ only in what follows (`suffix`);
* suffixes are padded on the right (a causal network cannot see what follows, so nothing changes);
* several flow times per sample share one pass of the vision-language model;
* logits are computed only where a label exists.

Everything is float32. Norms, rotary embeddings, gates and modulations run in `fused.c`, forwards and
backwards, each in one pass over memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import LayerNorm, Linear

from . import fused


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention over `[batch, heads, length, width]`; `mask` is additive and broadcasts."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def rotary_table(length: int, width: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines `[length, width / 2]` of a rotary embedding."""
    frequencies = 1.0 / (base ** (torch.arange(0, width, 2, dtype=torch.float32) / width))
    angles = torch.outer(torch.arange(length, dtype=torch.float32), frequencies)
    return angles.cos(), angles.sin()


class RmsNorm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return fused.rms(x, self.weight, self.eps)


# --- vision tower and connector -------------------------------------------------------------------


class VisionAttention(nn.Module):
    """Multi-head attention with biases everywhere; `source_width` is what it reads."""

    def __init__(self, width: int, heads: int, head_width: int, source_width: int):
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.wq = Linear(source_width, heads * head_width)
        self.wk = Linear(source_width, heads * head_width)
        self.wv = Linear(source_width, heads * head_width)
        self.wo = Linear(heads * head_width, width)

    def split(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], self.heads, self.head_width).transpose(1, 2)

    def forward(self, query: Tensor, source: Tensor) -> Tensor:
        out = attend(self.split(self.wq(query)), self.split(self.wk(source)), self.split(self.wv(source)), None)
        return self.wo(out.transpose(1, 2).reshape(query.shape[0], query.shape[1], -1))


class VisionMlp(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        self.w1, self.w2 = Linear(width, inner), Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.gelu(self.w1(x), approximate="tanh"))


class VisionBlock(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        width, eps = c["hidden_size"], c["layer_norm_eps"]
        self.attention = VisionAttention(width, c["num_attention_heads"], c["head_dim"], width)
        self.feed_forward = VisionMlp(width, c["intermediate_size"])
        self.attention_norm, self.ffn_norm = LayerNorm(width, eps=eps), LayerNorm(width, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed)
        return x + self.feed_forward(self.ffn_norm(x))


class VisionTransformer(nn.Module):
    def __init__(self, c: dict, blocks: int):
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.zeros(c["image_num_pos"], c["hidden_size"]))
        self.patch_embedding = Linear(c["image_patch_size"] ** 2 * 3, c["hidden_size"])
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(VisionBlock(c) for _ in range(blocks))


class Projector(nn.Module):
    def __init__(self, width: int, inner: int, out: int):
        super().__init__()
        self.w1, self.w2, self.w3 = (
            Linear(width, inner, bias=False),
            Linear(inner, out, bias=False),
            Linear(width, inner, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class VisionBackbone(nn.Module):
    def __init__(self, vit: dict, adapter: dict):
        super().__init__()
        total = vit["num_hidden_layers"]
        self.layers = [layer if layer >= 0 else layer + total for layer in adapter["vit_layers"]]
        self.image_vit = VisionTransformer(vit, max(self.layers) + 1)
        width = adapter["hidden_size"]
        self.image_pooling_2d = VisionAttention(
            width, adapter["num_attention_heads"], adapter["head_dim"], vit["hidden_size"] * len(self.layers)
        )
        self.image_projector = Projector(width, adapter["intermediate_size"], adapter["text_hidden_size"])
        self.grid = vit["image_default_input_size"][0] // vit["image_patch_size"]

    def forward(self, patches: Tensor) -> Tensor:
        """uint8 patches `[batch, cameras, grid * grid, pixels]` -> image tokens `[batch, tokens, text width]`."""
        batch, cameras, count, pixels = patches.shape
        x = patches.view(batch * cameras, count, pixels).float() / 255.0 * 2.0 - 1.0
        x = self.image_vit.patch_embedding(x) + self.image_vit.positional_embedding
        kept = {}
        for index, block in enumerate(self.image_vit.transformer.resblocks):
            x = block(x)
            kept[index] = x
        features = torch.cat([kept[index] for index in self.layers], dim=-1)
        # Windows of 2 x 2 patches; the grid is even, so every window is full and no mask is needed.
        half, width = self.grid // 2, features.shape[-1]
        windows = features.view(-1, half, 2, half, 2, width).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, width)
        pooled = self.image_pooling_2d(windows.mean(1, keepdim=True), windows)
        return self.image_projector(pooled.view(batch, cameras * half * half, -1))


# --- language model -------------------------------------------------------------------------------


class TextAttention(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        self.heads, self.kv_heads, self.width = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        self.att_proj = Linear(c["hidden_size"], (self.heads + 2 * self.kv_heads) * self.width, bias=False)
        self.attn_out = Linear(self.heads * self.width, c["hidden_size"], bias=False)
        self.q_norm = RmsNorm(self.width, c["layer_norm_eps"])
        self.k_norm = RmsNorm(self.width, c["layer_norm_eps"])

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values `[batch, heads, length, head]`, normalised and rotated."""
        parts = self.q_norm.weight, self.k_norm.weight, cos, sin, self.heads, self.kv_heads, self.q_norm.eps
        return fused.heads(self.att_proj(x), *parts)

    def read(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Grouped-query attention; `mask` is `[length, keys]`."""
        batch, heads, length, width = q.shape
        # The queries of a group are folded into the length axis instead of copying K and V.
        group = heads // self.kv_heads
        folded = q.reshape(batch, self.kv_heads, group * length, width)
        out = attend(folded, k, v, mask.repeat(group, 1)).view(batch, heads, length, width)
        return self.attn_out(out.transpose(1, 2).reshape(batch, length, -1))


class TextMlp(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        self.ff_proj = Linear(width, inner * 2, bias=False)
        self.ff_out = Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.ff_out(fused.swiglu(self.ff_proj(x), value_first=True))


class TextBlock(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        self.self_attn = TextAttention(c)
        self.mlp = TextMlp(c["hidden_size"], c["intermediate_size"])
        self.attn_norm = RmsNorm(c["hidden_size"], c["layer_norm_eps"])
        self.ff_norm = RmsNorm(c["hidden_size"], c["layer_norm_eps"])

    def forward(self, prefix: Tensor, suffix: Tensor, rope, masks, last: bool):
        """One layer over the shared prefix `[batch, P, width]` and the suffixes `[batch * prompts, S, width]`.

        Returns both streams and the layer's K and V of each. In the last layer nothing reads the prefix's
        stream any more, so it is left as it is.
        """
        split, prompts = prefix.shape[1], suffix.shape[0] // prefix.shape[0]
        cos, sin = rope
        q, pk, pv = self.self_attn.project(self.attn_norm(prefix), cos[:split], sin[:split])
        sq, sk, sv = self.self_attn.project(self.attn_norm(suffix), cos[split:], sin[split:])
        shared_k, shared_v = (x.repeat_interleave(prompts, 0) for x in (pk, pv))
        suffix = suffix + self.self_attn.read(sq, torch.cat([shared_k, sk], 2), torch.cat([shared_v, sv], 2), masks[1])
        suffix = suffix + self.mlp(self.ff_norm(suffix))
        if not last:
            prefix = prefix + self.self_attn.read(q, pk, pv, masks[0])
            prefix = prefix + self.mlp(self.ff_norm(prefix))
        return prefix, suffix, (pk, pv, sk, sv)


class TextModel(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        self.wte = nn.Module()
        self.wte.embedding = nn.Parameter(torch.randn(c["vocab_size"], c["hidden_size"]) * 0.02)
        self.wte.new_embedding = nn.Parameter(torch.randn(c["additional_vocab_size"], c["hidden_size"]) * 0.02)
        self.blocks = nn.ModuleList(TextBlock(c) for _ in range(c["num_hidden_layers"]))
        self.ln_f = RmsNorm(c["hidden_size"], c["layer_norm_eps"])
        self.rotary_emb = nn.Module()
        width = c["head_dim"]
        self.rotary_emb.register_buffer(
            "inv_freq", 1.0 / (c["rope_theta"] ** (torch.arange(0, width, 2, dtype=torch.float32) / width))
        )


# --- action expert --------------------------------------------------------------------------------


class ExpertBlock(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        width = c["hidden_size"]
        inner = math.ceil(int(width * c["mlp_ratio"]) / c["ffn_multiple_of"]) * c["ffn_multiple_of"]
        self.heads = c["num_heads"]
        self.self_attn = nn.Module()
        self.self_attn.qkv, self.self_attn.out_proj = Linear(width, 3 * width), Linear(width, width)
        self.cross_attn = nn.Module()
        self.cross_attn.q_proj, self.cross_attn.out_proj = Linear(width, width), Linear(width, width)
        self.mlp = nn.Module()
        self.mlp.up_proj, self.mlp.gate_proj = Linear(width, inner), Linear(width, inner)
        self.mlp.down_proj = Linear(inner, width)
        self.modulation = nn.Module()
        self.modulation.linear = Linear(width, 9 * width)

    def forward(self, x: Tensor, condition: Tensor, k: Tensor, v: Tensor, mask: Tensor, rope) -> Tensor:
        """`x` [batch, times, rows, width]; `condition` [batch, times, width]; `k`, `v` [batch, heads, length, head]."""
        batch, times, rows, width = x.shape
        m = self.modulation.linear(F.silu(condition))
        h = fused.modulate(x, m, 0, 1)
        qkv = self.self_attn.qkv(h).view(batch * times, rows, 3 * width)
        q, sk, sv = fused.heads(qkv, None, None, *rope, self.heads, self.heads)
        out = attend(q, sk, sv, None).transpose(1, 2).reshape(batch, times, rows, width)
        x = fused.gate(x, m, 2, self.self_attn.out_proj(out))
        h = fused.modulate(x, m, 3, 4)
        # Every flow time of a sample reads the same context: the times lie side by side as queries.
        q = fused.rms(self.cross_attn.q_proj(h).view(batch, times * rows, self.heads, -1)).transpose(1, 2)
        out = attend(q, k, v, mask).transpose(1, 2).reshape(batch, times, rows, width)
        x = fused.gate(x, m, 5, self.cross_attn.out_proj(out))
        h = fused.modulate(x, m, 6, 7)
        inner = F.linear(
            h,
            torch.cat([self.mlp.gate_proj.weight, self.mlp.up_proj.weight]),
            torch.cat([self.mlp.gate_proj.bias, self.mlp.up_proj.bias]),
        )
        return fused.gate(x, m, 8, self.mlp.down_proj(fused.swiglu(inner, value_first=False)))


class ActionExpert(nn.Module):
    def __init__(self, c: dict, action_dim: int, kv_width: int):
        super().__init__()
        width = c["hidden_size"]
        self.heads, self.time_width = c["num_heads"], c["timestep_embed_dim"]
        self.time_embed = nn.Sequential(nn.Identity(), Linear(self.time_width, width), nn.SiLU(), Linear(width, width))
        self.action_embed = Linear(action_dim, width)
        self.context_k_proj = Linear(kv_width, width, bias=False)
        self.context_v_proj = Linear(kv_width, width, bias=False)
        self.blocks = nn.ModuleList(ExpertBlock(c) for _ in range(c["num_layers"]))
        self.final_layer = nn.Module()
        self.final_layer.modulation = nn.Module()
        self.final_layer.modulation.linear = Linear(width, 2 * width)
        self.final_layer.linear = Linear(width, action_dim)

    def context(self, layers, prompt_length: int) -> list[tuple[Tensor, Tensor]]:
        """K and V of every language layer -> what the blocks attend to, `[batch, heads, P + prompt_length, head]`.

        Only the first `prompt_length` positions of a suffix belong to the prompt; what follows are action
        tokens, which the expert must not see.
        """

        def project(x: Tensor, layer: Linear) -> Tensor:
            flat = fused.rms(layer(x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)))
            return flat.view(flat.shape[0], flat.shape[1], self.heads, -1).transpose(1, 2)

        contexts = []
        for pk, pv, sk, sv in layers:
            prompts = sk.shape[0] // pk.shape[0]
            sk, sv = sk[:, :, :prompt_length], sv[:, :, :prompt_length]
            k = [fused.rms(project(x, self.context_k_proj)) for x in (pk, sk)]
            v = [project(x, self.context_v_proj) for x in (pv, sv)]
            k[0], v[0] = k[0].repeat_interleave(prompts, 0), v[0].repeat_interleave(prompts, 0)
            contexts.append((torch.cat(k, 2), torch.cat(v, 2)))
        return contexts

    def forward(self, noisy: Tensor, times: Tensor, context, mask: Tensor) -> Tensor:
        """Velocity of `noisy` [batch, times, rows, action_dim] at `times` [batch, times]; `mask` [batch, 1, 1, length]."""
        half = self.time_width // 2
        steps = torch.arange(half, dtype=torch.float32) * (-math.log(10000.0) / (half - 1))
        angles = times[..., None] * torch.exp(steps)
        condition = self.time_embed(torch.cat([angles.sin(), angles.cos()], dim=-1))
        x = self.action_embed(noisy)
        rope = rotary_table(noisy.shape[2], x.shape[-1] // self.heads, 10000.0)
        for block, (k, v) in zip(self.blocks, context, strict=True):
            x = block(x, condition, k, v, mask, rope)
        return self.final_layer.linear(fused.modulate(x, self.final_layer.modulation.linear(F.silu(condition)), 0, 1))


# --- the whole ------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What one pass of the vision-language model leaves behind."""

    image_tokens: Tensor  # [batch, image tokens, text width], before they are added to the embeddings
    hidden: list[Tensor]  # [batch * prompts, S, text width], the residual stream entering every layer
    normed: Tensor  # [batch * prompts, S, text width] after the final norm
    layers: list[tuple[Tensor, Tensor, Tensor, Tensor]]  # per layer K and V of the prefix, then of the suffix


class MolmoAct2(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.config = config
        text = config["text_config"]
        self.model = nn.Module()
        self.model.transformer = TextModel(text)
        self.model.vision_backbone = VisionBackbone(config["vit_config"], config["adapter_config"])
        self.model.action_expert = ActionExpert(
            config["action_expert_config"], config["max_action_dim"], text["num_key_value_heads"] * text["head_dim"]
        )
        self.lm_head = Linear(text["hidden_size"], text["vocab_size"], bias=False)

    def see(self, patches: Tensor, prefix_ids: Tensor, suffix_ids: Tensor) -> Seen:
        """Runs the vision-language model.

        `patches` uint8 `[batch, cameras, patches, pixels]`; `prefix_ids` `[P]`, the same for every row;
        `suffix_ids` `[batch * prompts, S]`, rows of one picture side by side.
        """
        return self.read(self.model.vision_backbone(patches), prefix_ids, suffix_ids)

    def read(self, image_tokens: Tensor, prefix_ids: Tensor, suffix_ids: Tensor, through: int | None = None) -> Seen:
        """The language model over given image tokens `[batch, tokens, text width]`.

        With `through`, only that many layers, and no final norm: `hidden` then ends with what they leave.
        """
        transformer, c = self.model.transformer, self.config
        table = torch.cat([transformer.wte.embedding, transformer.wte.new_embedding])
        slots = (prefix_ids == c["image_patch_id"]).nonzero().flatten()
        prefix = F.embedding(prefix_ids, table).expand(image_tokens.shape[0], -1, -1)
        prefix = prefix.index_add(1, slots, image_tokens)
        suffix = F.embedding(suffix_ids, table)
        split, length = prefix.shape[1], prefix.shape[1] + suffix.shape[1]
        image = torch.zeros(length, dtype=torch.bool)
        for key in ("image_start_token_id", "image_end_token_id", "image_patch_id"):
            image[:split] |= prefix_ids == c[key]
        allowed = torch.ones(length, length, dtype=torch.bool).tril() | (image[:, None] & image[None, :])
        mask = torch.where(allowed, 0.0, -1e9)
        rope = rotary_table(length, c["text_config"]["head_dim"], c["text_config"]["rope_theta"])
        layers, hidden = [], []
        blocks = transformer.blocks[:through]
        for index, block in enumerate(blocks):
            hidden.append(suffix)
            last = index + 1 == len(blocks)
            prefix, suffix, kept = block(prefix, suffix, rope, (mask[:split, :split], mask[split:]), last)
            layers.append(kept)
        if through is not None:
            return Seen(image_tokens, [*hidden, suffix], suffix, layers)
        return Seen(image_tokens, hidden, transformer.ln_f(suffix), layers)

    def cross_mask(self, prefix_ids: Tensor, suffix_ids: Tensor, prompt_lengths: Tensor, width: int) -> Tensor:
        """Additive `[rows, 1, 1, P + width]`: the expert sees the prompt, but no end-of-turn and no padding."""
        eos = self.config["eos_token_id"]
        shared = (prefix_ids != eos).expand(suffix_ids.shape[0], -1)
        own = (suffix_ids[:, :width] != eos) & (torch.arange(width) < prompt_lengths[:, None])
        return torch.where(torch.cat([shared, own], 1), 0.0, -1e9)[:, None, None]
