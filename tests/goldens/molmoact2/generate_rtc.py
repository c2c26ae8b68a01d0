"""Chunks that continue a running one, as LeRobot's real-time chunking steers them.

Usage: python generate_rtc.py      (after generate.py; writes rtc.safetensors)

The checkpoints, observations and noise are those of generate.py. LeRobot's own `RTCProcessor` is put around
the expert's velocity, as `MolmoAct2Policy._generate_actions_from_inputs_with_rtc` does.
"""

import json

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from lerobot.configs import RTCAttentionSchedule
from lerobot.policies.rtc.configuration_rtc import RTCConfig
from lerobot.policies.rtc.modeling_rtc import RTCProcessor
from lerobot.policies.molmoact2.processor_molmoact2 import _load_local_molmoact2_processor

from cases import CASES
from generate import HERE, load_reference
from threads import one_but_for_resizing

# case, schedule, rows left over, delay, execution horizon, largest guidance
RUNS = [
    ("two_cameras", "LINEAR", 5, 2, 5, 10.0),
    ("two_cameras", "EXP", 6, 1, 4, 10.0),
    ("two_cameras", "ONES", 3, 1, 9, 2.5),
    ("two_cameras", "ZEROS", 4, 3, 4, 10.0),
    ("masked_gripper", "LINEAR", 4, 0, 10, 10.0),
    ("masked_gripper", "EXP", 2, 5, 3, 0.5),
    ("one_camera", "LINEAR", 6, 6, 6, 10.0),
]


@torch.no_grad()
def run(name, schedule, left, delay, horizon, largest, seed):
    case, folder = CASES[name], HERE / name / "checkpoint"
    tag = case["tags"][case["tag"]]
    model = load_reference(folder)
    golden = load_file(HERE / name / "golden.safetensors")
    left = min(left, tag["horizon"])
    rng = np.random.default_rng(seed)
    # Not what the policy would have done: steering has work to do.
    running = torch.from_numpy(rng.uniform(-1.2, 1.2, (left, tag["action_dim"])).astype(np.float32))
    rtc = RTCProcessor(
        RTCConfig(
            prefix_attention_schedule=RTCAttentionSchedule[schedule],
            execution_horizon=horizon,
            max_guidance_weight=largest,
        )
    )
    expert, steps = model.model.action_expert, case["flow_steps"]
    original, calls = expert.forward_with_context, []

    def steered(x, *args, **kwargs):
        velocity = original(x, *args, **kwargs)
        time = 1.0 - len(calls) / steps
        calls.append(time)
        return -rtc.denoise_step(
            x_t=x, prev_chunk_left_over=running, inference_delay=delay, time=time,
            original_denoise_step_partial=lambda _: -velocity,
        )

    object.__setattr__(expert, "forward_with_context", steered)
    final = []
    loop = model.model._run_action_flow_loop

    def keep(*args, **kwargs):
        final.append(loop(*args, **kwargs))
        return final[-1]

    object.__setattr__(model.model, "_run_action_flow_loop", keep)
    images = [golden[f"image.{i}"].numpy() for i in range(len(case["image_sizes"]))]
    model.predict_action(
        processor=_load_local_molmoact2_processor(str(folder)), images=images, task=case["task"],
        state=golden["state"].numpy(), norm_tag=case["tag"], inference_action_mode="continuous",
        generator=torch.Generator().manual_seed(case["seed"] + 2), enable_cuda_graph=False,
    )
    assert len(calls) == steps
    chunk = final[0][0, :, : tag["action_dim"]]
    assert (chunk - golden["chunk_normalised"]).abs().max() > 1e-3
    return running, chunk, golden["chunk_normalised"]


if __name__ == "__main__":
    one_but_for_resizing()
    out, about = {}, []
    for index, entry in enumerate(RUNS):
        name, schedule, left, delay, horizon, largest = entry
        running, chunk, free = run(*entry, seed=900 + index)
        out[f"{index}.left_over"], out[f"{index}.chunk_normalised"] = running, chunk.contiguous()
        about.append(dict(case=name, schedule=schedule.lower(), delay=delay, horizon=horizon, largest=largest))
        seam = [float((c[: len(running)] - running).abs().mean()) for c in (chunk, free)]
        print(f"{index} {name} {schedule}: mean distance to the running rows {seam[0]:.3f}, unsteered {seam[1]:.3f}")
    save_file(out, HERE / "rtc.safetensors", metadata={"runs": json.dumps(about)})
