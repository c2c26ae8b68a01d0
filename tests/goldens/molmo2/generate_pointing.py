"""Writes a tiny vision-language checkpoint that points, and what the reference answers with it.

Usage: python generate_pointing.py            (the versions are named in ../README.md)

Random weights never write markup, so this one is built by hand: its blocks add nothing to what they are given, the
embedding of each token of the answer is an axis of its own, and the head takes each axis to the token that follows.
It sees the pictures, because the network does, but says the same whatever they show, and its answer says so. What is
held against the reference with it is the way from tokens to text and marks, not sight.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch

import generate as plain
from cases import adapter, case, text, vit
from generate import HERE, tiny
from threads import one_but_for_resizing

NAME = "pointing"
# Each piece is a token of its own, so that the token before determines the token after.
PIECES = [
    "This", " model", " was", " built", " by hand", " for tests:", " whatever", " it is", " shown,", " it marks",
    " the same", " <points", ' coords="1', " 1 500", " 500", " 2", " 250", " 700", '">', "two places", "</points>",
    " and", " the very", " same", " <boxes", ' coords="', "1 1", " 550 200", " 900", " 600", '" >', "part",
    "</boxes>", " of the", " picture.",
]
SPEC = dict(
    base=case(
        seed=909, bpe_vocab=280, num_state_tokens=1, num_action_tokens=len(PIECES), num_depth_tokens=1,
        vit=vit(num_hidden_layers=3), adapter=adapter(vit_layers=[-1]), text=text(hidden_size=48),
    ),
    crops=dict(crop_mode="overlap-and-resize-c2", max_crops=4, overlap_margins=[1, 1]),
    kind="molmo2", template="file", files="split",
)
ASKED = [("Point to the cube.", [(240, 320)]), ("What is there?", [(120, 80), (60, 90)])]


def rename_tokens(folder):
    """Gives the tokens that stand for actions in a policy the pieces of the answer."""
    path = folder / "tokenizer.json"
    raw = json.loads(path.read_text())
    names = {f"<action_{k}>": piece for k, piece in enumerate(PIECES)}
    for token in raw["added_tokens"]:
        if token["content"] in names:
            token.update(content=names[token["content"]], special=False)
    path.write_text(json.dumps(raw, ensure_ascii=False, separators=(",", ":")))


def chained(model, chain):
    """Weights that follow `chain` from token to token."""
    state = tiny.random_weights(model, SPEC["base"]["seed"])
    # What the blocks of the language model add.
    for name in state:
        if name.endswith(("attn_out.weight", "ff_out.weight")) and "transformer.blocks" in name:
            state[name].zero_()
    axes = torch.eye(SPEC["base"]["text"]["hidden_size"])
    assert len(set(chain)) == len(chain) <= len(axes)
    words, head = state["model.transformer.wte.embedding"], state["lm_head.weight"]
    state["model.transformer.ln_f.weight"].fill_(1)
    head.zero_()
    for axis, token, following in zip(axes, chain, chain[1:]):
        words[token] = axis
        head[following] = axis
    return state


def main():
    folder = HERE / NAME / "checkpoint"
    shutil.rmtree(folder.parent, ignore_errors=True)

    # The way of the other cases, with other tokens and other weights.
    write_tokenizer, random_weights = tiny.write_tokenizer, tiny.random_weights
    found = {}

    def with_pieces(at, settings):
        found["ids"], vocab_size = write_tokenizer(at, settings)
        rename_tokens(at)
        return found["ids"], vocab_size

    def with_chain(model, seed):
        tiny.random_weights = random_weights
        ids = found["ids"]
        last = plain.Qwen2Tokenizer.from_pretrained(folder).encode("<|im_start|>assistant\n")[-1]
        pieces = [ids[f"<action_{k}>"] for k in range(len(PIECES))]
        return chained(model, [last, *pieces, ids["<|im_end|>"]])

    tiny.write_tokenizer, tiny.random_weights = with_pieces, with_chain
    model, processor, ids = plain.write_checkpoint(folder, SPEC)
    spec = dict(SPEC, image_sizes=[sizes for _, sizes in ASKED])
    plain.QUESTIONS = [question for question, _ in ASKED]
    plain.NEW_TOKENS = 2 * len(PIECES)
    stops = plain.name_the_ends(folder, SPEC, model, processor, ids)
    rows = []
    with torch.no_grad():
        for index, (question, sizes) in enumerate(ASKED):
            _, prompt, inputs = plain.ask(spec, processor, index)
            new_ids, scores = plain.generate_step_by_step(model, inputs, stops)
            best = scores.topk(2).values
            said = processor.decode(new_ids, skip_special_tokens=True)
            assert said == "".join(PIECES), said
            rows.append(dict(question=question, images=[list(size) for size in sizes], prompt=prompt, text=said,
                             new_ids=new_ids, closest=float((best[:, 0] - best[:, 1]).min())))
    (HERE / NAME / "answers.json").write_text(
        "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"
    )
    size = sum(path.stat().st_size for path in (HERE / NAME).rglob("*") if path.is_file())
    print(f"{NAME}: {size / 1e6:.2f} MB, {len(rows[0]['new_ids'])} tokens, closest {rows[0]['closest']:.2f}")


if __name__ == "__main__":
    one_but_for_resizing()
    np.seterr(all="raise")
    main()
