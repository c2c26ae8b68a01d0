"""The nano configuration: every key of a published checkpoint's `config.json`, at small sizes."""

from __future__ import annotations

IMAGE_SIZE, PATCH = 96, 16
GRID = IMAGE_SIZE // PATCH
CAMERAS = 2
TOKENS_PER_IMAGE = (GRID // 2) ** 2
HORIZON, STEPS_TO_RUN, DOF = 16, 8, 6
TAG = "policy_studio_sim"
SETUP = "single so101 robotic arm in simulation"
CONTROL = "absolute joint pose"

VIT_WIDTH, VIT_INNER, VIT_BLOCKS = 96, 192, 3
TEXT_WIDTH, TEXT_INNER, LAYERS = 96, 192, 4
HEADS, KV_HEADS, HEAD_WIDTH = 4, 2, 32
EXPERT_WIDTH, EXPERT_HEADS, EXPERT_RATIO = 64, 2, 2.0


def nano_config(ids: dict[str, int], vocab_size: int, num_action_tokens: int) -> dict:
    """The whole `config.json`. `ids` maps special tokens to ids (see `tokenizer.py`)."""
    return {
        "architectures": ["MolmoAct2ForConditionalGeneration"],
        "model_type": "molmoact2",
        "dtype": "float32",
        "vit_config": {
            "model_type": "molmoact2",
            "hidden_size": VIT_WIDTH,
            "intermediate_size": VIT_INNER,
            # As in the published files, the tower is declared one block deeper than what is read and stored.
            "num_hidden_layers": VIT_BLOCKS + 1,
            "num_attention_heads": 3,
            "num_key_value_heads": 3,
            "head_dim": VIT_WIDTH // 3,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
            "image_default_input_size": [IMAGE_SIZE, IMAGE_SIZE],
            "image_patch_size": PATCH,
            "image_num_pos": GRID * GRID,
            "float32_attention": True,
            "attn_implementation": "sdpa",
        },
        "adapter_config": {
            "model_type": "molmoact2",
            "vit_layers": [-2, -3],
            "pooling_attention_mask": True,
            "hidden_size": VIT_WIDTH,
            "num_attention_heads": 3,
            "num_key_value_heads": 3,
            "head_dim": VIT_WIDTH // 3,
            "float32_attention": True,
            "hidden_act": "silu",
            "intermediate_size": 2 * TEXT_WIDTH,
            "text_hidden_size": TEXT_WIDTH,
            "attn_implementation": "sdpa",
        },
        "text_config": {
            "model_type": "molmoact2_text",
            "hidden_size": TEXT_WIDTH,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS,
            "head_dim": HEAD_WIDTH,
            "vocab_size": vocab_size,
            "additional_vocab_size": 16,
            "qkv_bias": False,
            "num_hidden_layers": LAYERS,
            "intermediate_size": TEXT_INNER,
            "hidden_act": "silu",
            "max_position_embeddings": 512,
            "rope_theta": 10000.0,
            "rope_scaling": None,
            "rope_scaling_layers": None,
            "use_qk_norm": True,
            "qk_norm_type": "qwen3",
            "layer_norm_eps": 1e-6,
            "norm_after": False,
            "use_cache": True,
            "tie_word_embeddings": False,
            "attn_implementation": "sdpa",
        },
        "action_expert_config": {
            "model_type": "molmoact2_action_expert",
            "hidden_size": EXPERT_WIDTH,
            "num_layers": LAYERS,
            "num_heads": EXPERT_HEADS,
            "mlp_ratio": EXPERT_RATIO,
            "ffn_multiple_of": 32,
            "timestep_embed_dim": 64,
            "context_layer_norm": True,
            "qk_norm": True,
            "qk_norm_eps": 1e-6,
            "rope": True,
            "causal_attn": False,
        },
        "image_start_token_id": ids["<im_start>"],
        "image_end_token_id": ids["<im_end>"],
        "image_patch_id": ids["<im_patch>"],
        "image_col_id": ids["<im_col>"],
        "low_res_image_start_token_id": ids["<low_res_im_start>"],
        "image_low_res_id": ids["<im_low>"],
        "frame_start_token_id": ids["<frame_start>"],
        "frame_end_token_id": ids["<frame_end>"],
        "use_frame_special_tokens": True,
        "add_action_expert": True,
        "max_action_dim": 32,
        "max_action_horizon": HORIZON,
        "n_obs_steps": 1,
        "action_mode": "both",
        "state_format": "discrete",
        "flow_matching_num_steps": 10,
        "flow_matching_cutoff": 1.0,
        "flow_matching_time_offset": 0.001,
        "flow_matching_time_scale": 0.999,
        "flow_matching_beta_alpha": 1.0,
        "flow_matching_beta_beta": 1.5,
        "mask_action_dim_padding": True,
        "enable_depth_reasoning": False,
        "action_output_token_id": ids["<action_output>"],
        "action_start_token_id": ids["<action_start>"],
        "action_end_token_id": ids["<action_end>"],
        "action_token_start_id": ids["<action_0>"],
        "num_action_tokens": num_action_tokens,
        "depth_output_token_id": None,
        "depth_start_token_id": None,
        "depth_end_token_id": None,
        "depth_token_start_id": None,
        "num_depth_tokens": 0,
        "state_start_token_id": ids["<state_start>"],
        "state_end_token_id": ids["<state_end>"],
        "state_token_start_id": ids["<state_0>"],
        "num_state_tokens": 256,
        "add_setup_tokens": True,
        "add_control_tokens": True,
        "norm_stats_filename": "norm_stats.json",
        "initializer_range": 0.02,
        "bos_token_id": ids["<|im_end|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
        "tie_word_embeddings": False,
    }
