"""Clips of episodes, and questions about them."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from .config import MERGE, PATCH, SIDE, TOKENS
from .episodes import Episodes, Task
from .features import features_row
from .tokenizer import HEAD, QUESTION, TURN

GRID = SIDE // PATCH // MERGE


@dataclass
class Clips:
    """Clips of equally many blocks, as the model reads them."""

    blocks: int
    pairs: list[list[tuple[int, int]]]  # frames of every block
    starts: list[int]  # the frame that each clip starts from
    episodes: list[int]
    first: Tensor  # patches of every block's two frames; empty without `see`
    second: Tensor
    ids: Tensor  # [clips, rows]
    places: Tensor  # [clips, rows, 3]
    picture_clip: Tensor  # where the pictures' tokens go
    picture_row: Tensor
    ends: Tensor  # how many of the ids each block's beginning has, [clips, blocks]
    nexts: Tensor  # which place follows each block, [clips, blocks]
    is_static: Tensor  # [clips]
    facts: Tensor  # of the second frame of each block, [clips * blocks, facts]
    moved: Tensor  # where every cube is beside where it was in the first frame [m], and whether there is one, [clips, blocks, 4, 3]
    rows: Tensor  # of `Features.held`, of every block, [clips * blocks]


@dataclass
class Questions:
    """What is asked of each clip, the same after each of its `points`."""

    points: Tensor  # blocks after which the questions are put, ascending, [clips, points]
    head_ids: Tensor
    head_places: Tensor
    head_mask: Tensor
    # All questions about a point lie in a row.
    ids: Tensor  # [clips, questions, rows]
    places: Tensor  # [clips * points, questions * rows, 3]
    mask: Tensor
    last: Tensor  # which of those rows each question ends with, [clips * points, questions]
    families: Tensor  # what each question is about, -1 for what nothing completes, [clips, questions]
    progress: Tensor  # [clips, points, questions]
    named: Tensor  # of the cube that each question names, as `Episodes.named` has it, [clips, points, questions, 9]
    is_named: Tensor  # whether there is one, and whether it is about pushing, [clips, points, questions, 2]


class Maker:
    """Makes clips and questions; `seed` decides them. `push` is the share of further questions that are about pushing, which takes
    longest to learn: how far a cube was moved shows only beside the first picture."""

    def __init__(self, episodes: Episodes, tasks: list[Task], tokenizer: Tokenizer, seed: int, push: float = 0.0):
        self.episodes, self.tasks, self.tokenizer, self.push = episodes, tasks, tokenizer, push
        # Episodes in which a cube is displaced along the table teach it.
        self.pushed = [e for e, row in enumerate(self.episodes.about) if tasks[int(row[0])].family == 1]
        self.rng = random.Random(seed)
        self.encoded: dict[str, list[int]] = {}
        self.head = self.ids(HEAD)
        ids = {name: tokenizer.token_to_id(f"<|{name}|>") for name in ("vision_start", "vision_end", "video_pad")}
        self.vs, self.ve, self.pad = ids["vision_start"], ids["vision_end"], ids["video_pad"]
        assert self.ids(f"{HEAD} push it{QUESTION}")[: len(self.head)] == self.head

    def ids(self, text: str) -> list[int]:
        if text not in self.encoded:
            self.encoded[text] = self.tokenizer.encode(text).ids
        return self.encoded[text]

    def sentence(self, task: Task) -> str:
        words = self.rng.choice(task.wordings)
        if self.rng.random() < 0.15:
            words = words[:1].upper() + words[1:]
        if self.rng.random() < 0.15:
            words += "."
        return words

    def clip(self, blocks: int) -> tuple[list[tuple[int, int]], int, bool, int]:
        """Pairs of frames, the frame that it starts from, whether it is frozen, the episode."""
        rng, about, starts = self.rng, self.episodes.about, self.episodes.starts
        while True:
            episode = rng.choice(self.pushed) if rng.random() < self.push else rng.randrange(len(about))
            length = int(about[episode, 3])
            start = int(starts[episode])
            if rng.random() < 0.25:
                # The control that scoring shows is the first frame, held.
                frame = start + (0 if rng.random() < 0.5 else rng.randrange(length))
                return [(frame, frame)] * blocks, frame, True, episode
            is_odd = rng.random() < 0.5
            needed = 2 * blocks - is_odd
            if needed > length:
                continue
            # Most clips begin where the episode does; some in its middle.
            begin = start if rng.random() < 0.8 else start + rng.randrange(length - needed + 1)
            frames = list(range(begin, begin + needed))
            if is_odd:
                frames.append(frames[-1])
            return list(zip(frames[::2], frames[1::2])), begin, False, episode

    def jump(self, blocks: int) -> tuple[list[tuple[int, int]], int, bool, int]:
        """As `clip`, but after the first block it goes on in another episode: cubes are far from where they were, which
        teaches to compare with less patience than the small ways of pushing."""
        pairs, start, _, episode = self.clip(blocks)
        there = pairs[0]
        while blocks > 1 and self.clip_episode(start) == episode:
            pairs, _, _, episode = self.clip(blocks)
        return [there, *pairs[1:]], start, False, episode

    def clip_episode(self, frame: int) -> int:
        return int(np.searchsorted(self.episodes.starts, frame, "right")) - 1

    def questions(self, episode: int, count: int) -> list[tuple[int, str]]:
        """Codes of tasks, -1 for one that nothing completes, and sentences."""
        rng, about = self.rng, self.episodes.about
        told = int(about[episode, 0])
        here = [c for c in range(len(self.tasks)) if self.episodes.progress[self.episodes.starts[episode], c] >= 0]
        pushes = [c for c in here if self.tasks[c].family == 1]
        related = [c for c in here if self.tasks[c].colour == self.tasks[told].colour]
        chosen = []
        for index in range(count):
            draw = rng.random()
            if index == 0 or draw < 0.15:
                code = told
            elif pushes and rng.random() < self.push:
                code = rng.choice([c for c in pushes if c in related] or pushes)
            elif draw < 0.5:
                code = rng.choice(related)
            elif draw < 0.9:
                code = rng.choice(here)
            else:
                code = rng.randrange(len(self.tasks))
            sentence = self.sentence(self.tasks[code])
            if index > 0 and rng.random() < 0.06:
                code, sentence = -1, f"Do not {sentence}"
            chosen.append((code, sentence))
        return chosen

    def clips(self, count: int, blocks: int, see: bool = True, jump: bool = False) -> Clips:
        """Without `see` the pictures stay where they are, for a tower whose output is held. With `jump` what happens makes no
        sense, so that nothing can be asked but where the cubes are."""
        episodes = self.episodes
        drawn = [self.jump(blocks) if jump else self.clip(blocks) for _ in range(count)]
        texts = [self.video(pairs, is_static) for pairs, _, is_static, _ in drawn]
        length = max(len(ids) for ids, *_ in texts)
        video_ids = torch.full((count, length), self.pad)
        places = torch.zeros(count, length, 3, dtype=torch.long)
        for clip, (ids, where, *_) in enumerate(texts):
            video_ids[clip, : len(ids)] = torch.tensor(ids)
            places[clip, : len(ids)] = torch.tensor(where)
        ends, nexts, picture_rows = zip(*(text[2:] for text in texts), strict=True)
        firsts, seconds = zip(*(pair for pairs, *_ in drawn for pair in pairs), strict=True)
        first = second = torch.empty(0)
        if see:
            frames, where = np.unique(np.array(firsts + seconds), return_inverse=True)
            patches = episodes.patches([int(f) for f in frames])
            where = torch.from_numpy(where)
            first, second = patches[where[: len(firsts)]], patches[where[len(firsts) :]]
        moved = [[episodes.moved(frame, start) for _, frame in pairs] for pairs, start, *_ in drawn]
        return Clips(
            blocks=blocks,
            pairs=[pairs for pairs, *_ in drawn],
            starts=[start for _, start, _, _ in drawn],
            episodes=[episode for *_, episode in drawn],
            first=first,
            second=second,
            ids=video_ids,
            places=places,
            picture_clip=torch.arange(count).repeat_interleave(blocks * TOKENS),
            picture_row=torch.tensor(picture_rows).flatten(),
            ends=torch.tensor(ends),
            nexts=torch.tensor(nexts),
            is_static=torch.tensor([is_static for _, _, is_static, _ in drawn]),
            facts=torch.from_numpy(np.stack([episodes.facts[frame] for frame in seconds])),
            moved=torch.from_numpy(np.array(moved, np.float32)),
            rows=torch.tensor([features_row(a, b) for a, b in zip(firsts, seconds, strict=True)]),
        )

    def ask(self, clips: Clips, count: int, points: int | None = None) -> Questions:
        """`count` questions after each of `points` of every clip's blocks, after all unless said."""
        number, blocks = clips.ends.shape
        points = blocks if points is None else min(points, blocks)
        at = torch.tensor([sorted(self.rng.sample(range(blocks), points)) for _ in range(number)])
        ids = torch.zeros(number, count, 0, dtype=torch.long)
        last = torch.zeros(number, count, dtype=torch.long)
        families, goals, named, is_named = [], [], [], []
        nothing = np.zeros(9, np.float32), (False, False)
        for clip in range(number):
            chosen = self.questions(clips.episodes[clip], count)
            families.append([self.tasks[code].family if code >= 0 else -1 for code, _ in chosen])
            frames = [clips.pairs[clip][point][1] for point in at[clip].tolist()]
            values = [self.episodes.progress_from(frame, clips.starts[clip], self.tasks) for frame in frames]
            goals.append([[max(0.0, float(v[code])) if code >= 0 else 0.0 for code, _ in chosen] for v in values])
            told = [
                [
                    self.episodes.named(frame, clips.starts[clip], self.tasks[code]) if code >= 0 else nothing
                    for code, _ in chosen
                ]
                for frame in frames
            ]
            named.append([[what for what, _ in row] for row in told])
            is_named.append([[there for _, there in row] for row in told])
            for index, (_, words) in enumerate(chosen):
                asked = torch.tensor(self.ids(f"{HEAD} {words}{QUESTION}")[len(self.head) :])
                ids = F.pad(ids, (0, max(0, len(asked) - ids.shape[2])))
                ids[clip, index, : len(asked)] = asked
                last[clip, index] = len(asked) - 1
        ends, nexts = clips.ends.gather(1, at), clips.nexts.gather(1, at)
        heads, longest = len(self.head), ids.shape[2]
        seen = torch.arange(clips.ids.shape[1])[None, None] < ends[:, :, None]  # [clips, points, length]
        causal = torch.ones(heads, heads).tril().bool()
        head_mask = torch.cat((
            seen.flatten(0, 1)[:, None].expand(-1, heads, -1), causal.expand(number * points, -1, -1)
        ), -1)[:, None]  # fmt: skip
        # Each question sees the video until there, the head, and itself.
        before = torch.cat((seen, torch.ones(number, points, heads, dtype=torch.bool)), -1).flatten(0, 1)
        itself = torch.block_diag(*[torch.ones(longest, longest).tril()] * count).bool()
        starts = (nexts + heads).flatten()[:, None, None].expand(-1, count, longest)
        flat = lambda places: places[..., None].expand(-1, -1, 3)  # noqa: E731
        return Questions(
            points=at,
            head_ids=torch.tensor(self.head),
            head_places=flat(nexts.flatten()[:, None] + torch.arange(heads)),
            head_mask=head_mask,
            ids=ids,
            places=flat((starts + torch.arange(longest)).flatten(1)),
            mask=torch.cat((
                before[:, None].expand(-1, len(itself), -1), itself.expand(number * points, -1, -1)
            ), -1)[:, None],  # fmt: skip
            last=(last + longest * torch.arange(count))[:, None].expand(-1, points, -1).flatten(0, 1),
            families=torch.tensor(families),
            progress=torch.tensor(goals),
            named=torch.from_numpy(np.array(named, np.float32)),
            is_named=torch.tensor(is_named),
        )

    def video(self, pairs: list[tuple[int, int]], is_static: bool) -> tuple[list, list, list, list, list]:
        """Ids, places, where each block ends and which place follows it, rows of the pictures' tokens."""
        ids, places, ends, nexts, pictures, at = [], [], [], [], [], 0
        # Other rates round to other times: the model must not mind.
        jitter = self.rng.choice([0.0, 0.0, 0.0, 0.02, 0.05])

        def text(new: list[int]) -> None:
            nonlocal at
            ids.extend(new)
            places.extend([[at + i] * 3 for i in range(len(new))])
            at += len(new)

        for block, (first, second) in enumerate(pairs):
            odd = first == second and block == len(pairs) - 1 and (not is_static or self.rng.random() < 0.5)
            seconds = block + (0.0 if odd else 0.25 + jitter)
            opening = TURN if block == 0 else ""
            text(self.ids(f"{opening}<{seconds:.1f} seconds>"))
            text([self.vs])
            pictures.extend(range(len(ids), len(ids) + TOKENS))
            ids.extend([self.pad] * TOKENS)
            places.extend([[at, at + r, at + c] for r in range(GRID) for c in range(GRID)])
            at += GRID
            text([self.ve])
            ends.append(len(ids))
            nexts.append(at)
        return ids, places, ends, nexts, pictures
