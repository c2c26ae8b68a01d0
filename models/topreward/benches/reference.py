"""The scorer beside transformers, on the same processor, checkpoint and frames, in turns.

    python models/topreward/benches/reference.py --studio target/debug/policy-studio --make /tmp/scorer --size small
    python models/topreward/benches/reference.py --studio target/debug/policy-studio --checkpoint ~/checkpoints/Qwen3-VL-2B-Instruct

transformers 4.57.1 on torch for the CPU, scaled-dot-product attention, f32, scores of the last position alone. Both sides
have one thread, and processor time is what is compared, so that a machine with other work on it measures the same. `naive` is a forward pass per prefix; `cached` is the published method's prefix cache: the video
once, a short pass per prefix, half a block aside where a prefix has an odd number of frames. `--make` writes a random
checkpoint of the published architecture first. Before anything is timed the log-probabilities must agree.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import DynamicCache, Qwen3VLForConditionalGeneration, Qwen3VLVideoProcessor

GOLDENS = Path(__file__).resolve().parents[3] / "tests/goldens/qwen3vl"
sys.path.insert(0, str(GOLDENS))
from generate import frame, network, save  # noqa: E402
from tiny_tokenizer import tokenizer  # noqa: E402

SIZES = {
    # 8, 66 and 290 million parameters.
    "nano": dict(
        text=dict(hidden=192, inner=512, layers=6, heads=6, kv_heads=2, head_dim=32, sections=[8, 4, 4], bias=False),
        vision=dict(depth=6, hidden=192, heads=6, inner=512, places=2304, deepstack=[1, 3, 5])),
    "small": dict(
        text=dict(hidden=512, inner=1536, layers=12, heads=8, kv_heads=4, head_dim=64, sections=[12, 10, 10], bias=False),
        vision=dict(depth=8, hidden=384, heads=6, inner=1536, places=2304, deepstack=[1, 3, 5])),
    "medium": dict(
        text=dict(hidden=1024, inner=3072, layers=12, heads=16, kv_heads=8, head_dim=64, sections=[12, 10, 10], bias=False),
        vision=dict(depth=12, hidden=768, heads=12, inner=3072, places=2304, deepstack=[2, 5, 8])),
}
CLAIM = "The above video shows a robot manipulation trajectory that completes the following task: "
QUESTION = " Decide whether the above statement is True or not. The answer is:"


def make(folder, size):
    folder.mkdir(parents=True)
    words = tokenizer()
    case = dict(SIZES[size], tied=True, seed=1, stored="float32")
    model = network(case, len(words))
    # Sixty questions behind a long video need more positions than the goldens.
    model.config.text_config.max_position_embeddings = 262_144
    save(model, folder, 1, torch.float32)
    words.backend_tokenizer.save(str(folder / "tokenizer.json"))
    Qwen3VLVideoProcessor(size=dict(shortest_edge=4096, longest_edge=25_165_824)).save_pretrained(folder)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters in {folder}", file=sys.stderr)


class Reference:
    def __init__(self, folder):
        self.model = Qwen3VLForConditionalGeneration.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="sdpa").eval()
        self.video = Qwen3VLVideoProcessor.from_pretrained(folder)
        file = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
        self.ids = lambda text: file.encode(text, add_special_tokens=False)
        self.pad, self.end = self.model.config.video_token_id, self.model.config.vision_end_token_id

    def blocks(self, indices, fps):
        """Pixels, grid, and the text of every block."""
        pairs = [(indices[i], indices[min(i + 1, len(indices) - 1)]) for i in range(0, len(indices), 2)]
        frames = np.stack([self.frames[index] for pair in pairs for index in pair])
        made = self.video(videos=[torch.from_numpy(frames).permute(0, 3, 1, 2)], do_sample_frames=False, return_tensors="pt")
        grid = made["video_grid_thw"]
        tokens = int(grid[0, 1:].prod()) // self.video.merge_size**2
        texts = [f"<{(a / fps + b / fps) / 2:.1f} seconds><|vision_start|>{'<|video_pad|>' * tokens}<|vision_end|>" for a, b in pairs]
        return made["pixel_values_videos"], grid, texts

    @torch.no_grad()
    def naive(self, prefixes, fps, tail, true):
        found = []
        for indices in prefixes:
            pixels, grid, texts = self.blocks(indices, fps)
            ids = torch.tensor([self.ids("<|im_start|>user\n" + "".join(texts)) + tail])
            logits = self.model(
                input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values_videos=pixels, video_grid_thw=grid,
                logits_to_keep=1, use_cache=False).logits[0, -1]
            found.append(float(torch.log_softmax(logits.double(), -1)[true]))
        return found

    def read(self, ids, positions, cache, pixels=None, grid=None):
        """Runs the language model on a run of tokens; `DynamicCache` grows by them."""
        embedded = self.model.get_input_embeddings()(ids)
        mask, deep = None, None
        if pixels is not None:
            features, deep = self.model.model.get_video_features(pixels, grid)
            mask = ids == self.pad
            features = torch.cat(features) if isinstance(features, (list, tuple)) else features
            embedded = embedded.masked_scatter(mask.unsqueeze(-1).expand_as(embedded), features)
        start = cache.get_seq_length()
        return self.model.model.language_model(
            input_ids=None, inputs_embeds=embedded, position_ids=positions, past_key_values=cache, use_cache=True,
            attention_mask=torch.ones(1, start + ids.shape[1], dtype=torch.long),
            cache_position=torch.arange(start, start + ids.shape[1]), visual_pos_masks=mask,
            deepstack_visual_embeds=deep).last_hidden_state

    @torch.no_grad()
    def cached(self, prefixes, fps, tail, true):
        full, grid, texts = self.blocks(prefixes[-1], fps)
        ids = torch.tensor([self.ids("<|im_start|>user\n" + "".join(texts))])
        positions, _ = self.model.model.get_rope_index(ids, video_grid_thw=grid, attention_mask=torch.ones_like(ids))
        ends = (ids[0] == self.end).nonzero().flatten().tolist()
        patches = int(grid[0, 1:].prod())
        tail = torch.tensor([tail])
        cache, done, found = DynamicCache(), 0, []
        for indices in prefixes:
            whole = len(indices) // 2
            if whole > done:
                first, last = (ends[done - 1] + 1 if done else 0), ends[whole - 1] + 1
                part = grid.clone()
                part[0, 0] = whole - done
                self.read(ids[:, first:last], positions[:, :, first:last], cache,
                          full[done * patches : whole * patches], part)
                done = whole
            kept = cache.get_seq_length()
            start = int(positions[:, :, kept - 1].max()) + 1 if kept else 0
            if len(indices) % 2:
                pixels, half, text = self.blocks(indices[-1:], fps)
                aside = torch.tensor([self.ids(("" if kept else "<|im_start|>user\n") + text[0])])
                places, _ = self.model.model.get_rope_index(aside, video_grid_thw=half, attention_mask=torch.ones_like(aside))
                self.read(aside, places + start, cache, pixels, half)
                start += int(places.max()) + 1
            at = torch.arange(start, start + tail.shape[1]).view(1, 1, -1).expand(3, 1, -1)
            hidden = self.read(tail, at, cache)
            logits = self.model.lm_head(hidden[0, -1])
            found.append(float(torch.log_softmax(logits.double(), -1)[true]))
            cache.crop(kept)
        return found


def schedule(frames, fps):
    """`QwenClient._aligned_video_indices`."""
    positions = np.arange(0.0, float(frames), max(fps / 2.0, 1.0), dtype=np.float64)
    indices = np.clip(np.round(positions).astype(int), 0, frames - 1)
    return list(dict.fromkeys(indices.tolist()))


def studio(arguments, count):
    command = [arguments.studio, "bench", "score", "--scorer", arguments.checkpoint, "--json", "--rounds", "1",
               "--no-precisions", "--device", "cpu", "--clip-prefixes", str(count), "--clip-secs", str(arguments.secs)]
    environment = dict(os.environ, RAYON_NUM_THREADS="1")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout)["score"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--studio", required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--make", type=Path)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--prefixes", default="5,15,60")
    parser.add_argument("--secs", type=float, default=33.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make, arguments.size)
        arguments.checkpoint = arguments.checkpoint or arguments.make
    if arguments.checkpoint is None:
        parser.error("name a checkpoint with --checkpoint, or have one made with --make")
    torch.set_num_threads(1)
    reference = Reference(arguments.checkpoint)
    parameters = sum(p.numel() for p in reference.model.parameters())
    print(f"{parameters / 1e6:.1f} million parameters, transformers {transformers.__version__}, torch {torch.__version__}")
    print("| prefixes | transformers, naive | cached | this, naive | streaming | packed | naive / streaming | cached / streaming | largest difference |")
    print("|---|---|---|---|---|---|---|---|---|")
    for count in map(int, arguments.prefixes.split(",")):
        ours, theirs, apart = [], [], 0.0
        for _ in range(arguments.rounds):
            measured = studio(arguments, count)
            forms = measured["forms"][0]
            reference.frames = {
                index: frame(measured["side"], measured["side"], index)
                for index in schedule(measured["frames"], measured["fps"])}
            whole = list(reference.frames)
            prefixes = [[index for index in whole if index < length] for length in forms["lengths"]]
            tail = reference.ids(CLAIM + measured["instruction"] + QUESTION + " True")
            tail, true = tail[:-1], tail[-1]
            times = {}
            for name in ("naive", "cached"):
                started = time.process_time()
                found = getattr(reference, name)(prefixes, measured["fps"], tail, true)
                times[name] = (time.process_time() - started) * 1e3
                apart = max(apart, float(np.abs(np.array(found) - np.array(forms["log_probs"])).max()))
            assert apart < 1e-3, f"the log-probabilities are {apart} apart"
            ours.append(forms)
            theirs.append(times)
        middle = statistics.median
        ratio = lambda of: middle(their[of] / our["processor"]["streaming"] for our, their in zip(ours, theirs))
        print(
            f"| {count} | {middle(t['naive'] for t in theirs):.0f} ms | {middle(t['cached'] for t in theirs):.0f} ms "
            f"| {middle(o['processor']['naive'] for o in ours):.0f} ms | {middle(o['processor']['streaming'] for o in ours):.0f} ms "
            f"| {middle(o['processor']['packed'] for o in ours):.0f} ms | {ratio('naive'):.1f} | {ratio('cached'):.2f} | {apart:.1e} |",
            flush=True)


if __name__ == "__main__":
    main()
