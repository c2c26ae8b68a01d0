"""What transformers writes, token by token, about a video and about images, with the checkpoints of generate.py.

Usage: python generate_text.py CASE ...    (as generate.py: each case names the transformers it needs)

Writes `answers.json` beside the checkpoint, and, where the checkpoint has none, the settings of the image processor. Tokens
are the likeliest ones; by how much, in the scores, is kept too, so that a test knows which of them rounding may change.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor, Qwen3VLVideoProcessor
from transformers.video_utils import VideoMetadata

from cases import CASES
from generate import HERE, PUBLISHED_SIZE, fnv1a, frame
from tiny_tokenizer import tokenizer

ANSWER_TURN = "<|im_end|>\n<|im_start|>assistant\n"
DESCRIBE = "Describe the robot manipulation trajectory in this video:"
TOKENS = 24
# Widths and heights of the images: smaller than a patch of tokens, odd, above the smaller of the budgets.
IMAGES = [(20, 34), (75, 96), (210, 130)]
# Pixels of an image, least and most. `tied_again` keeps what its processor_config.json says.
SIZES = {"tied": (65_536, 16_777_216), "untied_odd": (3_136, 1_003_520), "shrunk": (4_096, 20_000)}
PARTS = ["Initial robot scene:", "In the initial robot scene, the task completion percentage is 0%.Frame 1:", "Frame 2:"]


def image_processor(name):
    if name in SIZES:
        least, most = SIZES[name]
        settings = dict(
            size=dict(shortest_edge=least, longest_edge=most), patch_size=16, merge_size=2, temporal_patch_size=2,
            image_mean=[0.5] * 3, image_std=[0.5] * 3)
    else:
        kept = json.loads((HERE / name / "checkpoint/processor_config.json").read_text())["image_processor"]
        settings = {key: kept[key] for key in (
            "size", "patch_size", "merge_size", "temporal_patch_size", "image_mean", "image_std")}
    # The one that resizes with torchvision, which the published checkpoints name.
    kind = getattr(transformers, "Qwen2VLImageProcessorFast", None) or transformers.Qwen2VLImageProcessor
    made = kind(**settings)
    if name in SIZES:
        settings = dict(settings, image_processor_type="Qwen2VLImageProcessorFast")
        (HERE / name / "checkpoint/preprocessor_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    return made


def write(model, inputs, words):
    takes = dict(inputs)
    if transformers.__version__.startswith("4."):
        takes.pop("mm_token_type_ids", None)
    with torch.no_grad():
        out = model.generate(
            **takes, max_new_tokens=TOKENS, do_sample=False, return_dict_in_generate=True, output_logits=True,
            eos_token_id=None, pad_token_id=0)
    prompt = inputs["input_ids"][0].tolist()
    written = out.sequences[0, len(prompt):].tolist()
    margins = []
    for logits in out.logits:
        best = torch.topk(logits[0].double(), 2).values
        margins.append(float(best[0] - best[1]))
    return dict(prompt=prompt, ids=written, margins=margins, text=words.decode(written, skip_special_tokens=True))


def run(name):
    case = CASES[name]
    if transformers.__version__ != case["version"]:
        print(f"{name}: needs transformers {case['version']}, this is {transformers.__version__}; left as it is")
        return
    folder = HERE / name
    words = tokenizer()
    least, most = case.get("size", PUBLISHED_SIZE)
    video = Qwen3VLVideoProcessor(size=dict(shortest_edge=least, longest_edge=most))
    processor = Qwen3VLProcessor(image_processor=image_processor(name), tokenizer=words, video_processor=video)
    model = Qwen3VLForConditionalGeneration.from_pretrained(
        folder / "checkpoint", dtype=torch.float32, attn_implementation="eager").eval()

    frames = [frame(case["width"], case["height"], case["seed"] * 100 + index) for index in range(case["frames"])]
    numbers = [index * case["step"] for index in range(len(frames))]
    if len(frames) == 1:
        frames, numbers = frames * 2, numbers * 2
    metadata = VideoMetadata(
        total_num_frames=numbers[-1] + 1, fps=case["rate"], frames_indices=numbers,
        width=case["width"], height=case["height"], duration=1.0, video_backend="none")
    prompt = f"<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>{DESCRIBE}{ANSWER_TURN}"
    inputs = processor(
        text=[prompt], videos=[np.stack(frames)], video_metadata=[metadata], do_sample_frames=False, return_tensors="pt")
    described = write(model, inputs, words)

    images = [frame(width, height, case["seed"] * 1000 + index) for index, (width, height) in enumerate(IMAGES)]
    prompt = "<|im_start|>user\n" + "".join(
        f"{part}<|vision_start|><|image_pad|><|vision_end|>" for part in PARTS) + ANSWER_TURN
    inputs = processor(text=[prompt], images=[torch.from_numpy(image).permute(2, 0, 1) for image in images], return_tensors="pt")
    asked = write(model, inputs, words)
    pixels = inputs["pixel_values"].float().contiguous()
    asked |= dict(
        grids=inputs["image_grid_thw"].tolist(), pixels=fnv1a(pixels.numpy().tobytes()), parts=PARTS, images=IMAGES)
    answers = dict(transformers=transformers.__version__, describe=described, images=asked)
    (folder / "answers.json").write_text(json.dumps(answers, ensure_ascii=False) + "\n")
    for kind, answer in (("describe", described), ("images", asked)):
        print(f"{name} {kind}: {len(answer['prompt'])} + {len(answer['ids'])} tokens, least margin {min(answer['margins']):.4f}: {answer['text']!r}")
    print(asked["grids"])


if __name__ == "__main__":
    for case_name in sys.argv[1:] or ["tied", "tied_again", "untied_odd", "wide_heads", "shrunk"]:
        run(case_name)
