"""The cases: sizes, options and robots of each tiny checkpoint."""

SETUP = "single so101 robotic arm in simulation"
ARM = dict(setup_type=SETUP, control_mode="absolute joint pose")


def case(**overrides):
    base = dict(
        shards=1,
        bpe_vocab=420,
        num_state_tokens=256,
        num_action_tokens=96,
        num_depth_tokens=8,
        # Cells of the depth map (a square number); 0 for checkpoints that do not reason about depth.
        num_depth_codes=0,
        # None, "shared" or "per layer".
        depth_gate=None,
        max_action_dim=32,
        max_action_horizon=6,
        n_obs_steps=1,
        action_mode="both",
        mask_padding=True,
        flow_steps=10,
        add_setup_tokens=True,
        add_control_tokens=True,
        column_tokens=False,
        pooling_size=[2, 2],
        norm_mode="q01_q99",
        rope_parameters=False,
    )
    base.update(overrides)
    return base


def vit(**overrides):
    base = dict(
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=10,
        num_attention_heads=3,
        num_key_value_heads=3,
        head_dim=8,
        hidden_act="gelu_pytorch_tanh",
        layer_norm_eps=1e-6,
        image_default_input_size=[56, 56],
        image_patch_size=14,
        image_num_pos=16,
    )
    base.update(overrides)
    return base


def adapter(**overrides):
    base = dict(
        vit_layers=[-3, -9],
        pooling_attention_mask=True,
        hidden_size=24,
        num_attention_heads=3,
        num_key_value_heads=3,
        head_dim=8,
        intermediate_size=32,
    )
    base.update(overrides)
    return base


def text(**overrides):
    base = dict(
        hidden_size=32,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        num_hidden_layers=2,
        intermediate_size=48,
        rope_theta=5000000.0,
    )
    base.update(overrides)
    return base


def expert(**overrides):
    base = dict(
        hidden_size=32,
        num_heads=4,
        mlp_ratio=4.0,
        ffn_multiple_of=16,
        timestep_embed_dim=16,
        context_layer_norm=True,
        qk_norm=True,
        qk_norm_eps=1e-6,
        rope=True,
        causal_attn=False,
    )
    base.update(overrides)
    return base


CASES = {
    # The plain case: one camera whose frame is not square, blocks 7 then 1 of 10.
    "one_camera": case(
        seed=101,
        vit=vit(),
        adapter=adapter(),
        text=text(),
        expert=expert(),
        tag="so101",
        tags={"so101": dict(cameras=["wrist"], state_dim=6, action_dim=6, horizon=6, n_action_steps=6, **ARM)},
        image_sizes=[(48, 64)],
        task="Push the RED cube to the left.",
    ),
    # Weights in three shards, one K/V head for four queries, an even 6x6 grid.
    "two_cameras": case(
        seed=202,
        shards=3,
        max_action_horizon=5,
        vit=vit(num_hidden_layers=5, image_default_input_size=[84, 84], image_num_pos=36),
        adapter=adapter(vit_layers=[-1, -3], num_attention_heads=6, num_key_value_heads=3, head_dim=4),
        text=text(num_hidden_layers=3, num_key_value_heads=1, head_dim=12, rope_theta=10000.0),
        expert=expert(num_heads=2),
        tag="pair",
        tags={
            "pair": dict(
                cameras=["overview", "wrist"], state_dim=7, action_dim=5, horizon=5, n_action_steps=4, **ARM
            ),
            "other": dict(
                cameras=["top"], state_dim=3, action_dim=3, horizon=2, n_action_steps=2,
                setup_type="another arm", control_mode="delta end-effector pose",
            ),
        },
        image_sizes=[(60, 80), (120, 90)],
        task="task: put the Apple on the plate!! Then go home.",
    ),
    # A 5x5 grid that must be padded with -1, column tokens, no discrete head, text already wrapped.
    "three_cameras_odd_grid": case(
        seed=303,
        num_state_tokens=128,
        num_action_tokens=32,
        max_action_horizon=7,
        action_mode="continuous",
        column_tokens=True,
        flow_steps=4,
        norm_mode="min_max",
        vit=vit(num_hidden_layers=4, image_default_input_size=[40, 40], image_patch_size=8, image_num_pos=25,
                hidden_size=32, num_attention_heads=4, num_key_value_heads=4),
        adapter=adapter(vit_layers=[3, -4], hidden_size=16, num_attention_heads=2, num_key_value_heads=2),
        text=text(num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=3, head_dim=8,
                  hidden_size=40),
        expert=expert(hidden_size=24, num_heads=3, mlp_ratio=8.0 / 3.0, ffn_multiple_of=8,
                      timestep_embed_dim=20),
        tag="bimanual",
        tags={
            "bimanual": dict(
                cameras=["top", "left", "right"], state_dim=14, action_dim=14, horizon=7, n_action_steps=7,
                setup_type="<setup_start>bimanual arms<setup_end>",
                control_mode="<control_start>absolute joint pose<control_end>",
            )
        },
        image_sizes=[(33, 47), (40, 40), (97, 61)],
        task="“Fold the towel…”",
    ),
    # Masked gripper, a state dimension without range, horizon below the maximum, two observation steps,
    # pooling without mask, as many K/V heads as query heads.
    "masked_gripper": case(
        seed=404,
        max_action_dim=12,
        max_action_horizon=8,
        n_obs_steps=2,
        flow_steps=5,
        add_control_tokens=False,
        norm_mode="q10_q90",
        rope_parameters=True,
        vit=vit(num_hidden_layers=3, image_default_input_size=[70, 70], image_num_pos=25),
        adapter=adapter(vit_layers=[-1, -2], pooling_attention_mask=False),
        text=text(num_attention_heads=2, num_key_value_heads=2),
        expert=expert(num_heads=4, hidden_size=40, context_layer_norm=True),
        tag="gripper",
        tags={
            "gripper": dict(
                cameras=["image", "wrist_image"], state_dim=8, action_dim=7, horizon=4, n_action_steps=3,
                masked=[6], degenerate=[2], setup_type="single franka robotic arm in libero",
                control_mode="delta end-effector pose",
            )
        },
        image_sizes=[(70, 70), (50, 35)],
        task="The task is to open the drawer, please.",
    ),
}

# Checkpoints that reason about depth. `changed` are the cells of the first camera's frame that another frame
# later differs in; `dark` is a cell that is black in that later frame.
THINK_CASES = {
    # A gate per layer, two cameras, masked gripper, horizon below the maximum.
    "think_per_layer": case(
        seed=505,
        num_depth_tokens=24,
        num_depth_codes=16,
        depth_gate="per layer",
        max_action_dim=12,
        max_action_horizon=8,
        flow_steps=4,
        vit=vit(num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=2, head_dim=12),
        adapter=adapter(vit_layers=[-1, -3]),
        text=text(hidden_size=64, num_hidden_layers=3),
        expert=expert(),
        tag="gripper",
        tags={
            "gripper": dict(
                cameras=["image", "wrist_image"], state_dim=8, action_dim=7, horizon=5, n_action_steps=4,
                masked=[6], degenerate=[2], **ARM
            )
        },
        image_sizes=[(60, 80), (50, 35)],
        changed=[0, 5, 6, 7, 15],
        dark=10,
        task="Put the apple on the plate.",
    ),
    # One gate for all layers, one camera, as many cells as the published checkpoints have, the first of them kept.
    "think_shared": case(
        seed=636,
        num_depth_tokens=32,
        num_depth_codes=100,
        depth_gate="shared",
        norm_mode="min_max",
        flow_steps=5,
        vit=vit(num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=2, head_dim=12),
        adapter=adapter(vit_layers=[-1, -2]),
        text=text(hidden_size=72, num_hidden_layers=2, num_key_value_heads=1, head_dim=12),
        expert=expert(num_heads=2),
        tag="so101",
        tags={"so101": dict(cameras=["overview"], state_dim=6, action_dim=6, horizon=6, n_action_steps=6, **ARM)},
        image_sizes=[(240, 320)],
        changed=[11, 12, 13, *range(21, 29), *range(41, 49), *range(61, 69), 98, 99],
        dark=33,
        task="pick up the red cube",
    ),
    # Three cameras, no token head, the first camera's frame of the size it is compared at.
    "think_three_cameras": case(
        seed=727,
        num_depth_tokens=16,
        num_depth_codes=9,
        depth_gate="per layer",
        action_mode="continuous",
        n_obs_steps=2,
        norm_mode="mean_std",
        flow_steps=3,
        vit=vit(num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=2, head_dim=12),
        adapter=adapter(vit_layers=[-1, -2], pooling_attention_mask=False),
        text=text(hidden_size=48, num_hidden_layers=3, num_key_value_heads=4),
        expert=expert(hidden_size=24, num_heads=3, mlp_ratio=8.0 / 3.0, ffn_multiple_of=8, timestep_embed_dim=20),
        tag="yam",
        tags={
            "yam": dict(
                cameras=["top", "left", "right"], state_dim=14, action_dim=14, horizon=6, n_action_steps=5, **ARM
            )
        },
        image_sizes=[(96, 96), (40, 40), (61, 33)],
        changed=[4, 8],
        dark=1,
        task="fold the towel",
    ),
    # No gate at all, padded dimensions not masked.
    "think_ungated": case(
        seed=808,
        num_depth_tokens=12,
        num_depth_codes=25,
        max_action_dim=9,
        mask_padding=False,
        norm_mode="none",
        flow_steps=3,
        vit=vit(num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=2, head_dim=12),
        adapter=adapter(vit_layers=[-1, -2]),
        text=text(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2),
        expert=expert(),
        tag="so101",
        tags={"so101": dict(cameras=["wrist"], state_dim=5, action_dim=5, horizon=6, n_action_steps=6, **ARM)},
        image_sizes=[(48, 64)],
        changed=[3, 4, 5, 12, 20, 24],
        dark=8,
        task="push the cube",
    ),
}
