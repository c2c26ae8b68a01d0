"""Writes tiny random checkpoints and what transformers computes with them, stage by stage.

Usage: python generate.py CASE ...    (versions in ../README.md; each case names the transformers it needs)

Frames are a formula that the tests share, so only their hash is kept. Weights are drawn with unit gain from a seeded
generator and rounded to the type they are stored in (bf16, f32 in one case); the network itself runs in f32.
"""

import inspect
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor, Qwen3VLVideoProcessor
from transformers.video_utils import VideoMetadata

from cases import CASES
from tiny_tokenizer import SPECIAL, tokenizer

HERE = Path(__file__).parent
BEFORE = "The above video shows a robot manipulation trajectory that completes the following task: "
AFTER = " Decide whether the above statement is True or not. The answer is:"
PUBLISHED_SIZE = (4096, 25_165_824)


def frame(width, height, seed):
    """`[height, width, 3]` bytes, smooth with some noise; the tests compute the same in integers."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    at = ((y * width + x) * 3 + c).astype(np.uint64)
    noise = (at * 2654435761 + seed) & 0xFFFFFFFF
    noise ^= noise >> 15
    noise = (noise * 2246822519) & 0xFFFFFFFF
    wave = (x * (c + 2) + y * (3 - c) + seed * 29).astype(np.uint64) % 192
    return (wave + (noise >> 26)).astype(np.uint8)


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def network(case, vocab_size):
    text, vision = case["text"], case["vision"]
    rope = dict(rope_type="default", mrope_section=text["sections"], mrope_interleaved=True)
    old = transformers.__version__.startswith("4.")
    rotary = dict(rope_theta=5e6, rope_scaling=rope) if old else dict(rope_parameters=dict(rope, rope_theta=5e6))
    ids = {name: vocab_size - len(SPECIAL) + SPECIAL.index(token) for name, token in (
        ("image_token_id", "<|image_pad|>"), ("video_token_id", "<|video_pad|>"),
        ("vision_start_token_id", "<|vision_start|>"), ("vision_end_token_id", "<|vision_end|>"))}
    config = Qwen3VLConfig(
        text_config=dict(
            vocab_size=vocab_size, hidden_size=text["hidden"], intermediate_size=text["inner"],
            num_hidden_layers=text["layers"], num_attention_heads=text["heads"], num_key_value_heads=text["kv_heads"],
            head_dim=text["head_dim"], max_position_embeddings=4096, attention_bias=text["bias"],
            rms_norm_eps=1e-6, tie_word_embeddings=case["tied"], **rotary),
        vision_config=dict(
            depth=vision["depth"], hidden_size=vision["hidden"], intermediate_size=vision["inner"],
            num_heads=vision["heads"], out_hidden_size=text["hidden"], num_position_embeddings=vision["places"],
            deepstack_visual_indexes=vision["deepstack"]),
        tie_word_embeddings=case["tied"], **ids)
    config._attn_implementation = "eager"
    model = Qwen3VLForConditionalGeneration(config).float().eval()
    draw(model, case["seed"], getattr(torch, case["stored"]))
    return model


def draw(model, seed, stored):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.dim() == 1:
                value = noise * 0.1 + (1.0 if "norm" in name and name.endswith("weight") else 0.0)
            elif "embed" in name and "proj" not in name:
                value = noise
            else:
                value = noise / weight[0].numel() ** 0.5
            weight.copy_(value.to(stored))


def save(model, folder, shards, stored):
    """By hand: the library may redraw or retie weights on the way."""
    state = {name: value.to(stored).contiguous() for name, value in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        del state["lm_head.weight"]
    model.config.save_pretrained(folder)
    names = sorted(state)
    if shards == 1:
        save_file(state, folder / "model.safetensors", metadata=dict(format="pt"))
        return
    placed = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = {name: state[name] for name in names[shard::shards]}
        save_file(part, folder / file, metadata=dict(format="pt"))
        placed |= dict.fromkeys(part, file)
    index = dict(metadata=dict(total_size=sum(v.numel() * v.element_size() for v in state.values())), weight_map=placed)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def look(model, stages):
    """Hooks that keep every stage."""
    def keep(name):
        def hook(_, __, output):
            stages[name] = (output[0] if isinstance(output, tuple) else output).detach().clone()
        return hook
    visual, text = model.model.visual, model.model.language_model
    visual.patch_embed.register_forward_hook(keep("patch_embedding"))
    for index, block in enumerate(visual.blocks):
        block.register_forward_hook(keep(f"vision_block.{index}"))
    for index, merger in enumerate(visual.deepstack_merger_list):
        merger.register_forward_hook(keep(f"deepstack.{index}"))
    visual.merger.register_forward_hook(keep("merged"))
    # What a layer gives before deepstack is what the hook sees; what the next one reads is after it.
    for index, layer in enumerate(text.layers):
        def before(_, args, kwargs, index=index):
            states = args[0] if args else kwargs["hidden_states"]
            stages["embedded" if index == 0 else f"layer.{index - 1}"] = states.detach().clone()
        layer.register_forward_pre_hook(before, with_kwargs=True)
    text.norm.register_forward_pre_hook(
        lambda _, args: stages.__setitem__(f"layer.{len(text.layers) - 1}", args[0].detach().clone()))
    text.norm.register_forward_hook(keep("final"))


def positions(model, inputs):
    """`[3, tokens]`."""
    wanted = inspect.signature(model.model.get_rope_index).parameters
    given = {name: value for name, value in inputs.items() if name in wanted}
    return model.model.get_rope_index(**given)[0][:, 0]


def run(name):
    case = CASES[name]
    if transformers.__version__ != case["version"]:
        print(f"{name}: needs transformers {case['version']}, this is {transformers.__version__}; left as it is")
        return
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    checkpoint = folder / "checkpoint"
    checkpoint.mkdir(parents=True)
    words = tokenizer()
    least, most = case.get("size", PUBLISHED_SIZE)
    video = Qwen3VLVideoProcessor(size=dict(shortest_edge=least, longest_edge=most))
    processor = Qwen3VLProcessor(image_processor=image_processor(), tokenizer=words, video_processor=video)
    model = network(case, len(words))
    save(model, checkpoint, case["shards"], getattr(torch, case["stored"]))
    words.backend_tokenizer.save(str(checkpoint / "tokenizer.json"))
    if case["version"].startswith("4.") or name == "tied":
        video.save_pretrained(checkpoint)
    else:
        # All in one file, as transformers 5 writes it.
        whole = json.loads(processor.to_json_string()) if hasattr(processor, "to_json_string") else {}
        (checkpoint / "processor_config.json").write_text(json.dumps(whole, indent=1) + "\n")

    frames = [frame(case["width"], case["height"], case["seed"] * 100 + index) for index in range(case["frames"])]
    # A single frame is shown twice, as a block of one frame would be.
    shown = frames * 2 if len(frames) == 1 else frames
    numbers = [index * case["step"] for index in range(len(frames))]
    numbers = numbers * 2 if len(frames) == 1 else numbers
    metadata = VideoMetadata(
        total_num_frames=numbers[-1] + 1, fps=case["rate"], frames_indices=numbers,
        width=case["width"], height=case["height"], duration=1.0, video_backend="none")
    prompt = f"<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>{BEFORE}{case['task']}{AFTER}"
    inputs = processor(
        text=[prompt], videos=[np.stack(shown)], video_metadata=[metadata], do_sample_frames=False, return_tensors="pt")
    inputs = dict(inputs)
    pixels = inputs["pixel_values_videos"].float().contiguous()
    stages = {}
    look(model, stages)
    takes = inspect.signature(model.forward).parameters
    given = {key: value for key, value in inputs.items() if key in takes or key == "mm_token_type_ids"}
    if "mm_token_type_ids" not in takes:
        given.pop("mm_token_type_ids", None)
    with torch.no_grad():
        logits = model(**given, use_cache=False).logits[0].float()
    log_probs = torch.log_softmax(logits.double(), -1)
    target = words.encode(" True")[-1]
    tensors = {key: value.squeeze(0).float().contiguous() if value.dim() == 3 else value.float().contiguous()
               for key, value in stages.items()}
    # The last rows are what scores are made of.
    tensors["logits"] = logits[-4:].contiguous()
    tensors["log_probs"] = log_probs[-4:].float().contiguous()
    tensors["ids"] = inputs["input_ids"][0].to(torch.int32).contiguous()
    tensors["positions"] = positions(model, inputs).to(torch.int32).contiguous()
    meta = dict(
        transformers=transformers.__version__, frames=case["frames"], width=case["width"], height=case["height"],
        numbers=numbers, rate=case["rate"], task=case["task"], seed=case["seed"], target=target,
        grid=inputs["video_grid_thw"][0].tolist(), pixels=fnv1a(pixels.numpy().tobytes()),
        first_pixels=pixels.reshape(-1)[:8].tolist(), text=words.decode(inputs["input_ids"][0]))
    save_file(tensors, folder / "golden.safetensors", metadata=dict(case=json.dumps(meta)))
    tail = float(log_probs[-1, target])
    print(f"{name}: {len(inputs['input_ids'][0])} tokens, grid {meta['grid']}, ln p = {tail:.4f}, flattest {float(log_probs[-1].max()):.3f}")


def image_processor():
    from transformers import Qwen2VLImageProcessor
    return Qwen2VLImageProcessor(patch_size=16, merge_size=2, temporal_patch_size=2)


if __name__ == "__main__":
    for case_name in sys.argv[1:] or CASES:
        run(case_name)
