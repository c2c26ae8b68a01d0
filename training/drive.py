"""Lets a checkpoint drive the simulator in lockstep and counts successes.

    python drive.py --binary PATH/training --policy RUN/a/latest --robots 40 --mode continuous
    ... --wrong            # tell every robot a wrong task, count success on the right one (should be near zero)
    ... --record DIR       # also keep what the policy ran into, labelled by the expert, as more training data

Prints one JSON object: success rate per task family.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from nano import config as sizes
from nano.policy import Policy

FACTS = 33
LABELS = 4
FAMILIES = ["reach", "push", "pick_up", "place"]


class Robots:
    """A `training drive` process and what it answers."""

    def __init__(self, binary: Path, robots: int, seed: int, wrong: bool, rows: int, family: str | None):
        command = [str(binary), "drive", "--robots", str(robots), "--seed", str(seed), "--rows", str(rows)]
        command += ["--side", str(sizes.IMAGE_SIZE), "--horizon", str(sizes.HORIZON)]
        command += ["--wrong"] * wrong + (["--family", family] if family else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answer = np.dtype(
            [
                ("pictures", "u1", (2, sizes.IMAGE_SIZE, sizes.IMAGE_SIZE, 3)),
                ("state", "<f4", sizes.DOF),
                ("facts", "<f4", FACTS),
                ("chunk", "<f4", (sizes.HORIZON, sizes.DOF)),
                ("task", "<i4"),
                ("done", "<i4"),
                ("tick", "<i4"),
            ]
        )
        self.count = robots

    def read(self) -> np.ndarray:
        size = self.answer.itemsize * self.count
        data = self.process.stdout.read(size)
        if len(data) != size:
            raise RuntimeError(f"the simulator stopped: got {len(data)} of {size} bytes")
        return np.frombuffer(data, dtype=self.answer)

    def write(self, targets: np.ndarray) -> None:
        self.process.stdin.write(np.ascontiguousarray(targets, dtype="<f4").tobytes())
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--sentences", type=Path, required=True)
    parser.add_argument("--robots", type=int, default=40)
    parser.add_argument("--seed", type=int, default=50_000_000)
    parser.add_argument("--ticks", type=int, default=300, help="longest episode, 1/30 s")
    parser.add_argument("--rows", type=int, default=sizes.STEPS_TO_RUN)
    parser.add_argument("--mode", choices=["continuous", "discrete", "expert"], default="continuous")
    parser.add_argument("--family", choices=FAMILIES)
    parser.add_argument("--wrong", action="store_true")
    parser.add_argument("--steps", type=int, default=10, help="flow matching steps")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    tasks = json.loads(o.sentences.read_text())
    policy = Policy(o.policy)
    robots = Robots(o.binary, o.robots, o.seed, o.wrong, o.rows, o.family)
    rng, generator = np.random.default_rng(o.seed), torch.Generator().manual_seed(o.seed)
    seen, kept, sentences = robots.read(), [], None
    for tick in range(0, o.ticks, o.rows):
        if sentences is None:
            sentences = [str(rng.choice(tasks[t]["wordings"])) for t in seen["task"]]
        running = np.flatnonzero(seen["done"] == 0)
        if not len(running):
            break
        if o.record:
            kept.append(seen[running].copy())
        targets = np.repeat(seen["state"][:, None], o.rows, 1)
        now, said = seen[running], [sentences[i] for i in running]
        if o.mode == "expert":
            chunk = now["chunk"]
        elif o.mode == "continuous":
            chunk = policy.act_continuous(now["pictures"], now["state"], said, steps=o.steps, generator=generator)
        else:
            chunk = policy.act_discrete(now["pictures"], now["state"], said)
        targets[running] = chunk[:, : o.rows]
        robots.write(targets)
        seen = robots.read()
    robots.close()
    family = np.array([tasks[t]["family"] for t in seen["task"]])
    done = seen["done"] > 0
    result = {
        FAMILIES[f]: {"success_rate": round(float(done[family == f].mean()), 3), "episodes": int((family == f).sum())}
        for f in sorted(set(family))
    }
    result["mean"] = round(float(np.mean([v["success_rate"] for v in result.values()])), 3)
    result["ticks_to_success"] = float(np.median(seen["tick"][done])) if done.any() else None
    print(json.dumps({"mode": o.mode, "wrong": o.wrong, **result}))
    if o.record:
        record(o.record, np.concatenate(kept))


def record(folder: Path, rows: np.ndarray) -> None:
    """Writes labelled observations as a collection; the one label stands `LABELS` times, to be worded anew each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, key, dtype in (("pictures.u8", "pictures", "u1"), ("state.f32", "state", "<f4"), ("facts.f32", "facts", "<f4"),
                             ("tasks.i32", "task", "<i4"), ("chunks.f32", "chunk", "<f4")):  # fmt: skip
        values = np.ascontiguousarray(rows[key], dtype=dtype)
        if key in ("task", "chunk"):
            values = np.repeat(values[:, None], LABELS, 1)
        values.tofile(folder / name)
    meta = {"frames": len(rows), "side": sizes.IMAGE_SIZE, "cameras": 2, "horizon": sizes.HORIZON, "labels": LABELS,
            "dof": sizes.DOF, "facts": FACTS}  # fmt: skip
    (folder / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
