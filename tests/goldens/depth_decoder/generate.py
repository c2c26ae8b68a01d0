"""Writes tiny random depth decoders in the published layout, as `.pt` and converted, and what PyTorch draws with them.

Usage: python generate.py    (torch and safetensors in the versions named in ../README.md)
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "../../../models/depth_decoder"))
from convert import convert  # noqa: E402


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x):
        return x + self.net(x)


def decoder(width, channels, blocks, doublings):
    """Channels halve with every doubling but the first."""
    layers = [nn.Conv2d(width, channels, 1), nn.ReLU(), *(Residual(channels) for _ in range(blocks))]
    for index in range(doublings):
        out = channels if index == 0 else channels // 2
        layers += [nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1), nn.ReLU()]
        channels = out
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 1))


class Quantizer(nn.Module):
    def __init__(self, codes, width):
        super().__init__()
        self.register_buffer("_embedding", torch.randn(codes, width))
        self.register_buffer("_ema_cluster_size", torch.zeros(codes))
        self.register_buffer("_ema_w", torch.randn(codes, width))


class Model(nn.Module):
    def __init__(self, codes, width, channels, blocks, doublings):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 3, 4, stride=2, padding=1))
        self.decoder = decoder(width, channels, blocks, doublings)
        self._vq_vae = Quantizer(codes, width)

    def decode(self, codes):
        return self.decoder(self._vq_vae._embedding[codes].permute(2, 0, 1)[None])[0, 0]


@torch.no_grad()
def run(name, grid, **sizes):
    torch.manual_seed(sum(name.encode()))
    model = Model(**sizes).eval()
    # PyTorch's own beginnings fade to one grey over so many layers.
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            transposed = isinstance(layer, nn.ConvTranspose2d)
            taps = layer.kernel_size[0] ** 2 // (4 if transposed else 1)
            nn.init.normal_(layer.weight, std=(2 / (layer.in_channels * taps)) ** 0.5)
            nn.init.normal_(layer.bias, std=0.1)
    codes = torch.randint(0, sizes["codes"], grid)
    picture = model.decode(codes)
    state = {f"module.{key}": value for key, value in model.state_dict().items()}
    torch.save({"weights": state}, HERE / f"{name}.pt")
    convert(HERE / f"{name}.pt", HERE / f"{name}.decoder.safetensors")
    (HERE / f"{name}.pt").unlink()
    out = {"codes": codes.to(torch.int32), "picture": picture.contiguous()}
    # As the published script writes it to a file.
    unit = (picture - picture.min()) / torch.clamp(picture.max() - picture.min(), min=1e-8)
    out["grey"] = unit.mul(255).add(0.5).clamp(0, 255).to(torch.uint8)
    save_file(out, HERE / f"{name}.golden.safetensors")
    print(name, tuple(picture.shape), float(picture.std()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    run("square", (3, 3), codes=12, width=10, channels=16, blocks=2, doublings=3)
    # As many doublings as the published one has, and a map that is not square.
    run("wide", (2, 3), codes=5, width=7, channels=32, blocks=1, doublings=5)
