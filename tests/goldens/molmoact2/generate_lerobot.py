"""Writes LeRobot policy folders over the tiny checkpoints, and what LeRobot's own policy answers.

Usage: python generate_lerobot.py     (after generate.py; the versions are named in ../README.md)

Each folder is what `MolmoAct2Policy.save_pretrained` and the `save_pretrained` of its two processors write,
except that the paths of this machine are replaced by names as they stand in the published folders: such a
folder holds neither tokenizer nor network sizes, they lie in the checkpoint that `checkpoint_path` names.
The answer is computed by a policy and processors loaded from the saved folder, not by those that saved it:
loading loses some settings (the masks of the clamping step), and a reader of the folder sees what is left.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.policies.molmoact2.configuration_molmoact2 import MolmoAct2Config
from lerobot.policies.molmoact2.modeling_molmoact2 import MolmoAct2Policy
from lerobot.policies.molmoact2.processor_molmoact2 import make_molmoact2_pre_post_processors
from lerobot.processor import (
    PolicyProcessorPipeline,
    policy_action_to_transition,
    transition_to_policy_action,
)

from cases import CASES
from generate import make_images
from threads import one_but_for_resizing
from tiny_checkpoint import feature_stats

HERE = Path(__file__).parent

LEROBOT = {
    # The statistics of one tag of the checkpoint, written into the folder.
    "lerobot_pair": dict(
        base="two_cameras",
        config=dict(norm_tag="pair", num_inference_steps=None),
        task=CASES["two_cameras"]["task"],
    ),
    # Statistics of a data set: a gripper that is not normalised, a dimension without range, a calibration, a
    # shorter chunk, other steps, words of its own, a sentence left as it is.
    "lerobot_calibrated": dict(
        base="one_camera",
        config=dict(
            norm_tag=None,
            chunk_size=4,
            n_action_steps=3,
            num_inference_steps=7,
            normalize_language=False,
            normalize_gripper=False,
            setup_type="single so100 robotic arm",
            control_mode="absolute joint pose",
            action_mode="continuous",
            joint_signs=[1.0, -1.0, 1.0, 1.0, 1.0],
            joint_offsets=[0.0, 90.0, 90.0, 0.0, -4.5],
            normalization_mapping={"VISUAL": "IDENTITY", "STATE": "QUANTILE10", "ACTION": "MIN_MAX"},
        ),
        names=["pan", "lift", "elbow", "flex", "roll", "gripper"],
        task="Push the RED cube.  Then stop!",
        seed=71,
    ),
}


def statistics(case, rng):
    names = case["names"]
    gripper = [index for index, name in enumerate(names) if name == "gripper"]
    stats = {}
    for key, degenerate in (("observation.state", [4]), ("action", [0])):
        raw = feature_stats(rng, len(names), names, gripper, degenerate)
        del raw["mask"], raw["names"]
        stats[key] = {name: torch.tensor(value) for name, value in raw.items()}
    return stats


def build(case, folder):
    base = HERE / case["base"] / "checkpoint"
    base_case = CASES[case["base"]]
    tag = base_case["tags"][base_case["tag"]]
    features = {
        f"observation.images.{name}": PolicyFeature(FeatureType.VISUAL, (3, *size))
        for name, size in zip(tag["cameras"], base_case["image_sizes"])
    }
    features["observation.state"] = PolicyFeature(FeatureType.STATE, (tag["state_dim"],))
    config = MolmoAct2Config(
        checkpoint_path=str(base),
        discrete_action_tokenizer=str(base / "openfast"),
        inference_action_mode="continuous",
        model_dtype="float32",
        device="cpu",
        enable_inference_cuda_graph=False,
        input_features=features,
        output_features={"action": PolicyFeature(FeatureType.ACTION, (tag["action_dim"],))},
        **case["config"],
    )
    if "names" in case:
        config.dataset_feature_names = {key: case["names"] for key in ("action", "observation.state")}
    rng = np.random.default_rng(case.get("seed"))
    stats = statistics(case, rng) if "names" in case else None
    policy = MolmoAct2Policy(config).eval()
    pre, post = make_molmoact2_pre_post_processors(policy.config, dataset_stats=stats)
    shutil.rmtree(folder, ignore_errors=True)
    for part in (policy, pre, post):
        part.save_pretrained(folder)
    return stats


def reload(folder):
    config = PreTrainedConfig.from_pretrained(folder)
    config.pretrained_path = folder
    policy = MolmoAct2Policy.from_pretrained(folder, config=config).eval()
    pre = PolicyProcessorPipeline.from_pretrained(folder, config_filename="policy_preprocessor.json")
    post = PolicyProcessorPipeline.from_pretrained(
        folder,
        config_filename="policy_postprocessor.json",
        to_transition=policy_action_to_transition,
        to_output=transition_to_policy_action,
    )
    return policy, pre, post


def published(folder, case):
    """The paths of this machine, replaced by names as the published folders have them."""
    base = HERE / case["base"] / "checkpoint"
    for path in sorted(folder.glob("*.json")):
        text = path.read_text().replace(str(base / "openfast"), "allenai/MolmoAct2-FAST-Tokenizer")
        text = text.replace(str(base), f"tiny/{case['base']}")
        assert str(HERE) not in text
        path.write_text(json.dumps(json.loads(text), indent=1) + "\n")


@torch.no_grad()
def run(name, case):
    folder = HERE / name / "policy"
    stats = build(case, folder)
    policy, pre, post = reload(folder)

    base_case = CASES[case["base"]]
    tag = base_case["tags"][base_case["tag"]]
    images = make_images(base_case["image_sizes"], base_case["seed"] + 3)
    if stats is None:
        state = load_file(HERE / case["base"] / "golden.safetensors")["state"]
    else:
        rng = np.random.default_rng(case["seed"] + 1)
        low, high = stats["observation.state"]["min"], stats["observation.state"]["max"]
        state = low + torch.from_numpy(rng.uniform(-0.1, 1.1, len(low))).float() * (high - low)
        state[-1] = state[-1].clamp(-1, 1)
        # As the robot has it: the processor turns it into what the statistics speak of.
        signs, offsets = (torch.tensor(case["config"][key]) for key in ("joint_signs", "joint_offsets"))
        count = len(signs)
        state[:count] = signs * (state[:count] - offsets)
    observation = {"observation.state": state.clone(), "task": case["task"]}
    for camera, image in zip(tag["cameras"], images):
        observation[f"observation.images.{camera}"] = torch.from_numpy(image).permute(2, 0, 1)
    batch = pre(observation)

    seed = base_case["seed"] + 2
    horizon = policy.config.chunk_size
    noise = torch.randn((1, horizon, 32), generator=torch.Generator().manual_seed(seed))[0]
    rows = policy.config.n_action_steps
    policy.config.n_action_steps = horizon
    chunk = policy.predict_action_chunk(batch, generator=torch.Generator().manual_seed(seed))
    policy.config.n_action_steps = rows
    assert chunk.shape == (1, horizon, tag["action_dim"])
    out = {
        "state": state,
        "state_normalised": batch["observation.state"][0],
        "input_ids": batch["input_ids"][0].to(torch.int32),
        "noise": noise,
        "chunk_normalised": chunk[0],
        "actions": post(chunk[:, :rows])[0],
    }
    out.update({f"image.{index}": torch.from_numpy(image) for index, image in enumerate(images)})
    about = dict(task=case["task"], tag=case["config"]["norm_tag"] or "lerobot", base=case["base"])
    save_file(
        {key: value.contiguous() for key, value in out.items()},
        HERE / name / "golden.safetensors",
        metadata={"case": json.dumps(about)},
    )
    published(folder, case)
    print(name, tuple(out["actions"].shape), "largest action", float(out["actions"].abs().max()))


if __name__ == "__main__":
    one_but_for_resizing()
    for name, case in LEROBOT.items():
        run(name, case)
