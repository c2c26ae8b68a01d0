"""Turns the published depth VQ-VAE (`vae-final.pt`) into a safetensors file with its codebook and decoder.

Usage: python convert.py vae-final.pt depth_decoder.safetensors    (needs torch and safetensors)

The file is read with `weights_only=True`, so that nothing in it is run.
"""

import sys

import torch
from safetensors.torch import save_file

CODEBOOK = "_vq_vae._embedding"


def convert(source, target):
    state = torch.load(source, map_location="cpu", weights_only=True)
    state = state.get("weights", state)
    state = {name.removeprefix("module."): value for name, value in state.items()}
    # Trained without a running mean, the codebook is a layer of its own.
    if f"{CODEBOOK}.weight" in state:
        state[CODEBOOK] = state[f"{CODEBOOK}.weight"]
    kept = {
        name: value.float().contiguous()
        for name, value in state.items()
        if name == CODEBOOK or name.startswith("decoder.")
    }
    if CODEBOOK not in kept or "decoder.0.weight" not in kept:
        raise SystemExit(f"{source} has no {CODEBOOK} and decoder.0.weight; it holds {sorted(state)[:20]}")
    save_file(kept, target)
    print(f"{target}: {sum(value.numel() for value in kept.values())} numbers in {len(kept)} tensors")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    convert(sys.argv[1], sys.argv[2])
