"""Writes the tiny checkpoints that reason about depth, and what the reference computes from them.

Usage: python generate_think.py    (all cases of cases.THINK_CASES; the versions are named in ../README.md)

A random network never writes `<depth_end>` or an end of text. The rows of lm_head for the tokens that must win at
known places are therefore solved for, and the rows of the depth codes scaled up, so that every decoding of the
reference ends by itself; what is compared is what the unchanged reference then does with those weights.
"""

import json
import shutil
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from lerobot.policies.molmoact2.molmoact2_hf_model import modeling_molmoact2 as reference
from lerobot.policies.molmoact2.molmoact2_hf_model.action_tokenizer import UniversalActionProcessor
from lerobot.policies.molmoact2.processor_molmoact2 import _load_local_molmoact2_processor

from cases import THINK_CASES
from generate import HERE, load_reference, make_images, prompt
from threads import one_but_for_resizing
from tiny_checkpoint import write_checkpoint, write_weights

DEPTH_ROWS_SCALE = 9.0
MARGIN = 5.0


def second_frame(image, case):
    """The frame of the next call: slight noise everywhere, some cells repainted, one cell black."""
    rng = np.random.default_rng(case["seed"] + 5)
    side = int(round(case["num_depth_codes"] ** 0.5))
    height, width = image.shape[:2]
    out = np.clip(image.astype(int) + rng.integers(-2, 3, image.shape), 0, 255)
    rows, columns = np.linspace(0, height, side + 1).astype(int), np.linspace(0, width, side + 1).astype(int)

    def cell(index):
        row, column = divmod(index, side)
        return slice(rows[row], rows[row + 1]), slice(columns[column], columns[column + 1])

    for index in case["changed"]:
        # Inside the cell, so that its neighbours stay as they are after the antialiased resize.
        place = out[cell(index)]
        inner = place[1:-1, 1:-1]
        inner[:] = rng.integers(0, 256, inner.shape)
    # Two pixels more on each side, so that nothing bright reaches into the cell either.
    down, across = cell(case["dark"])
    out[max(down.start - 2, 0) : down.stop + 2, max(across.start - 2, 0) : across.stop + 2] = 0
    return out.astype(np.uint8)


class Recorder:
    """Keeps copies of what the reference computes in one predict_action."""

    def __init__(self, model):
        self.model, self.undo = model, []
        self.codes_logits, self.velocities, self.out = [], [], {}
        self.prompt_logits, self.forwards = None, -1

    def __enter__(self):
        model, core = self.model, self.model.model
        self._wrap(model, "_project_depth_logits", lambda a, r: self.codes_logits.append(r[0, 0].clone()))
        self._wrap(model, "_generate_depth_prefix", self._prefix)
        self._wrap(core, "_get_encoder_attention_mask", lambda a, r: self._put("cross_mask", r[0]))
        self._wrap(core, "_depth_gate_from_condition", self._gates)
        self._wrap(core, "_apply_depth_gate_to_layer_kv_states", self._gated)
        self._wrap(core, "_run_action_flow_loop", lambda a, r: self._put("chunk_normalised", r[0]))
        self._wrap(core, "_mask_action_dim_tensor", self._masked)
        self._wrap(core.action_expert, "forward_with_context", lambda a, r: self.velocities.append(r[0].clone()))
        self.hook = core.transformer.register_forward_hook(self._text)
        return self

    def __exit__(self, *_):
        for owner, name in self.undo:
            object.__delattr__(owner, name)
        self.hook.remove()

    def _wrap(self, owner, name, keep):
        original = getattr(owner, name)

        def call(*args, **kwargs):
            result = original(*args, **kwargs)
            keep(args, result)
            return result

        object.__setattr__(owner, name, call)
        self.undo.append((owner, name))

    def _put(self, name, value):
        self.out[name] = value.detach().clone().contiguous()

    def _text(self, module, args, result):
        if self.prompt_logits is None:
            self.prompt_logits = self.model.lm_head(result.last_hidden_state[0, -1])
        self.forwards += 1

    def _prefix(self, args, result):
        self._put("depth_ids", result.token_ids[0])
        self._put("depth_codes", result.depth_bins[0])
        self._put("next_logits", result.next_output.logits[0, -1])

    def _gates(self, args, result):
        gate = result[0]
        if gate is not None:
            gates = [gate] if isinstance(gate, torch.Tensor) else gate
            self._put("gates", torch.cat([one.reshape(1) for one in gates]))
            self._put("gated_mask", result[1][0])

    def _gated(self, args, result):
        for index, (key, value) in enumerate(result):
            self._put(f"gated_keys.{index}", key[0])
            self._put(f"gated_values.{index}", value[0])

    def _masked(self, args, result):
        # Called for the noise, then for each velocity and each new trajectory.
        self.masked = getattr(self, "masked", [])
        self.masked.append(result[0].clone())


def predict(model, processor, case, images, state, cache, **options):
    """One call of the reference; returns its output and everything recorded."""
    seed = case["seed"] + 2
    with Recorder(model) as recorder:
        output = model.predict_action(
            processor=processor,
            images=images,
            task=case["task"],
            state=state,
            norm_tag=case["tag"],
            inference_action_mode=options.pop("mode", "continuous"),
            depth_cache=cache,
            generator=torch.Generator().manual_seed(seed),
            enable_cuda_graph=False,
            **options,
        )
    out = recorder.out
    dims = case["tags"][case["tag"]]["action_dim"]
    if recorder.velocities:
        out["velocity"] = torch.stack(recorder.masked[1::2])[:, :, :dims].contiguous()
        assert len(recorder.velocities) == case["flow_steps"] == len(out["velocity"])
        out["chunk_normalised"] = out["chunk_normalised"][:, :dims].contiguous()
    out["actions"] = output.actions[0]
    out["prompt_logits"] = recorder.prompt_logits
    if recorder.codes_logits:
        out["cell_logits"] = torch.stack(recorder.codes_logits)
    if output.generated_token_ids is not None:
        out["generated_ids"] = output.generated_token_ids[0]
    out["forwards"] = torch.tensor([recorder.forwards])
    return output, out


def similarity(current, previous, codes):
    """The reference's own formula, which it keeps to itself; its mask must agree."""
    side = int(round(codes**0.5))
    size = side * reference._DEPTH_REASONING_PATCH_SIZE

    def cells(image):
        image = reference._resize_depth_reasoning_image(image, size).astype(np.float32)
        image = image.reshape(side, size // side, side, size // side, 3).transpose(0, 2, 1, 3, 4)
        return image.reshape(side, side, -1)

    a, b = cells(current), cells(previous)
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    values = np.where(norms < 1e-8, 1.0, np.sum(a * b, axis=-1) / (norms + 1e-12)).reshape(-1)
    mask = reference._compute_depth_update_mask(current, previous, num_depth_codes=codes)
    assert ((values < reference._DEPTH_REASONING_THRESHOLD) == mask).all()
    assert np.abs(values - reference._DEPTH_REASONING_THRESHOLD).min() > 1e-5
    return torch.from_numpy(values.astype(np.float32)), torch.from_numpy(mask)


def states_after(model, inputs, tokens):
    """Final hidden states of the last prompt token and of each of `tokens`, fed after the prompt."""
    forced = {key: value for key, value in inputs.items() if key != "attention_mask"}
    extra = torch.tensor([tokens], dtype=torch.long)
    forced["input_ids"] = torch.cat([inputs["input_ids"], extra], dim=1)
    forced["token_type_ids"] = torch.cat([inputs["token_type_ids"], torch.zeros_like(extra)], dim=1)
    kept = []
    hook = model.model.transformer.register_forward_hook(lambda m, a, r: kept.append(r.last_hidden_state[0]))
    model(**forced, use_cache=True)
    hook.remove()
    return kept[0][inputs["input_ids"].shape[1] - 1 :]


def choreograph(model, processor, case, first, second, state, desired_answer):
    """Sets the rows of lm_head such that the reference's decodings end."""
    config, weight = model.config, model.lm_head.weight.data
    rows = slice(config.depth_token_start_id, config.depth_token_start_id + config.num_depth_tokens)
    weight[rows] *= DEPTH_ROWS_SCALE

    # What the cells are does not depend on the rows solved for below, so they are had by pretending that
    # <depth_end> wins at once.
    head = type(model.lm_head).forward

    def ends(hidden):
        logits = head(model.lm_head, hidden)
        logits[..., config.depth_end_token_id] = 1e9
        return logits

    def inputs_of(images):
        return prompt(model, processor, images, case["tag"], state, case["task"], "robot_depth_action")[2]

    model.lm_head.forward = ends
    thought, cache = [], None
    for images in (first, second, second):
        output, out = predict(
            model, processor, case, images, state, cache, enable_depth_reasoning=True
        )
        thought.append((inputs_of(images), out["depth_ids"].tolist()))
        cache = output.depth_cache
    del model.lm_head.forward

    wanted = []
    for inputs, ids in thought:
        wanted.append((states_after(model, inputs, ids)[len(ids) - 1], config.depth_end_token_id))
    inputs, ids = thought[0]
    # Without adaptive decoding: the start, all codes but two, the end.
    short = ids[:-3]
    states = states_after(model, inputs, short)
    wanted.append((states[0], config.depth_start_token_id))
    wanted.append((states[-1], config.depth_end_token_id))
    codes_at = states[1:-1]
    if desired_answer:
        states = states_after(model, inputs, ids + desired_answer)
        for state_after, token in zip(states[len(ids) :], desired_answer):
            wanted.append((state_after, token))
    solve(weight, wanted, codes_at)
    logits = codes_at @ weight.T
    assert ((logits.argmax(dim=1) >= rows.start) & (logits.argmax(dim=1) < rows.stop)).all()


@torch.enable_grad()
def solve(weight, wanted, elsewhere):
    """Rows for the wanted tokens: each wins by a margin where it is wanted, and none wins `elsewhere`."""
    hidden = torch.stack([at for at, _ in wanted])
    special = sorted({token for _, token in wanted})
    place = torch.tensor([special.index(token) for _, token in wanted])
    weight[special] = 0
    rivals = (hidden @ weight.T).max(dim=1).values
    bound = (elsewhere @ weight.T).max(dim=1).values
    solution = torch.linalg.lstsq(hidden.double(), F.one_hot(place, len(special)).double(), driver="gelsd").solution
    rows = (10 * solution.T.float()).requires_grad_()
    optimizer = torch.optim.Adam([rows], lr=0.05)
    for _ in range(3000):
        logits = hidden @ rows.T
        own = logits.gather(1, place[:, None])
        others = logits.masked_fill(F.one_hot(place, len(special)).bool(), float("-inf"))
        loss = F.relu(MARGIN - own + others).sum() + F.relu(MARGIN - own[:, 0] + rivals).sum()
        loss = loss + F.relu(MARGIN + elsewhere @ rows.T - bound[:, None]).sum()
        if loss.item() == 0:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"  {len(wanted)} wanted and {len(elsewhere)} unwanted places, remaining loss {loss.item():.3g}")
    weight[special] = rows.detach()


@torch.no_grad()
def run(name, case):
    folder = HERE / name / "checkpoint"
    shutil.rmtree(HERE / name, ignore_errors=True)
    torch.manual_seed(0)
    chunks = write_checkpoint(folder, case)
    model = load_reference(folder)
    processor = _load_local_molmoact2_processor(str(folder))
    config = model.config
    first = make_images(case["image_sizes"], case["seed"] + 3)
    second = [second_frame(first[0], case), *first[1:]]
    stats = json.loads((folder / "norm_stats.json").read_text())["metadata_by_tag"][case["tag"]]["state_stats"]
    rng = np.random.default_rng(case["seed"] + 4)
    low, high = np.array(stats["min"]), np.array(stats["max"])
    state = (low + rng.uniform(-0.1, 1.1, len(low)) * (high - low)).astype(np.float32)

    answer, tokenizer = [], None
    if chunks is not None:
        tokenizer = UniversalActionProcessor.from_pretrained_local(str(folder / "openfast"))
        answer = [config.action_start_token_id]
        answer += [config.action_token_start_id + index for index in tokenizer(chunks[0])[0]]
        answer += [config.action_end_token_id, config.eos_token_id]
    choreograph(model, processor, case, first, second, state, answer)
    stored = load_file(folder / "model.safetensors")
    stored["lm_head.weight"] = model.lm_head.weight.data.clone()
    write_weights(folder, stored, 1)

    model = load_reference(folder)
    out, prompts = {}, {}

    def keep(run_name, images, cache, keep_gated=False, **options):
        output, found = predict(model, processor, case, images, state, cache, **options)
        for key, value in found.items():
            if keep_gated or not key.startswith("gated_"):
                out[f"{run_name}.{key}"] = value
        style = "robot_depth_action" if options.get("enable_depth_reasoning") else "robot_action"
        text, _, inputs = prompt(model, processor, images, case["tag"], state, case["task"], style)
        out[f"{run_name}.input_ids"] = inputs["input_ids"][0]
        prompts[run_name] = text
        return output

    think = dict(enable_depth_reasoning=True)
    full = keep("full", first, None, keep_gated=True, **think)
    moved = keep("moved", second, full.depth_cache, **think)
    keep("still", second, moved.depth_cache, **think)
    short = keep("free", first, None, enable_adaptive_depth=False, **think)
    # A cache of the wrong length is ignored.
    keep("wrong_cache", first, short.depth_cache, **think)
    keep("off", first, full.depth_cache)
    if tokenizer is not None:
        keep("discrete", first, None, mode="discrete", action_tokenizer=tokenizer, **think)
        assert out["discrete.generated_ids"].tolist() == out["full.depth_ids"].tolist() + answer
    codes = case["num_depth_codes"]
    out["moved.similarity"], out["moved.regenerated"] = similarity(second[0], first[0], codes)
    out["still.similarity"], out["still.regenerated"] = similarity(second[0], second[0], codes)
    # A neighbour of a repainted cell can change with it.
    assert set(case["changed"]) <= set(np.flatnonzero(out["moved.regenerated"]))
    assert not out["moved.regenerated"][case["dark"]] and out["moved.similarity"][case["dark"]] == 1
    assert out["moved.similarity"].unique().numel() > 5
    assert (out["full.depth_codes"] != out["moved.depth_codes"]).any()
    assert len(out["full.depth_codes"].unique()) > 2, out["full.depth_codes"]
    assert len(out["free.depth_codes"]) == codes - 2

    tag = case["tags"][case["tag"]]
    shape = (1, tag["horizon"], case["max_action_dim"])
    out["noise"] = torch.randn(shape, generator=torch.Generator().manual_seed(case["seed"] + 2))[0]
    out["state"] = torch.from_numpy(state)
    for index, image in enumerate(first):
        out[f"image.{index}"] = torch.from_numpy(image)
    out["second.image.0"] = torch.from_numpy(second[0])
    for key, value in out.items():
        if value.dtype == torch.int64:
            out[key] = value.to(torch.int32)
        elif value.dtype == torch.bool:
            out[key] = value.to(torch.uint8)
        elif value.dtype == torch.float32:
            assert torch.isfinite(value).all(), key
    about = dict(
        task=case["task"], tag=case["tag"], flow_steps=case["flow_steps"], prompt=prompts["full"],
        prompt_without_depth=prompts["off"],
    )
    save_file({key: value.contiguous() for key, value in out.items()}, HERE / name / "golden.safetensors",
              metadata={"case": json.dumps(about, ensure_ascii=False)})
    report(name, out)


def report(name, out):
    size = sum(path.stat().st_size for path in (HERE / name).rglob("*") if path.is_file())
    print(f"{name}: {len(out['full.input_ids'])} prompt tokens, {size / 1e6:.2f} MB")
    for key in ("full", "moved"):
        best = out[f"{key}.cell_logits"].sort(dim=1, descending=True).values
        margin = float((best[:, 0] - best[:, 1]).min())
        assert margin > 1e-3, margin
        print(f"  {key}: {int(out[f'{key}.forwards'][0])} forwards, least margin {margin:.4f}")
    print("  regenerated", np.flatnonzero(out["moved.regenerated"]).tolist())
    print("  codes", out["full.depth_codes"].tolist()[:25], "gates", out.get("full.gates"))
    for a, b in (("full", "moved"), ("full", "off"), ("full", "free")):
        difference = (out[f"{a}.chunk_normalised"] - out[f"{b}.chunk_normalised"]).abs().max()
        assert difference > 1e-3
        print(f"  chunk {a} against {b}: {difference:.4f}")


if __name__ == "__main__":
    one_but_for_resizing()
    for chosen in sys.argv[1:] or THINK_CASES:
        run(chosen, THINK_CASES[chosen])
