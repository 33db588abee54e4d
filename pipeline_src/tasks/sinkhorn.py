"""Balanced assignment of clips to clusters."""

import torch
from torch import Tensor


@torch.no_grad()
def balanced(scores: Tensor, sharpness: float, iterations: int) -> Tensor:
    """Soft assignments with equally full clusters (Sinkhorn-Knopp; Caron et al. 2020, appendix A).

    Args:
        scores: (M, K).
        sharpness: scores are multiplied by it before the exponential; 1 / epsilon.
        iterations: rounds of normalising clusters and clips.

    Returns:
        (M, K); each row sums to 1, each column to about M / K.
    """
    logs = (scores * sharpness).double()
    clips, clusters = logs.shape
    for _ in range(iterations):
        logs = logs - logs.logsumexp(0, keepdim=True) + torch.log(torch.tensor(clips / clusters, dtype=logs.dtype))
        logs = logs - logs.logsumexp(1, keepdim=True)
    return logs.exp().to(scores.dtype)
