"""Losses of the mixtures of rtsynth/sequence/mixture.py, which says what they are: -ln of the density, in torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from rtsynth.sequence.mixture import CORRELATION, LOG_2PI, LOG_DEVIATION


def diagonal_loss(raw: Tensor, x: Tensor) -> Tensor:
    """-ln p(x), (...), of what a network says, (..., K (1 + 2 D)), for x (..., D)."""
    dimensions = x.shape[-1]
    components = raw.shape[-1] // (1 + 2 * dimensions)
    width = components * dimensions
    logits, means, log_deviations = raw.split([components, width, width], dim=-1)
    z, scale = _standardised(means, log_deviations, x, components)
    return -torch.logsumexp(
        functional.log_softmax(logits, dim=-1) - 0.5 * z.square().sum(dim=-1) - scale, dim=-1
    )


def bivariate_loss(raw: Tensor, x: Tensor) -> Tensor:
    """-ln p(x), (...), of what a network says, (..., 6 K), for x (..., 2)."""
    components = raw.shape[-1] // 6
    sizes = [components, 2 * components, 2 * components, components]
    logits, means, log_deviations, correlations = raw.split(sizes, dim=-1)
    z, scale = _standardised(means, log_deviations, x, components)
    rho = torch.tanh(correlations.clamp(-CORRELATION, CORRELATION))
    left = 1.0 - rho.square()
    square = z.square().sum(dim=-1) - 2.0 * rho * z[..., 0] * z[..., 1]
    of_component = -0.5 * square / left - scale - 0.5 * left.log()
    return -torch.logsumexp(functional.log_softmax(logits, dim=-1) + of_component, dim=-1)


def draw(raw: Tensor, dimensions: int, generator: torch.Generator) -> Tensor:
    """Draws (..., D) of what a network says, (..., K (1 + 2 D)). No gradient goes through them."""
    components = raw.shape[-1] // (1 + 2 * dimensions)
    width = components * dimensions
    logits, means, log_deviations = raw.split([components, width, width], dim=-1)
    weights = torch.softmax(logits, dim=-1).flatten(0, -2).cpu()
    chosen = torch.multinomial(weights, 1, generator=generator).to(raw.device).view(*raw.shape[:-1], 1, 1)
    mean, log_deviation = (
        part.reshape(*raw.shape[:-1], components, dimensions)
        .gather(-2, chosen.expand(*raw.shape[:-1], 1, dimensions))
        .squeeze(-2)
        for part in (means, log_deviations)
    )
    normals = torch.randn(mean.shape, generator=generator).to(raw.device)
    return mean + torch.exp(log_deviation.clamp(*LOG_DEVIATION)) * normals


def _standardised(means: Tensor, log_deviations: Tensor, x: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """(x - mean) / deviation, (..., K, D), and the log of each component's scale, (..., K)."""
    shape = (*x.shape[:-1], components, x.shape[-1])
    logs = log_deviations.reshape(shape).clamp(*LOG_DEVIATION)
    z = (x[..., None, :] - means.reshape(shape)) * torch.exp(-logs)
    return z, logs.sum(dim=-1) + 0.5 * x.shape[-1] * LOG_2PI
