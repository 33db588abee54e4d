"""TV-L1 optical flow in PyTorch: many frame pairs at once, on a CPU or a GPU.

Zach et al., A Duality Based Approach for Realtime TV-L1 Optical Flow, 2007, in the form of Sanchez et al., TV-L1
Optical Flow Estimation (IPOL, 2013), with the settings of OpenCV's implementation. From the coarsest level of a pyramid
to the finest, and `warps` times in each, the second frame I1 is warped by the flow u0 so far and linearised there: with
I its warped gradient, rho(u) = I1(x + u0) - I0 + I . (u - u0). These iterations minimise the sum of
|grad u| + lambda |rho(u)|:

    v = u + clamp(-rho(u) / |I|^2, -lambda theta, lambda theta) I
    u = v + theta div p
    p = (p + tau / theta grad u) / (1 + tau / theta |grad u|)

until u changes by less than epsilon, in the root mean square over a pair. Each pair ends by itself and is then left
out, so that its flow does not depend on the others.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.errors import UserError
from pipeline_src.features.flow.median import median

SHARED_SETTINGS = "tvl1"
SETTINGS: dict[str, dict[str, Any]] = {
    "device": {
        "default": "auto",
        "choices": ["auto", "cpu", "cuda"],
        "help": "where it runs; auto takes a GPU where there is one",
    },
}

# Thousands of short calls: threads would wait for Python's lock.
HOLDS_LOCK = True
# Pixels of all pairs of a batch: as many as a core's cache holds, or as many as keep a GPU busy in moderate memory.
CPU_PIXELS = 1 << 16
GPU_PIXELS = 1 << 24
# Coarser levels of the pyramid are not made, as in OpenCV.
SMALLEST = 16
FLAT = torch.finfo(torch.float32).eps
ONE = torch.tensor(1.0)


def pairs(before: np.ndarray, after: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """Motion between pairs of frames.

    Args:
        before, after: grey uint8 (N, H, W) each.
        settings: a complete set of SETTINGS.

    Returns:
        float32 (N, H, W, 2): x (right) and y (down) displacement in pixels from before to after; each pair's depends on
        its own two frames only.

    Raises:
        UserError: settings.device is cuda where there is none.
    """
    device = _device(settings["device"])
    flow = np.empty((*before.shape, 2), np.float32)
    limit = GPU_PIXELS if device.type == "cuda" else CPU_PIXELS
    step = max(1, limit // max(1, before[0].size)) if len(before) else 1
    # The stage's threads share the cores: each runs its own tensors. Counted per thread, so it is said in each.
    torch.set_num_threads(1)
    with torch.inference_mode():
        for start in range(0, len(before), step):
            part = slice(start, start + step)
            first, second = (torch.from_numpy(frames[part]).to(device).float() for frames in (before, after))
            flow[part] = _flow(first, second, settings).permute(1, 2, 3, 0).cpu().numpy()
    return flow


def batch(height: int, width: int, settings: dict[str, Any]) -> int | None:
    """How many pairs one call should get, None where it does not matter: on a GPU many, from one thread."""
    return max(1, GPU_PIXELS // (height * width)) if _device(settings["device"]).type == "cuda" else None


def _device(name: str) -> torch.device:
    # A machine with a GPU is not asked for it where the CPU is chosen: that alone would take memory of the GPU.
    found = name != "cpu" and torch.cuda.is_available()
    if name == "cuda" and not found:
        raise UserError("flow.settings.device: 'cuda' - this machine has no CUDA device; allowed here: auto, cpu")
    return torch.device("cuda" if found else "cpu")


def _flow(before: Tensor, after: Tensor, settings: dict[str, Any]) -> Tensor:
    """Flow (2, N, H, W) between float frames (N, H, W) of 0 to 255."""
    levels = list(_pyramid(before, after, settings["scales"], settings["scale_step"]))
    u = torch.zeros(2, *levels[-1][0].shape, device=before.device)
    for first, second in reversed(levels):
        if u.shape[2:] != first.shape[1:]:
            factors = [coarse / fine for coarse, fine in zip(u.shape[2:], first.shape[1:], strict=True)]
            u = _resize(u, first.shape[1:], factors) / settings["scale_step"]
        u = _one_level(first, second, u.contiguous(), settings)
    return u


def _pyramid(before: Tensor, after: Tensor, scales: int, step: float) -> Iterator[tuple[Tensor, Tensor]]:
    yield before, after
    for _ in range(1, scales):
        size = [round(extent * step) for extent in before.shape[1:]]
        if min(size) < SMALLEST:
            return
        before, after = (_resize(frames, size, [1 / step] * 2) for frames in (before, after))
        yield before, after


def _resize(x: Tensor, size: Any, factors: list[float]) -> Tensor:
    """Bilinear, with centres of pixels aligned: pixel i is taken from (i + 1/2) * factor - 1/2."""
    for axis, (extent, factor) in enumerate(zip(size, factors, strict=True), start=x.dim() - 2):
        last = x.shape[axis] - 1
        place = ((torch.arange(extent, dtype=torch.float64) + 0.5) * factor - 0.5).clamp(0, last)
        low = place.floor().long()
        shape = (-1, 1) if axis == x.dim() - 2 else (-1,)
        share = (place - low).float().reshape(shape).to(x.device)
        near, far = (x.index_select(axis, index.to(x.device)) for index in (low, (low + 1).clamp(max=last)))
        x = near + (far - near) * share
    return x


def _one_level(before: Tensor, after: Tensor, u: Tensor, settings: dict[str, Any]) -> Tensor:
    """Improve the flow u (2, N, H, W) of one level of the pyramid."""
    height, width = before.shape[1:]
    pictures = torch.stack([after, *_gradient(after)], dim=1)
    # Widened to powers of two, so that the coordinates of pixels that do not move are exact. What lies outside is zero
    # and has no slope: there the flow follows its neighbours.
    high, wide = (1 << (extent - 1).bit_length() for extent in (height, width))
    pictures = functional.pad(pictures, (0, wide - width, 0, high - height))
    rows = torch.arange(height, dtype=torch.float32, device=u.device)[:, None]
    columns = torch.arange(width, dtype=torch.float32, device=u.device)
    # p = (tau / theta) q; (direction, component of u, N, H, W)
    q = torch.zeros(2, *u.shape, device=u.device)
    for _ in range(settings["warps"]):
        # grid_sample's coordinates run from -1 to 1 between the outer edges of the outermost pixels.
        x, y = (2 * (columns + u[0]) + 1) / wide - 1, (2 * (rows + u[1]) + 1) / high - 1
        grid = torch.stack([x, y], dim=-1)
        warped = functional.grid_sample(pictures, grid, mode="bicubic", padding_mode="zeros", align_corners=False)
        slope = torch.stack([warped[:, 1], warped[:, 2]])
        steepness = slope.square().sum(0).clamp_(min=FLAT)
        offset = ((slope * u).sum(0) + before - warped[:, 0]).div_(steepness)
        _iterate(u, q, slope, slope / -steepness, offset, settings)
    return u


def _gradient(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences in x and y, with the border repeated."""
    wide = functional.pad(pictures[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    return 0.5 * (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]), 0.5 * (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1])


def _iterate(u: Tensor, q: Tensor, slope: Tensor, normal: Tensor, offset: Tensor, settings: dict[str, Any]) -> None:
    """Iterate u and q in place until every pair is done.

    -rho(u) / |I|^2 is offset + normal . u.
    """
    going = torch.arange(u.shape[1], device=u.device)
    pixels = u.shape[2] * u.shape[3]
    work = _Work(u, q, slope, normal, offset, settings)
    for _ in range(settings["outer_iterations"]):
        work.u.copy_(median(work.u, settings["median_filter"]))
        for _ in range(settings["inner_iterations"]):
            more = work.step() > settings["epsilon"] ** 2 * pixels
            if not bool(more.all()):
                u[:, going], q[:, :, going] = work.u, work.q
                going = going[more]
                if not len(going):
                    return
                work = _Work(u[:, going], q[:, :, going], slope[:, going], normal[:, going], offset[going], settings)
    u[:, going], q[:, :, going] = work.u, work.q


class _Work:
    """The state of one warp's iterations, and memory for what each computes.

    A difference between neighbouring pixels is that of the flat tensor and of itself shifted by one pixel or one row.
    What runs over the edge of a picture is zero, as q is: in x in its last column, in y in its last row.
    """

    def __init__(
        self, u: Tensor, q: Tensor, slope: Tensor, normal: Tensor, offset: Tensor, settings: dict[str, Any]
    ) -> None:
        self.u = u.clone(memory_format=torch.contiguous_format)
        self.slope, self.normal, self.offset = (x.contiguous() for x in (slope, normal, offset))
        self._width = u.shape[3]
        self._tau, self._ratio = settings["tau"], settings["tau"] / settings["theta"]
        self._most = settings["lambda"] * settings["theta"]
        # A row of zeros stands before the first picture.
        self._padded = functional.pad(q.reshape(2, -1), (self._width, 0))
        self._change, self._du_x, self._du_y = (torch.zeros_like(self.u) for _ in range(3))
        self._shift = torch.empty_like(self.offset)

    @property
    def q(self) -> Tensor:
        return self._padded[:, self._width :].reshape(2, *self.u.shape)

    def step(self) -> Tensor:
        """One iteration; returns the sum of squared changes of u per pair (N,)."""
        width, change, norm = self._width, self._change, self._change.view(-1)
        shift = torch.addcmul(self.offset, self.normal[0], self.u[0], out=self._shift)
        shift.addcmul_(self.normal[1], self.u[1]).clamp_(-self._most, self._most)
        torch.mul(self.slope, shift, out=change)
        (q_x, q_y), flat = self._padded[:, width:], change.view(-1)
        flat.add_(q_x, alpha=self._tau).sub_(self._padded[0, width - 1 : -1], alpha=self._tau)
        flat.add_(q_y, alpha=self._tau).sub_(self._padded[1, :-width], alpha=self._tau)
        self.u.add_(change)
        changes = torch.linalg.vector_norm(change.view(2, len(self.offset), -1), dim=2).square_().sum(0)

        u, du_x, du_y = self.u.view(-1), self._du_x.view(-1), self._du_y.view(-1)
        torch.sub(u[1:], u[:-1], out=du_x[:-1])
        self._du_x[..., -1] = 0
        torch.sub(u[width:], u[:-width], out=du_y[:-width])
        self._du_y[:, :, -1] = 0
        torch.mul(du_x, du_x, out=norm).addcmul_(du_y, du_y).sqrt_()
        torch.add(ONE, norm, alpha=self._ratio, out=norm)
        q_x.add_(du_x).div_(norm)
        q_y.add_(du_y).div_(norm)
        return changes
