"""The collected frames, memory-mapped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .config import GRID, PATCH

ARRAYS = {"pictures": "u1", "state": "<f4", "facts": "<f4", "tasks": "<i4", "chunks": "<f4"}


def patches_of(pictures: np.ndarray) -> np.ndarray:
    """RGB `[..., side, side, 3]` -> `[..., patches, patch * patch * 3]`, each patch row, column, channel."""
    lead = pictures.shape[:-3]
    x = pictures.reshape(-1, GRID, PATCH, GRID, PATCH, 3).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(x.reshape(*lead, GRID * GRID, PATCH * PATCH * 3))


class Frames:
    """One or several collections end to end.

    `pictures` [N, 2, side, side, 3] u8, `state` [N, 6], `facts` [N, F], `tasks` [N, K], `chunks` [N, K, 16, 6].
    """

    def __init__(self, folders: list[Path]):
        parts: dict[str, list[np.ndarray]] = {name: [] for name in ARRAYS}
        for folder in folders:
            meta = json.loads((folder / "meta.json").read_text())
            n, side, k = meta["frames"], meta["side"], meta["labels"]
            shapes = {
                "pictures": (n, meta["cameras"], side, side, 3),
                "state": (n, meta["dof"]),
                "facts": (n, meta["facts"]),
                "tasks": (n, k),
                "chunks": (n, k, meta["horizon"], meta["dof"]),
            }
            for name, dtype in ARRAYS.items():
                path = folder / f"{name}.{dtype.replace('<', '').replace('1', '8').replace('4', '32')}"
                parts[name].append(np.fromfile(path, dtype=dtype).reshape(shapes[name]))
        joined = {name: np.concatenate(list_) if len(list_) > 1 else list_[0] for name, list_ in parts.items()}
        self.pictures, self.state, self.facts = joined["pictures"], joined["state"], joined["facts"]
        self.tasks, self.chunks = joined["tasks"], joined["chunks"]

    def __len__(self) -> int:
        return len(self.state)
