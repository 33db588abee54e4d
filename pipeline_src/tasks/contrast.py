"""What contrastive terms share: InfoNCE over masks, and queues of keys.

Clips of one video are no negatives of each other, whether they are in the batch or in a queue: a small pool comes by
again while its keys are still queued.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.networks.heads import Projector, follow, momentum_copy


def info_nce(similarity: Tensor, positive: Tensor, counted: Tensor, temperature: float) -> Tensor:
    """Mean over rows of -log(sum over positives of e^(s/t) / sum over positives and counted of e^(s/t)).

    With one positive a row this is InfoNCE (van den Oord et al. 2018), with several CoCLR's form (Han et al. 2020).

    Args:
        similarity: (M, K).
        positive: (M, K) which keys are positives; at least one a row.
        counted: (M, K) which keys are negatives.
        temperature: t.

    In 16 bits, which autocast multiplies vectors in, small losses would vanish: the sums are taken in 32 at least.
    """
    scaled = similarity.to(torch.promote_types(similarity.dtype, torch.float32)) / temperature
    above = scaled.masked_fill(~positive, -torch.inf).logsumexp(1)
    below = scaled.masked_fill(~(positive | counted), -torch.inf).logsumexp(1)
    return (below - above).mean()


def others(videos: Tensor, of: Tensor) -> Tensor:
    """(M, K): whether keys `of` other clips stem from other videos, and are filled."""
    return (videos[:, None] != of[None, :]) & (of[None, :] >= 0)


def unit(x: Tensor) -> Tensor:
    """Rows of length 1."""
    return functional.normalize(x, dim=1)


class Queue(nn.Module):
    """The last keys and the videos they stem from; -1 where nothing is queued yet.

    Args:
        size: keys that are kept.
        width: length of a key.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.vectors: Tensor
        self.videos: Tensor
        self.end: Tensor
        self.register_buffer("vectors", torch.zeros(size, width))
        self.register_buffer("videos", torch.full((size,), -1))
        self.register_buffer("end", torch.zeros((), dtype=torch.long))

    def add(self, vectors: Tensor, videos: Tensor) -> Tensor:
        """Put (M, width) keys in the places of the oldest; the places (min(M, size),), of the last keys."""
        size = len(self.vectors)
        vectors, videos = vectors[-size:], videos[-size:]
        places = (self.end + torch.arange(len(vectors), device=vectors.device)) % size
        # New tensors: the gradient of the batch at hand may still need the old ones.
        self.vectors = self.vectors.index_copy(0, places, vectors.detach().to(self.vectors.dtype))
        self.videos = self.videos.index_copy(0, places, videos)
        self.end = (self.end + len(vectors)) % size
        return places


class MomentumHead(nn.Module):
    """A projector and its momentum copy.

    Args:
        inputs, hidden, outputs, normalised: as for Projector.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, normalised: bool = False) -> None:
        super().__init__()
        self.online = Projector(inputs, hidden, outputs, normalised)
        self.target = momentum_copy(self.online)

    def follow(self, keep: float) -> None:
        """Move the copy."""
        follow(self.target, self.online, keep)
