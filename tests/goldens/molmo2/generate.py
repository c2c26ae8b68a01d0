"""Writes tiny vision-language checkpoints, and what the reference answers to plain questions.

Usage: python generate.py            (all cases; the versions are named in ../README.md)
       python generate.py tiled

The reference is LeRobot's copy of the network without its action expert, which is the network of the plain VLM
(`model_type` "molmo2"). One case is a robot policy that can be asked as well.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent.parent / "molmoact2"))
import tiny_checkpoint as tiny  # noqa: E402
from cases import adapter, case, expert, text, vit  # noqa: E402
from threads import one_but_for_resizing  # noqa: E402

from lerobot.policies.molmoact2.molmoact2_hf_model import modeling_molmoact2 as reference  # noqa: E402
from lerobot.policies.molmoact2.molmoact2_hf_model.configuration_molmoact2 import MolmoAct2Config  # noqa: E402
from lerobot.policies.molmoact2.molmoact2_hf_model.image_processing_molmoact2 import (  # noqa: E402
    MolmoAct2ImageProcessor,
)
from lerobot.policies.molmoact2.molmoact2_hf_model.processing_molmoact2 import MolmoAct2Processor  # noqa: E402
from lerobot.policies.molmoact2.molmoact2_hf_model.video_processing_molmoact2 import (  # noqa: E402
    MolmoAct2VideoProcessor,
)
from transformers import Qwen2Tokenizer  # noqa: E402

HERE = Path(__file__).parent
NEW_TOKENS = 24

# Written for these goldens; it uses what the published one uses: namespaces, string methods, loop controls,
# exceptions, tests and white space that only trimming takes away.
TEMPLATE = """\
{% set shown = namespace(count=0) %}
{% for message in messages %}
    {% if message['content'] is not string %}
        {% for part in message['content'] %}
            {% if part['type'] == 'image' or 'image' in part %}
                {% set shown.count = shown.count + 1 %}
            {% endif %}
        {% endfor %}
    {% endif %}
{% endfor %}
{% if shown.count == 1 %}
    {{- '<|image|>' -}}
{% elif shown.count > 1 %}
    {%- for i in range(shown.count) -%}
        {{ 'Image ' ~ (i + 1) ~ '<|image|>' }}
    {%- endfor -%}
{% endif %}
{%- for message in messages -%}
    {% set role = message['role'].lower() %}
    {% if role == 'subtitle' %}{% continue %}{% endif %}
    {% if role not in ['user', 'assistant'] %}
        {{ raise_exception('unknown role ' ~ role) }}
    {% endif %}
    {% set words = namespace(text='') %}
    {% if message['content'] is string %}
        {% set words.text = message['content'] %}
    {% else %}
        {% for part in message['content'] %}
            {% if part['type'] == 'text' %}
                {% set words.text = words.text ~ ('' if not words.text else ' ') ~ part['text'] %}
            {% endif %}
        {% endfor %}
    {% endif %}
    {{- '<|im_start|>' ~ role ~ '\\n' ~ words.text ~ '<|im_end|>\\n' -}}
{% endfor %}
{% if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' -}}
{% endif %}
"""

ARM = dict(setup_type="single arm", control_mode="absolute joint pose")
QUESTIONS = [
    "Where is the red cube?",
    "Point to the ball, s'il vous plaît — 重い?",
    "  Count the  cups.\nThen say <|im_end|> aloud  ",
]

CASES = {
    # Several crops with column tokens, the settings' shape of the published VLM at a small size.
    "tiled": dict(
        base=case(
            seed=505, column_tokens=False, vit=vit(num_hidden_layers=5, image_default_input_size=[84, 84], image_num_pos=36),
            adapter=adapter(vit_layers=[-1, -3]), text=text(num_hidden_layers=3),
        ),
        crops=dict(crop_mode="overlap-and-resize-c2", max_crops=6, overlap_margins=[1, 1]),
        kind="molmo2", template="file", files="split",
        image_sizes=[[(300, 220)], [(40, 64), (700, 90)], []],
    ),
    # Windows that reach over the edge, margins that differ, no low-resolution start token, column tokens in both
    # views, and the end of an answer named by a list.
    "uneven": dict(
        base=case(
            seed=606, column_tokens=None, pooling_size=[3, 2],
            vit=vit(num_hidden_layers=4, image_default_input_size=[40, 40], image_patch_size=8, image_num_pos=25),
            adapter=adapter(vit_layers=[-2], pooling_attention_mask=False), text=text(num_key_value_heads=1),
        ),
        crops=dict(crop_mode="overlap-and-resize-c2", max_crops=5, overlap_margins=[1, 2]),
        kind="molmo2", template=None, files="joined", low_res_start=False, stops="list",
        image_sizes=[[(61, 200)], [(33, 47)], [(90, 90), (20, 30), (64, 10)]],
    ),
    # A policy with an expert and a template, one view per image.
    "policy": dict(
        base=case(
            seed=707, vit=vit(num_hidden_layers=3), adapter=adapter(vit_layers=[-1, -2]), text=text(), expert=expert(),
            tag="arm",
            tags={"arm": dict(cameras=["wrist"], state_dim=3, action_dim=3, horizon=6, n_action_steps=6, **ARM)},
        ),
        crops=dict(crop_mode="resize", max_crops=8, overlap_margins=[4, 4]),
        kind="molmoact2", template="tokenizer", files="joined",
        image_sizes=[[(48, 64)], [(100, 30), (56, 56)], [(9, 300)]],
    ),
    # As the reference class itself writes a model without expert: the keys about robots are there, and null.
    "no_expert": dict(
        base=case(seed=808, vit=vit(num_hidden_layers=3), adapter=adapter(vit_layers=[-1]), text=text()),
        crops=dict(crop_mode="overlap-and-resize-c2", max_crops=4, overlap_margins=[1, 1]),
        kind="no_expert", template="json", files="joined",
        image_sizes=[[(120, 80)], [(60, 60)], [(30, 90)]],
    ),
}


def build_config(spec, ids, vocab_size):
    base = dict(spec["base"])
    if spec["kind"] == "molmoact2":
        return tiny.build_config(base, ids, vocab_size)
    base["expert"] = expert()
    raw = tiny.build_config(base, ids, vocab_size).to_dict()
    robot = [key for key in raw if "action" in key or "depth" in key or "state" in key]
    for key in robot + ["n_obs_steps"]:
        del raw[key]
    raw["text_config"]["attn_implementation"] = "sdpa"
    raw["vit_config"]["attn_implementation"] = "sdpa"
    raw["adapter_config"]["attn_implementation"] = "sdpa"
    return MolmoAct2Config(add_action_expert=False, **raw)


def write_config(folder, config, spec):
    tiny.write_config(folder, config, spec["base"])
    if spec["kind"] != "molmo2":
        return
    # What the plain VLM's own configuration class knows.
    path = folder / "config.json"
    raw = json.loads(path.read_text())
    keep = ["adapter_config", "architectures", "dtype", "frame_end_token_id", "frame_start_token_id", "image_col_id",
            "image_end_token_id", "image_high_res_id", "image_low_res_id", "image_patch_id", "image_start_token_id",
            "initializer_range", "low_res_image_start_token_id", "text_config", "tie_word_embeddings",
            "transformers_version", "use_frame_special_tokens", "vit_config"]
    raw = {key: raw[key] for key in keep}
    raw["model_type"] = "molmo2"
    raw["architectures"] = ["Molmo2ForConditionalGeneration"]
    path.write_text(json.dumps(raw, indent=1) + "\n")


def image_settings(spec):
    base = spec["base"]
    size = base["vit"]["image_default_input_size"]
    return dict(
        size={"height": size[0], "width": size[1]}, resample=2, image_mean=[0.5] * 3, image_std=[0.5] * 3,
        do_convert_rgb=True, patch_size=base["vit"]["image_patch_size"], pooling_size=base["pooling_size"],
        **spec["crops"],
    )


def token_settings(spec):
    return dict(
        image_use_col_tokens=True, use_single_crop_col_tokens=spec["base"]["column_tokens"],
        use_single_crop_start_token=spec.get("low_res_start", True), video_use_col_tokens=False,
        use_frame_special_tokens=True,
    )


def write_settings(folder, spec):
    image = dict(image_processor_type="Molmo2ImageProcessor", **image_settings(spec))
    if spec["files"] == "split":
        # As transformers 4 writes them; the mode is the class's own default there.
        assert image.pop("crop_mode") == "overlap-and-resize-c2"
        (folder / "preprocessor_config.json").write_text(json.dumps(image, indent=1) + "\n")
        whole = dict(processor_class="Molmo2Processor", **token_settings(spec))
    else:
        whole = dict(processor_class="Molmo2Processor", image_processor=image, **token_settings(spec))
    if spec["template"] == "file":
        (folder / "chat_template.jinja").write_text(TEMPLATE)
    elif spec["template"] == "json":
        (folder / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}) + "\n")
    elif spec["template"] == "tokenizer":
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps(dict(json.loads(path.read_text()), chat_template=TEMPLATE), indent=1) + "\n")
    (folder / "processor_config.json").write_text(json.dumps(whole, indent=1) + "\n")


def write_checkpoint(folder, spec):
    folder.mkdir(parents=True)
    base = spec["base"]
    ids, vocab_size = tiny.write_tokenizer(folder, base)
    config = build_config(spec, ids, vocab_size)
    model = reference.MolmoAct2ForConditionalGeneration(config)
    tiny.write_weights(folder, tiny.random_weights(model, base["seed"]), base["shards"])
    write_config(folder, config, spec)
    write_settings(folder, spec)
    if spec["kind"] == "molmoact2":
        tiny.write_norm_stats(folder, base, np.random.default_rng(base["seed"]))
    model.load_state_dict({k: v for p in sorted(folder.glob("model*.safetensors")) for k, v in load_file(p).items()})
    tokenizer = Qwen2Tokenizer.from_pretrained(folder)
    processor = MolmoAct2Processor(
        MolmoAct2ImageProcessor(**image_settings(spec)), MolmoAct2VideoProcessor(), tokenizer,
        chat_template=TEMPLATE, **token_settings(spec),
    )
    for key, value in token_settings(spec).items():
        setattr(processor, key, value)
    return model.eval().float(), processor, ids


def make_image(height, width, seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (5 + c) + c) * np.cos(y / (7 - c) - c) for c in range(3)]
    image = 127.5 + 120 * np.stack(waves, axis=-1)
    image[height // 3 : height // 2, width // 4 : width // 2] = (250, 20, 60)
    return np.clip(image + rng.integers(-20, 20, image.shape), 0, 255).astype(np.uint8)


def generate_step_by_step(model, inputs, stops):
    """Greedy decoding through the cache, with the scores of every step."""
    given = {key: value for key, value in inputs.items() if key != "attention_mask"}
    step = model(**given, use_cache=True)
    ids, scores = [], []
    while len(ids) < NEW_TOKENS:
        scores.append(step.logits[0, -1])
        ids.append(int(scores[-1].argmax()))
        if ids[-1] in stops:
            break
        step, _ = model._consume_generation_tokens(
            torch.tensor([ids[-1]]), past_key_values=step.past_key_values, attention_mask=None
        )
    return ids, torch.stack(scores)


def keep_pooled(model, out):
    """What the projector gives, in the order of the image tokens."""
    return model.model.vision_backbone.image_projector.register_forward_hook(
        lambda module, arguments, result: out.update(projected=result.reshape(-1, result.shape[-1]).clone())
    )


def ask(spec, processor, index):
    sizes = spec["image_sizes"][index]
    images = [make_image(*size, spec["base"]["seed"] + 10 * index + k) for k, size in enumerate(sizes)]
    content = [{"type": "text", "text": QUESTIONS[index]}] + [{"type": "image"} for _ in images]
    message = {"role": "user", "content": content}
    prompt = processor.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    inputs = processor(text=prompt, images=images or None, return_tensors="pt")
    assert bool(inputs["attention_mask"].all())
    return images, prompt, inputs


def name_the_ends(folder, spec, model, processor, ids):
    """Writes generation_config.json. Random weights never say that they are done: where several tokens end an
    answer, one of them is the first that the model writes as its sixth or later and had not written before."""
    end = ids["<|im_end|>"]
    stops = [end]
    if spec.get("stops") == "list":
        new_ids, _ = generate_step_by_step(model, ask(spec, processor, 0)[2], stops)
        stops.append(next(token for k, token in enumerate(new_ids) if k > 4 and token not in new_ids[:k]))
    generation = {"bos_token_id": end, "eos_token_id": stops if len(stops) > 1 else end,
                  "pad_token_id": ids["<|endoftext|>"]}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n")
    return stops


@torch.no_grad()
def run(name, spec):
    shutil.rmtree(HERE / name, ignore_errors=True)
    torch.manual_seed(0)
    folder = HERE / name / "checkpoint"
    model, processor, ids = write_checkpoint(folder, spec)
    stops = name_the_ends(folder, spec, model, processor, ids)
    tensors, rows = {}, []
    for index, (question, sizes) in enumerate(zip(QUESTIONS, spec["image_sizes"])):
        images, prompt, inputs = ask(spec, processor, index)
        out = {}
        hook = keep_pooled(model, out)
        new_ids, scores = generate_step_by_step(model, inputs, stops)
        hook.remove()
        own = model.generate(
            **inputs, max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=stops, pad_token_id=stops[0]
        )
        assert own[0, inputs["input_ids"].shape[1] :].tolist() == new_ids, (own, new_ids)
        gap = scores.topk(2).values
        rows.append(
            dict(
                question=question, images=len(images), prompt=prompt, text=processor.decode(new_ids, skip_special_tokens=True),
                ended="end_of_text" if new_ids[-1] in stops else "max_tokens", new_ids=new_ids,
                closest=float((gap[:, 0] - gap[:, 1]).min()),
            )
        )
        out.update(input_ids=inputs["input_ids"][0].int(), token_type_ids=inputs["token_type_ids"][0].to(torch.uint8),
                   logits=scores)
        if images:
            out.update(pixel_values=inputs["pixel_values"], image_grids=inputs["image_grids"].int())
            _, pooling = model.model.build_batched_images(
                inputs["input_ids"], inputs["pixel_values"], inputs["image_token_pooling"], inputs["image_grids"],
                inputs["image_num_crops"],
            )
            out["pool_indices"] = pooling[0].int()
        out.update({f"image.{k}": torch.from_numpy(image) for k, image in enumerate(images)})
        tensors.update({f"{index}.{key}": value.contiguous() for key, value in out.items()})
    # Values of several hundred crops would fill the repository: kept in half the size, which is exact for bytes.
    for key in [key for key in tensors if key.endswith("pixel_values")]:
        tensors[key] = ((tensors[key] + 1) / 2 * 255).round().to(torch.uint8)
    save_file(tensors, HERE / name / "golden.safetensors")
    (HERE / name / "answers.json").write_text(
        "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"
    )
    size = sum(path.stat().st_size for path in (HERE / name).rglob("*") if path.is_file())
    print(f"{name}: {size / 1e6:.2f} MB")
    for index, row in enumerate(rows):
        tokens = tensors[f"{index}.input_ids"].numel()
        print(f"  {tokens} prompt tokens, {row['images']} images, {len(row['new_ids'])} new, {row['ended']}, "
              f"closest {row['closest']:.4f}: {row['text']!r}")


if __name__ == "__main__":
    one_but_for_resizing()
    for chosen in sys.argv[1:] or CASES:
        run(chosen, CASES[chosen])
