"""What views are made with, above all random numbers: drawn for the whole batch on the CPU, then cut to its clips.

So a clip gets the same numbers whichever process has it and whichever other clips have sound.
"""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


def number(*parts: object) -> int:
    """A number that depends on nothing but the parts."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:6], "big")


def generator(*parts: object) -> torch.Generator:
    """A CPU generator seeded by the parts."""
    return torch.Generator().manual_seed(number(*parts))


@dataclass(frozen=True)
class Draws:
    """Random numbers for some clips of a batch, and what flow is measured in.

    Attributes:
        random: CPU generator, the same on all processes.
        total: clips of the whole batch.
        clips: which of them are at hand, (N,) on the CPU.
        device: where the numbers are wanted.
        dtype: of numbers that are not whole.
        pixels: of a unit of normalised flow, along x and y.
    """

    random: torch.Generator
    total: int
    clips: Tensor
    device: torch.device
    dtype: torch.dtype = torch.float32
    pixels: tuple[float, float] = (0.0, 0.0)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """(N, *shape) numbers from [low, high)."""
        return self._cut(low + (high - low) * torch.rand(self.total, *shape, generator=self.random)).to(self.dtype)

    def noise(self, *shape: int) -> Tensor:
        """(N, *shape) standard normal numbers, drawn on the device clip by clip."""
        seeds = torch.randint(2**48, (self.total,), generator=self.random)[self.clips].tolist()
        noise = [
            torch.randn(shape, generator=torch.Generator(self.device).manual_seed(seed), device=self.device)
            for seed in seeds
        ]
        return torch.stack(noise).to(self.dtype)

    def whole(self, below: int, *shape: int) -> Tensor:
        """(N, *shape) whole numbers from [0, below)."""
        return self._cut(torch.randint(below, (self.total, *shape), generator=self.random))

    def _cut(self, numbers: Tensor) -> Tensor:
        return numbers[self.clips].to(self.device, non_blocking=True)
