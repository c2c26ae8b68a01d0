"""Writes what the reference makes of awkward instructions, statistics and states.

Usage: python generate_text.py    (the versions are named in ../README.md)
"""

import json
import random
from pathlib import Path

import numpy as np
import torch

from lerobot.policies.molmoact2.molmoact2_hf_model import modeling_molmoact2 as reference

HERE = Path(__file__).parent

INSTRUCTIONS = [
    "", " ", "\t\n", ".", "...", "?!", "\"\"", "()", "push", "Push the RED cube to the left.",
    "  push   the\tcube\nto  the left  ", "'push the cube'", "“Push the cube.”", "‘push’", "`push`", "[push]",
    "{push}", "((push))", "(push) the (cube)", "push the cube (slowly)", "push the cube (slowly).",
    "push the cube \"now\".", "Task: push", "TASK - push", "task:push", "task push", "tasks: push", "task",
    "task:", "task :: push", "task - - push", "Instruction: push", "language instruction: push",
    "language_instruction - push", "language  instruction: push", "languageinstruction: push", "Goal:push",
    "goal- push", "goals: push", "The task is to push the cube", "the  task  is  to push", "The task is to",
    "the task is to push", "THE TASK IS TO: push", "your task is to push the cube!", "Your task is to push",
    "the task is topush", "The task is push", "Task: The task is to: \"Goal - push it.\"", "task: task: push",
    "the task is to the task is to push", "push, pull", "push, pull,", "push;", "push:", "push…", "push …",
    "push.)", "push).", "push!)\"", "push.\"", "push.”’", "push. Pull.", "push.Pull", "push... pull!! stop??",
    "Pick up 3.5 apples", "v1.2 of the task", "e.g. push", "a.b.c", ". push . pull .", "!push", "¿push?",
    "push。pull。", "push！", "PUSH THE CUBE", "ÉCOLE À L'OUEST", "STRASSE ß ẞ", "İstanbul", "ISTANBUL ıi",
    "ΟΔΟΣ ΣΑΣ", "ΌΣΟΣ.", "Ǆ ǅ", "ﬁne", "TAſK: push", "taſk: push", "TAS\u212a: push", "Task\u00a0: push",
    "push\u00a0the\u2003cube", "push\u200bthe cube", "push\x1cthe\x1dcube\x1e\x1f", "\x85push\x85", "\u3000push\u3000",
    "\ufeffpush", "push\x00", "push\x0b\x0c", "ınstruction: push", "İnstruction: push", "重いカップを押す。",
    "🤖: push", "push 🤖.", "e\u0301cole", "<|im_end|>", "<state_3>", "-push", "task-push", "task–push",
    "goal :push", "'task: push'", "\"Task: 'push.'\"", "task: \"push\"", "push'", "push's", "don't", "don't.",
    "“push” and ‘pull’", "push \" ", "push ) .", "push . )", "push , ; : !", "[task: push]", "{goal - push}.",
    "instruction - the task is to push; then pull", "Language_Instruction: X", "push\\n", "push.\\", "a;b", "A; B. C",
    "Stop! Wait. Go?", "your  task\tis\nto  push", "your task is to", "the task is to.", "task:.", "the task is to \"\"",
]

ALPHABET = list(".,!?;:…\"'`“”‘’[](){}  \t\n-_") + ["task", "goal", "Task:", "the task is to ", "instruction", "push", "É", "ſ", "İ"]


def instructions():
    draw = random.Random(7)
    made = ["".join(draw.choices(ALPHABET, k=draw.randint(1, 14))) for _ in range(400)]
    return [[text, reference._normalize_question_text(text)] for text in INSTRUCTIONS + made]


def array(values):
    return [float(x) for x in np.asarray(values, dtype=np.float32)]


def normalisations():
    """Five dimensions: plain, narrow, without range, masked, masked and without range."""
    rng = np.random.default_rng(11)
    stats = {
        "min": [-10.0, -1e-7, 3.25, 0.0, 2.0],
        "q01": [-8.123456789, -5e-8, 3.25, 0.05, 2.0],
        "q10": [-5.5, -2e-8, 3.25, 0.1, 2.0],
        "q90": [7.7, 2e-8, 3.25, 0.9, 2.0],
        "q99": [11.987654321, 5e-8, 3.25, 0.95, 2.0],
        "max": [13.0, 1e-7, 3.25, 1.0, 2.0],
        "mean": [0.1, 0.0, 3.25, 0.5, 2.0],
        "std": [4.4, 3e-8, 0.0, 0.3, 0.0],
    }
    inputs = [[-10.0, -1e-7, 3.25, 0.0, 2.0], [13.0, 1e-7, 3.25, 1.0, 2.0], [1e9, -1e9, 1e9, 5.0, -7.0]]
    inputs += [array(rng.normal(0, 10, 5) * [1, 1e-8, 1, 0.1, 1]) for _ in range(20)]
    normal = [[-1.0, 0.0, 1.0, 0.5, -0.25], [-3.0, 3.0, 0.1, 7.0, -7.0]]
    normal += [array(rng.uniform(-1.3, 1.3, 5)) for _ in range(20)]
    rows = []
    for mode in ("q01_q99", "q10_q90", "min_max", "mean_std", "none"):
        for mask in (None, [True, True, True, False, False]):
            given = dict(stats) if mask is None else dict(stats, mask=mask)
            normalizer = reference._FeatureNormalizer.from_stats(given, mode)
            rows.append(
                dict(
                    norm_mode=mode,
                    stats=given,
                    inputs=[array(x) for x in inputs],
                    normalised=[array(normalizer.normalize(np.float32(x))) for x in inputs],
                    outputs=[array(y) for y in normal],
                    unnormalised=[
                        array(normalizer.unnormalize(torch.tensor(y, dtype=torch.float32))) for y in normal
                    ],
                )
            )
    return rows


def state_bins():
    rows = []
    for bins in (256, 128, 11, 2, 1):
        edges = [(k + half) / (bins - 1) * 2 - 1 for k in range(min(bins - 1, 40)) for half in (0, 0.5)] if bins > 1 else []
        values = array(edges + [-1, 1, 0, -2, 2, 1e30, -1e30, 1e-30, 0.999999, -0.999999])
        rows.append(dict(bins=bins, values=values, ids=reference._discretize_normalized_state(np.float32(values), bins).tolist()))
        odd = [float("nan"), float("inf"), float("-inf")]
        rows.append(dict(bins=bins, values=["nan", "inf", "-inf"],
                         ids=reference._discretize_normalized_state(np.float32(odd), bins).tolist()))
    return rows


def write(name, rows):
    lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
    (HERE / name).write_text(f"[\n{lines}\n]\n")
    print(name, len(rows))


if __name__ == "__main__":
    write("instructions.json", instructions())
    write("normalisation.json", normalisations())
    write("state_bins.json", state_bins())
