"""Starting weights that already carry what is known: neighbouring numbers lie close together."""

from __future__ import annotations

import math

import numpy as np
import torch

from torch.nn import LayerNorm, Linear

from .network import MolmoAct2, RmsNorm


def waves(values: torch.Tensor, octaves: int) -> torch.Tensor:
    """Sines and cosines of values in [0, 1] over octaves of frequency, `[n, 2 * octaves]`."""
    angles = values[:, None] * math.pi * 2.0 ** torch.arange(octaves)
    return torch.cat([angles.sin(), angles.cos()], dim=1) / math.sqrt(octaves)


def initialise(network: MolmoAct2, config: dict, coefficient_of: np.ndarray) -> None:
    """Sets every parameter; `coefficient_of[k]` is the coefficient that action token k stands for, NaN for runs."""
    width = config["text_config"]["hidden_size"]
    for module in network.modules():
        if isinstance(module, Linear):
            torch.nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        elif isinstance(module, (RmsNorm, LayerNorm)):
            torch.nn.init.ones_(module.weight)
    with torch.no_grad():
        text, vision, expert = network.model.transformer, network.model.vision_backbone, network.model.action_expert
        for block in text.blocks:
            block.self_attn.attn_out.weight *= 0.35
            block.mlp.ff_out.weight *= 0.35
        for block in vision.image_vit.transformer.resblocks:
            block.attention.wo.weight *= 0.35
            block.feed_forward.w2.weight *= 0.35
        for block in expert.blocks:
            block.self_attn.out_proj.weight *= 0.35
            block.cross_attn.out_proj.weight *= 0.35
            block.mlp.down_proj.weight *= 0.35
            # A block that starts closed learns late: open every gate halfway instead of not at all.
            block.modulation.linear.weight *= 0.1
            block.modulation.linear.bias.view(9, -1)[[2, 5, 8]] = 0.5
        expert.final_layer.modulation.linear.weight *= 0.1
        expert.final_layer.linear.weight *= 0.1

        grid = int(math.sqrt(config["vit_config"]["image_num_pos"]))
        at = (torch.arange(grid) + 0.5) / grid
        rows, columns = torch.meshgrid(at, at, indexing="ij")
        places = torch.cat([waves(rows.flatten(), 3), waves(columns.flatten(), 3)], dim=1)
        mix = torch.randn(places.shape[1], config["vit_config"]["hidden_size"])
        vision.image_vit.positional_embedding.copy_(0.5 * places @ mix)

        text.wte.embedding.normal_(std=0.5)
        text.wte.new_embedding.normal_(std=0.5)
        bins = config["num_state_tokens"]
        features = waves(torch.arange(bins) / (bins - 1), 6)
        first = config["state_token_start_id"]
        text.wte.embedding[first : first + bins] = 0.5 * features @ torch.randn(features.shape[1], width)

        network.lm_head.weight.normal_(std=0.02)
        single = np.flatnonzero(~np.isnan(coefficient_of))
        values = torch.as_tensor(coefficient_of[single], dtype=torch.float32)
        features = waves((values - values.min()) / (values.max() - values.min()).clamp_min(1.0), 5)
        rows_ = torch.as_tensor(single) + config["action_token_start_id"]
        text.wte.embedding[rows_] = 0.5 * features @ torch.randn(features.shape[1], width)
        network.lm_head.weight[rows_] = 0.05 * features @ torch.randn(features.shape[1], width)
