"""What a network must beat: each key by itself, at its own rate, or given only whether it sounded the step before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rtsynth.training.music import Loss
from rtsynth.training.rolls import Roll, Rolls

Chances = NDArray[np.float64]  # (T, 88)


def floors(rolls: Rolls) -> dict[str, Loss]:
    """Counted on the training pieces (one of each outcome added), nats a step on those of the test."""
    heard = np.concatenate([roll[:-1] for roll in rolls.train])
    wanted = np.concatenate([roll[1:] for roll in rolls.train])
    rate = (wanted.sum(0) + 1.0) / (len(wanted) + 2.0)  # (88,)
    after = [(wanted.sum(0, where=heard == was) + 1.0) / ((heard == was).sum(0) + 2.0) for was in (0, 1)]
    return {
        "rate": _loss(rolls.test, lambda before: np.broadcast_to(rate, before.shape)),
        "markov": _loss(rolls.test, lambda before: np.where(before > 0, after[1], after[0])),
    }


def _loss(rolls: Sequence[Roll], chance: Callable[[Roll], Chances]) -> Loss:
    sums, counts = [], []
    for roll in rolls:
        p, y = chance(roll[:-1]), roll[1:]
        sums.append(float(-np.where(y > 0, np.log(p), np.log1p(-p)).sum()))
        counts.append(len(y))
    means = [total / count for total, count in zip(sums, counts, strict=True)]
    return Loss(sum(sums) / sum(counts), sum(means) / len(means))
