"""Writes the tiny checkpoints and what the reference network computes from them, stage by stage.

Usage: python generate.py            (all cases; the versions are named in ../README.md)
       python generate.py two_cameras

The model is rebuilt from the files just written, so each golden belongs to the checkpoint beside it.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from lerobot.policies.molmoact2.molmoact2_hf_model import modeling_molmoact2 as reference
from lerobot.policies.molmoact2.molmoact2_hf_model.action_tokenizer import UniversalActionProcessor
from lerobot.policies.molmoact2.molmoact2_hf_model.configuration_molmoact2 import MolmoAct2Config
from lerobot.policies.molmoact2.processor_molmoact2 import _load_local_molmoact2_processor

from cases import CASES
from threads import one_but_for_resizing
from tiny_checkpoint import write_checkpoint

HERE = Path(__file__).parent


def make_images(sizes, seed):
    """Even ones are smooth with an edge, odd ones are noise: resizing errors show in both."""
    rng = np.random.default_rng(seed)
    images = []
    for index, (height, width) in enumerate(sizes):
        if index % 2 == 0:
            y, x = np.mgrid[0:height, 0:width]
            waves = [np.sin(x / (5 + c) + c) * np.cos(y / (7 - c) - c) for c in range(3)]
            image = 127.5 + 120 * np.stack(waves, axis=-1)
            image[height // 3 : height // 2, width // 4 : width // 2] = (250, 20, 60)
        else:
            image = rng.integers(0, 256, (height, width, 3))
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    return images


def load_reference(folder):
    raw = json.loads((folder / "config.json").read_text())
    for part in ("text_config", "vit_config", "adapter_config"):
        raw[part]["attn_implementation"] = "sdpa"
    config = MolmoAct2Config(**raw)
    config._name_or_path = str(folder)
    model = reference.MolmoAct2ForConditionalGeneration(config)
    for part in (config.text_config, config.vit_config, config.adapter_config):
        assert part._attn_implementation == "sdpa"
    assert config.eos_token_id == raw["eos_token_id"]
    state = {}
    for path in sorted(folder.glob("model*.safetensors")):
        state.update(load_file(path))
    model.load_state_dict(state, strict=True)
    return model.eval().float()


class Recorder:
    """Keeps copies of what the reference computes on its way through predict_action."""

    def __init__(self, model):
        self.out, self.velocities, self.trajectories = {}, [], []
        core = model.model
        backbone, expert = core.vision_backbone, core.action_expert
        self._wrap(backbone, "encode_image", self._vit)
        self._wrap(core, "build_input_embeddings", lambda a, k, r: self._put("inputs_embeds", r[0][0]))
        self._wrap(core, "_get_encoder_attention_mask", lambda a, k, r: self._put("cross_mask", r[0]))
        self._wrap(expert, "prepare_context", self._context)
        self._wrap(expert, "forward_with_context", self._velocity)
        self._wrap(core, "_run_action_flow_loop", lambda a, k, r: self._put("trajectory_final", r[0]))
        backbone.image_pooling_2d.register_forward_hook(
            lambda m, a, r: self._put("pooled_features", r[:, 0])
        )
        backbone.image_projector.register_forward_hook(
            lambda m, a, r: self._put("projected_features", r.reshape(-1, r.shape[-1]))
        )
        core.transformer.register_forward_hook(self._text)

    def _put(self, name, value):
        self.out[name] = value.detach().clone().contiguous()

    def _wrap(self, owner, name, keep):
        original = getattr(owner, name)

        def call(*args, **kwargs):
            result = original(*args, **kwargs)
            keep(args, kwargs, result)
            return result

        object.__setattr__(owner, name, call)

    def _vit(self, args, kwargs, result):
        self._put("patches_requantised", args[0][0])
        self._put("vit_features", result[0])

    def _text(self, module, args, result):
        self._put("last_hidden", result.last_hidden_state[0])
        for index, layer in enumerate(result.past_key_values.layers):
            # [kv_heads, tokens, head_dim]
            self._put(f"keys.{index}", layer.keys[0])
            self._put(f"values.{index}", layer.values[0])

    def _context(self, args, kwargs, result):
        for index, (key, value) in enumerate(result.kv_contexts):
            self._put(f"context_keys.{index}", key[0])
            self._put(f"context_values.{index}", value[0])

    def _velocity(self, args, kwargs, result):
        self.trajectories.append(args[0][0].clone())
        self.velocities.append(result[0].clone())


def predict(model, processor, folder, case, images, state):
    tag = case["tags"][case["tag"]]
    recorder = Recorder(model)
    seed = case["seed"] + 2
    output = model.predict_action(
        processor=processor,
        images=images,
        task=case["task"],
        state=state,
        norm_tag=case["tag"],
        inference_action_mode="continuous",
        generator=torch.Generator().manual_seed(seed),
        enable_cuda_graph=False,
    )
    out = recorder.out
    shape = (1, tag["horizon"], case["max_action_dim"])
    out["noise"] = torch.randn(shape, generator=torch.Generator().manual_seed(seed))[0]
    # The states at which the velocities were taken: the first is the noise with its padding zeroed.
    out["trajectory"] = torch.stack(recorder.trajectories)
    # As the network gives them, the padded dimensions not yet zeroed.
    out["velocity"] = torch.stack(recorder.velocities)
    masked = out["noise"].clone()
    masked[:, tag["action_dim"] :] = 0
    assert torch.equal(masked, out["trajectory"][0])
    assert len(recorder.velocities) == case["flow_steps"]
    out["chunk_normalised"] = out.pop("trajectory_final")[:, : tag["action_dim"]].contiguous()
    out["actions"] = output.actions[0]
    return out


def prompt(model, processor, images, tag, state, task, style, normalise=True):
    """The same calls as predict_action makes, so that the ids can be had for both styles."""
    stats = model._get_robot_stats()
    metadata = stats.get_metadata(tag)
    normalised = np.asarray(stats.normalize_state(state, tag), dtype=np.float32)
    config = model.config
    text = reference._build_robot_text(
        task=reference._normalize_question_text(task) if normalise else task,
        style=style,
        discrete_state_string=reference._build_discrete_state_string(normalised, config.num_state_tokens),
        setup_type=metadata.get("setup_type", ""),
        control_mode=metadata.get("control_mode", ""),
        add_setup_tokens=config.add_setup_tokens,
        add_control_tokens=config.add_control_tokens,
        num_images=len(images),
    )
    inputs = processor(text=text, images=images or None, return_tensors="pt")
    return text, normalised, inputs


def prompt_table(model, processor, case, images, state):
    tag, rows = case["tag"], []
    dims = len(state)
    low, high = np.full(dims, -1e4, np.float32), np.full(dims, 1e4, np.float32)
    questions = [
        (case["task"], state, "robot_action", len(images), True),
        (case["task"], state, "robot_depth_action", len(images), True),
        ("Pick up the ball; don't drop it", low, "robot_action", len(images), True),
        ("重いカップを押す, s'il vous plaît — ½ côté", high, "robot_action", 1, True),
        ("", state, "robot_action", 1, True),
        ("Kept  as IS: two  spaces\tand 12345 digits!", state, "robot_action", 2, False),
        ("say <|im_end|> and <state_3> aloud", state, "robot_action", 1, True),
    ]
    for task, values, style, count, normalise in questions:
        shown = (images * 3)[:count]
        text, normalised, inputs = prompt(model, processor, shown, tag, values, task, style, normalise)
        rows.append(
            dict(
                task=task,
                normalise_language=normalise,
                style=style,
                num_images=count,
                tag=tag,
                state=[float(x) for x in values],
                state_normalised=[float(x) for x in normalised],
                text=text,
                ids=inputs["input_ids"][0].tolist(),
                token_type_ids=[int(x) for x in inputs["token_type_ids"][0]],
            )
        )
    return rows


@torch.no_grad()
def discrete(model, inputs, folder, case, chunks, out):
    """Teacher forcing and step-by-step decoding of one encoded chunk."""
    config, tag = model.config, case["tags"][case["tag"]]
    tokenizer = UniversalActionProcessor.from_pretrained_local(str(folder / "openfast"))
    fast_ids = tokenizer(chunks[0])[0]
    given = [config.action_start_token_id]
    given += [config.action_token_start_id + index for index in fast_ids]
    given += [config.action_end_token_id, config.eos_token_id]
    out["fast_ids"] = torch.tensor(fast_ids)
    out["forced_ids"] = torch.tensor(given)

    forced = {key: value for key, value in inputs.items() if key != "attention_mask"}
    extra = torch.tensor([given])
    forced["input_ids"] = torch.cat([inputs["input_ids"], extra], dim=1)
    forced["token_type_ids"] = torch.cat([inputs["token_type_ids"], torch.zeros_like(extra)], dim=1)
    prompt_len = inputs["input_ids"].shape[1]
    teacher = model(**forced, use_cache=True)
    # Row i predicts forced_ids[i]; the last row follows the end token.
    out["teacher_logits"] = teacher.logits[0, prompt_len - 1 :].contiguous()
    # What the flow expert may look at when the answer lies in its context: not the action tokens.
    out["teacher_cross_mask"] = model.model._get_encoder_attention_mask(forced["input_ids"], None)[0]

    prefill = {key: value for key, value in inputs.items() if key != "attention_mask"}
    step = model(**prefill, use_cache=True)
    rows = [step.logits[0, -1]]
    for token in given:
        step, _ = model._consume_generation_tokens(
            torch.tensor([token]), past_key_values=step.past_key_values, attention_mask=None
        )
        rows.append(step.logits[0, -1])
    out["decode_logits"] = torch.stack(rows)
    difference = (out["decode_logits"] - out["teacher_logits"]).abs().max()
    assert difference < 1e-4, difference

    chunk = model._decode_discrete_action_chunk(
        torch.tensor([given]), action_tokenizer=tokenizer, action_dim=tag["action_dim"],
        action_horizon=tag["horizon"],
    )
    # The reference answers a stream it cannot decode with zeros.
    assert np.abs(chunk[0].numpy() - chunks[0]).max() < 0.2
    out["discrete_chunk_normalised"] = chunk[0]
    start = config.n_obs_steps - 1
    rows = chunk[0, start : start + tag["n_action_steps"]]
    out["discrete_actions"] = model._get_robot_stats().unnormalize_action(rows, case["tag"])


@torch.no_grad()
def run(name, case):
    folder = HERE / name / "checkpoint"
    shutil.rmtree(HERE / name, ignore_errors=True)
    torch.manual_seed(0)
    chunks = write_checkpoint(folder, case)
    model = load_reference(folder)
    processor = _load_local_molmoact2_processor(str(folder))

    images = make_images(case["image_sizes"], case["seed"] + 3)
    stats = json.loads((folder / "norm_stats.json").read_text())["metadata_by_tag"][case["tag"]]["state_stats"]
    rng = np.random.default_rng(case["seed"] + 4)
    low, high = np.array(stats["min"]), np.array(stats["max"])
    state = (low + rng.uniform(-0.1, 1.1, len(low)) * (high - low)).astype(np.float32)

    text, normalised, inputs = prompt(
        model, processor, images, case["tag"], state, case["task"], "robot_action"
    )
    model_inputs = {key: value for key, value in inputs.items() if key != "attention_mask"}
    assert bool(inputs["attention_mask"].all())

    out = {}
    first = model(**model_inputs, use_cache=True)
    out["logits"] = first.logits[0].contiguous()
    if chunks is not None:
        discrete(model, inputs, folder, case, chunks, out)
    table = prompt_table(model, processor, case, images, state)
    out.update(predict(model, processor, folder, case, images, state))

    assert table[0]["ids"] == inputs["input_ids"][0].tolist()
    out["input_ids"] = inputs["input_ids"][0]
    out["token_type_ids"] = inputs["token_type_ids"][0].to(torch.uint8)
    out["pixel_values"] = inputs["pixel_values"]
    out["image_token_pooling"] = inputs["image_token_pooling"]
    out["image_grids"] = inputs["image_grids"]
    _, pooling = model.model.build_batched_images(
        inputs["input_ids"], inputs["pixel_values"], inputs["image_token_pooling"], inputs["image_grids"],
        inputs["image_num_crops"],
    )
    # With the offset of each image added.
    out["pool_indices"] = pooling[0]
    out["state"] = torch.from_numpy(state)
    out["state_normalised"] = torch.from_numpy(normalised)
    for index, image in enumerate(images):
        out[f"image.{index}"] = torch.from_numpy(image)
    out = {
        key: value.to(torch.int32) if value.dtype == torch.int64 else value for key, value in out.items()
    }
    out = {
        key: value.to(torch.uint8) if value.dtype == torch.bool else value for key, value in out.items()
    }
    # One key: the writer puts several in an order of its own, different from run to run.
    about = dict(task=case["task"], tag=case["tag"], flow_steps=case["flow_steps"], prompt=text)
    metadata = {"case": json.dumps(about, ensure_ascii=False)}
    save_file({key: value.contiguous() for key, value in out.items()}, HERE / name / "golden.safetensors",
              metadata=metadata)
    (HERE / name / "prompts.json").write_text(
        "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in table) + "\n]\n"
    )
    report(name, model, out)


def report(name, model, out):
    parameters = sum(value.numel() for value in model.parameters())
    size = sum(path.stat().st_size for path in (HERE / name).rglob("*") if path.is_file())
    print(f"{name}: {parameters} parameters, {len(out['input_ids'])} prompt tokens, {size / 1e6:.2f} MB")
    for key in ("vit_features", "projected_features", "last_hidden", "logits", "velocity", "chunk_normalised"):
        value = out[key]
        assert torch.isfinite(value).all(), key
        print(f"  {key:20} {tuple(value.shape)!s:18} std {value.std():.3f}  max {value.abs().max():.3f}")


if __name__ == "__main__":
    one_but_for_resizing()
    for chosen in sys.argv[1:] or CASES:
        run(chosen, CASES[chosen])
