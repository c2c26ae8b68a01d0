"""Sizes of the nano scorer, and its files in the published layout."""

from __future__ import annotations

from dataclasses import dataclass

SIDE = 256
PATCH = 32
MERGE = 2
FRAME_VALUES = 3 * PATCH * PATCH
PATCHES = (SIDE // PATCH) ** 2
TOKENS = PATCHES // MERGE**2

# In the order of their ids, which follow the others.
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """Everything that decides a tensor's shape."""

    vocab: int
    vision_hidden: int = 128
    vision_inner: int = 384
    vision_heads: int = 4
    vision_depth: int = 4
    taps: tuple[int, ...] = (0, 2)
    hidden: int = 128
    inner: int = 384
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 32
    sections: tuple[int, int, int] = (6, 5, 5)
    rope_theta: float = 10_000.0
    eps: float = 1e-6


def config_json(sizes: Sizes, ids: dict[str, int]) -> dict:
    """`config.json` as transformers writes it."""
    return {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "image_token_id": ids["<|image_pad|>"],
        "model_type": "qwen3_vl",
        "text_config": {
            "attention_bias": False,
            "attention_dropout": 0.0,
            "dtype": "bfloat16",
            "eos_token_id": ids["<|im_end|>"],
            "head_dim": sizes.head_dim,
            "hidden_act": "silu",
            "hidden_size": sizes.hidden,
            "initializer_range": 0.02,
            "intermediate_size": sizes.inner,
            "max_position_embeddings": 32768,
            "model_type": "qwen3_vl_text",
            "num_attention_heads": sizes.heads,
            "num_hidden_layers": sizes.layers,
            "num_key_value_heads": sizes.kv_heads,
            "rms_norm_eps": sizes.eps,
            "rope_scaling": {
                "mrope_interleaved": True, "mrope_section": list(sizes.sections), "rope_type": "default",
            },  # fmt: skip
            "rope_theta": sizes.rope_theta,
            "tie_word_embeddings": True,
            "use_cache": True,
            "vocab_size": sizes.vocab,
        },
        "tie_word_embeddings": True,
        "transformers_version": "4.57.1",
        "video_token_id": ids["<|video_pad|>"],
        "vision_config": {
            "deepstack_visual_indexes": list(sizes.taps),
            "depth": sizes.vision_depth,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": sizes.vision_hidden,
            "in_channels": 3,
            "initializer_range": 0.02,
            "intermediate_size": sizes.vision_inner,
            "model_type": "qwen3_vl",
            "num_heads": sizes.vision_heads,
            "num_position_embeddings": PATCHES,
            "out_hidden_size": sizes.hidden,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
        },
        "vision_end_token_id": ids["<|vision_end|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
    }


def preprocessor_json(kind: str) -> dict:
    """`video_preprocessor_config.json`, and the same for images."""
    shared = {
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "merge_size": MERGE,
        "patch_size": PATCH,
        "size": {"longest_edge": 25165824, "shortest_edge": 4096},
        "temporal_patch_size": 2,
    }
    if kind == "image":
        return {**shared, "image_processor_type": "Qwen2VLImageProcessorFast"}
    return {**shared, "fps": 2, "max_frames": 768, "min_frames": 4, "video_processor_type": "Qwen3VLVideoProcessor"}
