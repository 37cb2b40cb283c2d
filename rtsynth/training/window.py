"""The soft window of rtsynth/sequence/window.py, a batch at a time, to be learned."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.sequence.window import Form


class SoftWindow(nn.Module):
    """State (B, H), κ (B, K), codes (B, U, C) -> context (B, C), κ (B, K), φ (B, U + 1).

    Codes past a text's end are zeros, so texts of different lengths share a batch. `pace` (characters a step) and
    `spread` (characters) are those that the bumps start with, before anything is learned.
    """

    def __init__(
        self, inputs: int, components: int, form: Form = "graves", pace: float = 0.1, spread: float = 0.7
    ) -> None:
        super().__init__()
        self.form, self.components = form, components
        self.project = nn.Linear(inputs, 3 * components)
        nn.init.normal_(self.project.weight, std=0.1 / math.sqrt(inputs))
        starts = (
            (-math.log(components), -math.log(2.0 * spread**2), math.log(pace))
            if form == "graves"
            else (0.0, _inverse_softplus(spread), _inverse_softplus(pace))
        )
        with torch.no_grad():
            for part, start in zip(self.project.bias.chunk(3), starts, strict=True):
                part.fill_(start)

    def initial(self, batch: int) -> Tensor:
        return self.project.bias.new_zeros(batch, self.components)

    def forward(
        self, h: Tensor, kappa: Tensor, codes: Tensor, first: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`first` (B, 1): characters of the text before codes; none where it is left out."""
        alpha, width, pace = self.project(h).chunk(3, dim=-1)
        kappa = kappa + (torch.exp(pace) if self.form == "graves" else functional.softplus(pace))
        positions = torch.arange(1, codes.shape[1] + 2, dtype=h.dtype, device=h.device)
        standing = kappa if first is None else kappa - first
        far = standing[:, :, None] - positions  # (B, K, U + 1)
        if self.form == "graves":
            phi = torch.exp(alpha[:, :, None] - torch.exp(width)[:, :, None] * far.square()).sum(1)
        else:
            sigma = functional.softplus(width)
            share = torch.softmax(alpha, -1) / (math.sqrt(2.0 * math.pi) * sigma)
            phi = (share[:, :, None] * torch.exp(-0.5 * (far / sigma[:, :, None]).square())).sum(1)
        context = torch.bmm(phi[:, None, :-1], codes)[:, 0]
        return context, kappa, phi


def weights_of(window: SoftWindow) -> dict[str, object]:
    """Arguments of rtsynth.sequence.window.SoftWindow, from what was learned."""
    weight, bias = (p.detach().double().cpu().numpy() for p in (window.project.weight, window.project.bias))
    return {"weight": weight, "bias": bias, "form": window.form}


def _inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))
