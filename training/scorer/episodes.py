"""Episodes as `training episodes` writes them, and how far each task is in every frame."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .config import FRAME_VALUES, PATCH, PATCHES, SIDE
from .network import merge_order

UNMOVED, PUSH, LOW = 0.012, 0.05, 0.032
APPROACH = 0.4
# Along the table, of the directions in their order.
WAYS = ((0, -1), (0, 1), (-1, 0), (1, 0))


@dataclass
class Task:
    family: int  # reach, push, pick up, place
    colour: int
    direction: int | None
    wordings: list[str]


def tasks_of(path: Path) -> list[Task]:
    """`training sentences`, in the order of the codes."""
    return [Task(t["family"], t["object"], t["direction"], t["wordings"]) for t in json.loads(path.read_text())]


class Episodes:
    """Arrays of one or more folders."""

    def __init__(self, folders: list[Path]):
        parts = []
        for folder in folders:
            meta = json.loads((folder / "meta.json").read_text())
            n = meta["frames"]
            parts.append((
                np.memmap(folder / "pictures.u8", np.uint8, "r", shape=(n, SIDE, SIDE, 3)),
                np.fromfile(folder / "progress.f32", np.float32).reshape(n, -1),
                np.fromfile(folder / "facts.f32", np.float32).reshape(n, -1),
                np.fromfile(folder / "about.i32", np.int32).reshape(-1, 4),
            ))
        self.pictures = [p[0] for p in parts]
        self.progress = np.concatenate([p[1] for p in parts])
        self.facts = np.concatenate([p[2] for p in parts])
        self.about = np.concatenate([p[3] for p in parts])
        self.starts = np.concatenate(([0], np.cumsum(self.about[:, 3])))
        self.bounds = np.cumsum([0] + [len(p) for p in self.pictures])
        places = merge_order().numpy()
        self.order = places[:, 0] * (SIDE // PATCH) + places[:, 1]

    def patches(self, frames: list[int]) -> Tensor:
        """`[n, PATCHES, 3 * PATCH * PATCH]`, in the order in which the model reads them."""
        out = np.empty((len(frames), SIDE, SIDE, 3), np.uint8)
        for row, frame in enumerate(frames):
            part = int(np.searchsorted(self.bounds, frame, "right")) - 1
            out[row] = self.pictures[part][frame - self.bounds[part]]
        side = SIDE // PATCH
        cut = out.reshape(-1, side, PATCH, side, PATCH, 3).transpose(0, 1, 3, 5, 2, 4).reshape(-1, PATCHES, FRAME_VALUES)
        values = torch.from_numpy(np.ascontiguousarray(cut[:, self.order])).float()
        return values / 127.5 - 1.0

    def moved(self, frame: int, start: int) -> np.ndarray:
        """How far every cube is along the table from where it was [m], and whether there is one, `[4, 3]`."""
        now, then = (self.facts[at, 5:].reshape(4, 7) for at in (frame, start))
        return np.concatenate((now[:, 1:3] - then[:, 1:3], now[:, :1] * then[:, :1]), 1)

    def named(self, frame: int, start: int, task: Task) -> tuple[np.ndarray, tuple[bool, bool]]:
        """Of the cube that a task names [m]: how far it is along the table from where it was, its height, whether it is
        held, the way from the hand to it, and how far it went in the task's direction and beside it; and whether there is
        such a cube, and such a direction."""
        now, then = self.facts[frame], self.facts[start]
        cube, was = (f[5 + 7 * task.colour : 12 + 7 * task.colour] for f in (now, then))
        moved = cube[1:3] - was[1:3]
        forth = side = 0.0
        if task.direction is not None:
            along = np.array(WAYS[task.direction], np.float32)
            forth = float(moved @ along)
            side = float(np.linalg.norm(moved - along * forth))
        told = np.array([*moved, cube[3], cube[4] / 10, *(cube[1:4] - now[:3]), forth, side], np.float32)
        return told, (bool(cube[0] * was[0] > 0.5), task.direction is not None)

    def progress_from(self, frame: int, start: int, tasks: list[Task]) -> np.ndarray:
        """Progress of every task in `frame` of a clip that starts at frame `start`; below 0 where the cube is missing."""
        value = self.progress[frame].copy()
        now, then = self.facts[frame], self.facts[start]
        for code, task in enumerate(tasks):
            if task.family != 1 or value[code] < 0:
                continue
            cube, was = (f[5 + 7 * task.colour : 12 + 7 * task.colour] for f in (now, then))
            moved = cube[1:3] - was[1:3]
            along = np.array(WAYS[task.direction], np.float32)
            forth = float(moved @ along)
            side = float(np.linalg.norm(moved - along * forth))
            near = value[task.colour]  # Reaching for the same cube.
            if cube[4] > 0.5 or cube[3] > LOW or side > PUSH:
                value[code] = 0.0
            elif np.linalg.norm(moved) < UNMOVED:
                value[code] = APPROACH * near
            elif forth <= side:
                value[code] = 0.0
            else:
                value[code] = APPROACH + (1 - APPROACH) * min(1.0, forth / PUSH)
        return value
