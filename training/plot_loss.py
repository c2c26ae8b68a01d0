"""Draws loss curves as an SVG: `python plot_loss.py loss.csv [loss2.csv ...] out.svg`. Later files follow earlier ones in time."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

PANELS = [
    ("sight_mm", "cube position read from the overview picture, mm"),
    ("wrist_mm", "cube position relative to the hand, from the wrist picture, mm"),
    ("named_mm", "position of the cube that the sentence names, mm"),
    ("flow", "flow matching loss"),
    ("tokens", "cross-entropy of action tokens, nats"),
]
WIDTH, HEIGHT, LEFT, GAP = 640, 110, 60, 34


def rows(paths: list[Path]) -> list[dict[str, float]]:
    joined, offset = [], 0.0
    for path in paths:
        part = [{k: float(v) for k, v in row.items() if k != "run"} for row in csv.DictReader(path.open())]
        joined += [{**row, "minutes": row["minutes"] + offset} for row in part]
        offset = joined[-1]["minutes"] if joined else offset
    return joined


def panel(index: int, key: str, title: str, data: list[dict[str, float]], longest: float) -> list[str]:
    points = [(row["minutes"], math.log10(row[key])) for row in data if row[key] == row[key] and row[key] > 0]
    if not points:
        return []
    low, high = min(p[1] for p in points), max(p[1] for p in points)
    top = GAP + index * (HEIGHT + GAP)
    x = lambda m: LEFT + (WIDTH - LEFT - 10) * m / longest
    y = lambda v: top + HEIGHT * (high - v) / max(high - low, 1e-9)
    line = " ".join(f"{x(m):.1f},{y(v):.1f}" for m, v in points)
    text = lambda at_x, at_y, s, anchor="start": f'<text x="{at_x}" y="{at_y:.0f}" text-anchor="{anchor}">{s}</text>'
    return [
        text(LEFT, top - 8, title),
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 10}" height="{HEIGHT}" fill="none" stroke="#999"/>',
        text(LEFT - 6, top + 10, f"{10**high:.3g}", "end"),
        text(LEFT - 6, top + HEIGHT, f"{10**low:.3g}", "end"),
        f'<polyline points="{line}" fill="none" stroke="#2458c5" stroke-width="1.5"/>',
    ]


def main() -> None:
    *sources, out = map(Path, sys.argv[1:])
    data = rows(sources)
    longest = max(row["minutes"] for row in data)
    height = GAP + len(PANELS) * (HEIGHT + GAP) + 10
    parts = [part for i, (key, title) in enumerate(PANELS) for part in panel(i, key, title, data, longest)]
    parts.append(f'<text x="{LEFT}" y="{height - 8}">0 to {longest:.0f} minutes, logarithmic upwards</text>')
    out.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    main()
