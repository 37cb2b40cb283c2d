"""An LSTM that reads: its state moves a soft window of the form "graves", and hears in the next step what it saw.

Over a sequence the gradient is written out: autograd would keep some thirty small tensors a step and add up every
weight's gradient step by step; here each is one product after the loop. `rtsynth.training.pen.PenNetwork.step` is the
same, one step, in the open.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Reading(torch.autograd.Function):
    """entering (T, B, 4H), of an LSTM that starts from zeros, and codes (B, U, C) -> h, context, φ, κ, each (T, B, …).

    Weights: recurrent (4H, H), seen (4H, C), project (3K, H) and its bias. κ passes no gradient on to what uses it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        entering: Tensor,
        recurrent: Tensor,
        seen: Tensor,
        project: Tensor,
        bias: Tensor,
        codes: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        steps, batch, size = entering.shape[0], entering.shape[1], recurrent.shape[1]
        letters, width = codes.shape[1:]
        positions = torch.arange(1.0, letters + 2.0, dtype=entering.dtype, device=entering.device)
        gates, cells = torch.empty_like(entering), entering.new_empty(steps, batch, size)
        hs, curved = torch.empty_like(cells), torch.empty_like(cells)
        moves = entering.new_empty(steps, batch, len(bias))  # α, β, Δκ
        kappas = entering.new_empty(steps, batch, len(bias) // 3)
        phis = entering.new_empty(steps, batch, letters + 1)
        contexts = entering.new_empty(steps, batch, width)
        turn, see, move = recurrent.T.contiguous(), seen.T.contiguous(), project.T.contiguous()
        h, c = entering.new_zeros(batch, size), entering.new_zeros(batch, size)
        context, kappa = entering.new_zeros(batch, width), kappas.new_zeros(kappas.shape[1:])
        for t in range(steps):
            g = torch.addmm(entering[t], h, turn, out=gates[t]).addmm_(context, see)
            torch.sigmoid_(g[:, : 2 * size])
            n = g[:, 2 * size : 3 * size].tanh_()
            o = g[:, 3 * size :].sigmoid_()
            c = torch.mul(g[:, size : 2 * size], c, out=cells[t]).addcmul_(g[:, :size], n)
            h = torch.mul(o, torch.tanh(c, out=curved[t]), out=hs[t])
            alpha, beta, pace = torch.addmm(bias, h, move, out=moves[t]).exp_().chunk(3, dim=1)
            kappa = torch.add(kappa, pace, out=kappas[t])
            bumps = (kappa[:, :, None] - positions).square_().mul_(beta[:, :, None]).neg_().exp_()
            phi = torch.bmm(alpha[:, None], bumps, out=phis[t][:, None])
            context = torch.bmm(phi[:, :, :-1], codes, out=contexts[t][:, None])[:, 0]
        ctx.save_for_backward(
            recurrent, seen, project, codes, gates, cells, hs, curved, moves, kappas, contexts
        )
        ctx.mark_non_differentiable(kappas)
        return hs, contexts, phis, kappas

    @staticmethod
    def backward(
        ctx: Any, of_h: Tensor, of_context: Tensor, of_phi: Tensor, _: Tensor
    ) -> tuple[Tensor | None, ...]:
        recurrent, seen, project, codes, gates, cells, hs, curved, moves, kappas, contexts = ctx.saved_tensors
        steps, batch, size = hs.shape
        positions = torch.arange(1.0, codes.shape[1] + 2.0, dtype=hs.dtype, device=hs.device)
        i, f, n, o = gates.split(size, dim=2)
        of_o = curved * o * (1.0 - o)  # what dh is multiplied with; the others: dc
        of_c = o * (1.0 - curved.square())
        of_rest = torch.cat([n * i * (1 - i), _before(cells) * f * (1 - f), i * (1 - n.square())], dim=2)
        after, moved = torch.empty_like(gates), torch.empty_like(moves)
        late_h, late_c = hs.new_zeros(batch, size), hs.new_zeros(batch, size)
        late_context, late_kappa = torch.zeros_like(contexts[0]), torch.zeros_like(kappas[0])
        for t in range(steps - 1, -1, -1):
            phi = of_phi[t].clone()
            phi[:, :-1] += torch.bmm(codes, (of_context[t] + late_context)[:, :, None])[:, :, 0]
            alpha, beta = (part[:, :, None] for part in moves[t].chunk(3, dim=1)[:2])
            far = kappas[t][:, :, None] - positions
            bumps = phi[:, None] * torch.exp(far.square() * -beta)  # (B, K, U + 1)
            slope = bumps * far
            late_kappa = late_kappa - 2.0 * (alpha * beta)[:, :, 0] * slope.sum(2)
            parts = bumps.sum(2), -alpha[:, :, 0] * (slope * far).sum(2), late_kappa
            torch.mul(torch.cat(parts, dim=1), moves[t], out=moved[t])
            late_h = late_h + of_h[t] + moved[t] @ project
            late_c.addcmul_(late_h, of_c[t])
            a = after[t]
            torch.mul(late_h, of_o[t], out=a[:, 3 * size :])
            torch.mul(late_c.repeat(1, 3), of_rest[t], out=a[:, : 3 * size])
            late_c.mul_(f[t])
            late_h, late_context = a @ recurrent, a @ seen
        flat = after.flatten(0, 1).T
        turned = moved.flatten(0, 1)
        return (
            after,
            flat @ _before(hs).flatten(0, 1),
            flat @ _before(contexts).flatten(0, 1),
            turned.T @ hs.flatten(0, 1),
            turned.sum(0),
            None,
        )


def _before(steps: Tensor) -> Tensor:
    """What was there before each step; zeros before the first."""
    return torch.cat([torch.zeros_like(steps[:1]), steps[:-1]])
