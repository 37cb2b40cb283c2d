"""Gaps in a recording, filled from what is on both sides: a local process, and its conditional law in the gap.

The process is an autoregression times a gain that runs exponentially from one side to the other. How long a context
it is fitted to, and of which order, is decided by how well it fills gaps of the same length cut into both sides. The
mean of its conditional law is the interpolation of Janssen, Veldhuis and Vries (Adaptive interpolation of
discrete-time signals that can be modeled as autoregressive processes, 1986).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.kernels.value import Array
from rtsynth.statespace.autoregression import AutoRegression, condition, fit_autoregressions, proceed
from rtsynth.statespace.factor import lower_factor

CONTEXTS = (0.03, 0.06, 0.12, 0.25, 0.5)  # s on each side
ORDERS = (1.5e-3, 3e-3, 6e-3, 12e-3, 24e-3)  # s
LARGEST_ORDER = 1024  # samples
LEAST_CONTEXT = 5.0  # times the order, both sides together
TRIAL_MARGIN = 0.012  # s between a gap and one that is cut beside it to learn from
LONGEST_TRIAL = 0.05  # s
TREND = 0.1  # s on each side, whose levels give the gain
NEAR = 0.03  # s on each side, whose innovations are the loudness of a draw
QUIETEST = 1e-4  # of the louder side's innovations: least variance that counts as the other's
STEEPEST_DB = 40.0  # largest change of the gain across a gap
BRIDGE = 1.0  # s at the end of a longer gap in which the right side is felt
PROBES = 64  # draws by which the posterior variance is measured


class Repair(NamedTuple):
    """What was put in place of samples start .. stop - 1, and how well that is expected to be known."""

    start: int
    stop: int
    order: int  # p, samples
    context: float  # s on each side that it was fitted to
    expected_snr_db: float  # power of the filling over its posterior variance; infinite in silence


class _Window(NamedTuple):
    """A gap of one channel as the stationary process has it, (sound - offset) / gain; NaN: not heard."""

    y: Array  # (N,)
    start: int
    stop: int
    gain: Array  # (N,)
    offset: float

    @property
    def gap(self) -> tuple[int, int]:
        return self.start, self.stop

    def joined(self, sound: Array) -> Array:
        """Another version (N,) of the channel, in the same coordinates."""
        return (sound - self.offset) / self.gain


class _Trial(NamedTuple):
    """A gap cut into what is heard: what there is to learn from, what there is to fill it from, and the truth."""

    whole: _Window
    beside: _Window  # only the side of the real gap that the trial is on
    truth: Array  # (M,)


class _Inside(NamedTuple):
    """The filling of a gap as the stationary process has it, its posterior mean and variance: (M,) each."""

    filling: Array
    mean: Array
    variance: Array


def repair(
    samples: Array,
    gaps: Sequence[tuple[int, int]],
    sample_rate: float,
    rng: np.random.Generator | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[Array, list[Repair]]:
    """Samples (N, C) with samples start .. stop - 1 of every gap replaced -> (N, C), and one `Repair` a gap.

    By a draw given both sides, or without `rng` by its mean. What is in a gap is never looked at. ValueError where
    a gap is empty, not within the N samples or overlaps another, and where there is nothing but gaps.
    """
    missing = _mask(gaps, len(samples))
    if missing.all():
        raise ValueError("there is nothing but gaps: no sound to fill them from")
    heard = np.where(missing[:, None], np.nan, samples)
    filled, repairs = heard.copy(), []
    for count, (start, stop) in enumerate(sorted(gaps)):
        filled[start:stop], done = _fill(heard, filled, (start, stop), sample_rate, rng)
        repairs.append(done)
        progress((count + 1) / len(gaps))
    return filled, repairs


def _mask(gaps: Sequence[tuple[int, int]], count: int) -> NDArray[np.bool_]:
    missing = np.zeros(count, dtype=bool)
    for start, stop in gaps:
        if not 0 <= start < stop <= count:
            raise ValueError(f"gap {start}:{stop} is empty or not within the {count} samples")
        if missing[start:stop].any():
            raise ValueError(f"gap {start}:{stop} overlaps another")
        missing[start:stop] = True
    return missing


def _fill(
    heard: Array, filled: Array, gap: tuple[int, int], rate: float, rng: np.random.Generator | None
) -> tuple[Array, Repair]:
    """The filling (M, C) of one gap: learned from `heard`, joined to `filled`, in which the gaps before it are."""
    windows = [_window(channel, gap, rate) for channel in heard.T]
    context, order = _plan(windows, rate)
    models = [
        _at_the_joints(window, _fit(window, context, [order])[0].stationary(), rate) for window in windows
    ]
    # With the gaps ahead in reach there are more unknowns than this gap has: normal variates for all of them.
    normals = np.zeros((np.count_nonzero(np.isnan(filled[:, 0])), len(windows)))
    if rng is not None:
        normals = rng.standard_normal(normals.shape) @ _likeness(windows, models, context).T
    parts = [
        _inside(window._replace(y=window.joined(sound)), model, rate, z)
        for window, model, sound, z in zip(windows, models, filled.T, normals.T, strict=True)
    ]
    gain = np.stack([window.gain[slice(*gap)] for window in windows], axis=1)
    filling, mean, variance = (np.stack(values, axis=1) for values in zip(*parts, strict=True))
    error = float((gain**2 * variance).sum())
    power = float(((gain * mean) ** 2).sum()) + error
    snr_db = 10.0 * math.log10(power / error) if error > 0.0 else math.inf
    offsets = [window.offset for window in windows]
    return gain * filling + offsets, Repair(*gap, order, context / rate, snr_db)


def _window(y: Array, gap: tuple[int, int], rate: float) -> _Window:
    """One channel (N,) with its offset and the trend of its level around a gap taken out."""
    near = round(TREND * rate)
    sides = [np.concatenate([np.zeros(0), *side]) for side in _sides(y, gap, near)]
    heard = np.concatenate(sides)
    offset = float(heard.mean()) if heard.size else 0.0
    levels = [float(np.sqrt(np.mean((side - offset) ** 2))) if side.size else 0.0 for side in sides]
    gain = np.ones(y.size)
    if min(levels) > 0.0:
        steepest = STEEPEST_DB / 20.0 * math.log(10.0)
        change = min(max(math.log(levels[1] / levels[0]), -steepest), steepest)
        across = (np.arange(y.size) - 0.5 * sum(gap)) / (gap[1] - gap[0] + near)
        gain = np.exp(change * np.clip(across, -0.5, 0.5))
    return _Window((y - offset) / gain, *gap, gain, offset)


def _sides(y: Array, gap: tuple[int, int], count: int) -> tuple[list[Array], list[Array]]:
    """The `count` samples heard next to a gap on its left and on its right, in pieces without holes."""
    start, stop = gap
    first = max(0, start - 3 * count)
    before = first + np.flatnonzero(~np.isnan(y[first:start]))[-count:]
    after = stop + np.flatnonzero(~np.isnan(y[stop : stop + 3 * count]))[:count]
    return tuple(
        np.split(y[i], np.flatnonzero(np.diff(i) > 1) + 1) if i.size else [] for i in (before, after)
    )  # type: ignore[return-value]


def _pieces(window: _Window, context: int) -> list[Array]:
    left, right = _sides(window.y, window.gap, context)
    return [*left, *right]


def _fit(window: _Window, context: int, orders: Sequence[int]) -> list[AutoRegression]:
    return fit_autoregressions(_pieces(window, context), orders)


def _at_the_joints(window: _Window, model: AutoRegression, rate: float) -> AutoRegression:
    """The same with the innovations that are heard next to the gap: a long context may be louder, or quieter."""
    near = round(NEAR * rate) + model.order
    left, right = _sides(window.y, window.gap, near)
    inwards = [
        piece
        for side in (left, [piece[::-1] for piece in right])
        for piece in side
        if piece.size > model.order
    ]
    powers = [float(np.mean(np.convolve(piece, model.whitening, "valid") ** 2)) for piece in inwards]
    if not powers or max(powers) == 0.0:
        return model
    quiet, loud = max(min(powers), QUIETEST * max(powers)), max(powers)
    return replace(model, innovation_variance=math.sqrt(quiet * loud))


def _runs(window: _Window) -> tuple[int, int]:
    """How many samples are heard without a hole, next to the gap on its left and on its right."""
    sides = np.isnan(window.y[: window.start][::-1]), np.isnan(window.y[window.stop :])
    left, right = (int(np.argmax(side)) if side.any() else side.size for side in sides)
    return left, right


def _plan(windows: Sequence[_Window], rate: float) -> tuple[int, int]:
    """Context and order, samples, with which trial gaps are filled best over all channels."""
    trials = [trial for window in windows for trial in _trials(window, rate)]
    scores: dict[tuple[int, int], float] = {}
    for context, orders in _candidates(windows, rate):
        errors = [_errors_db(trial, context, orders, rate) for trial in trials]
        mean = np.mean(errors, axis=0) if errors else -np.arange(len(orders))
        scores |= {(context, order): float(score) for order, score in zip(orders, mean, strict=True)}
    return min(scores, key=lambda plan: scores[plan])


def _candidates(windows: Sequence[_Window], rate: float) -> Iterator[tuple[int, list[int]]]:
    """Contexts and the orders that can be fitted to each, samples; one and order 0 at least."""
    window = windows[0]
    for seconds in CONTEXTS:
        context = max(round(seconds * rate), 1)
        sizes = [piece.size for piece in _pieces(window, context)]
        highest = min(LARGEST_ORDER, max(_runs(window)), max(sizes) - 1, int(sum(sizes) / LEAST_CONTEXT))
        yield context, sorted({max(0, min(round(order * rate), highest)) for order in ORDERS})


def _trials(window: _Window, rate: float) -> Iterator[_Trial]:
    """One more gap to the left of the real one, and one to its right, where there is sound."""
    length = min(window.stop - window.start, max(1, round(LONGEST_TRIAL * rate)))
    margin = round(TRIAL_MARGIN * rate)
    left, right = window.start - margin - length, window.stop + margin
    for start, side in ((left, slice(0, window.start)), (right, slice(window.stop, None))):
        truth = window.y[max(start, 0) : start + length].copy()
        if start >= 0 and truth.size == length and np.isfinite(truth).all() and truth.any():
            y = window.y.copy()
            y[start : start + length] = np.nan
            first = start - (side.start or 0)
            beside = window._replace(y=y[side], start=first, stop=first + length)
            yield _Trial(window._replace(y=y, start=start, stop=start + length), beside, truth)


def _errors_db(trial: _Trial, context: int, orders: Sequence[int], rate: float) -> Array:
    """Error of the mean over the power of what was in a trial gap (P,), for P orders."""
    pieces = _pieces(trial.whole, context)
    errors = np.zeros(len(orders))  # of an order too high for what is left beside the trial: that of silence
    possible = min(max(_runs(trial.beside)), max((piece.size for piece in pieces), default=0) - 1)
    fitted = [order for order in orders if order <= possible]
    for i, model in enumerate(fit_autoregressions(pieces, fitted) if fitted else []):
        error = _inside(trial.beside, model, rate).filling - trial.truth
        errors[i] = 10.0 * math.log10(1e-12 + float(error @ error / (trial.truth @ trial.truth)))
    return errors


def _likeness(windows: Sequence[_Window], models: Sequence[AutoRegression], context: int) -> Array:
    """Factor (C, C) of the correlation between the channels' innovations: a draw is as wide as the recording."""
    surprises = [
        np.concatenate(
            [np.convolve(piece, model.whitening)[: piece.size] for piece in _pieces(window, context)]
        )
        for window, model in zip(windows, models, strict=True)
    ]
    spread = np.array([np.sqrt(np.mean(surprise**2)) or 1.0 for surprise in surprises])
    scaled = np.stack(surprises) / spread[:, None]
    correlation = scaled @ scaled.T / scaled.shape[1]
    np.fill_diagonal(correlation, 1.0)
    return lower_factor(correlation)


def _inside(window: _Window, model: AutoRegression, rate: float, normals: Array | None = None) -> _Inside:
    """The conditional mean in a gap; with standard normal variates for all that is not heard, a draw."""
    if _runs(window)[0] < model.order:  # backwards in time the process has the same law
        count = window.y.size
        turned = window._replace(y=window.y[::-1], start=count - window.stop, stop=count - window.start)
        return _Inside(*(part[::-1] for part in _forwards(turned, model, rate, normals)))
    return _forwards(window, model, rate, normals)


def _forwards(window: _Window, model: AutoRegression, rate: float, normals: Array | None) -> _Inside:
    y, p = window.y.copy(), model.order
    head = max(0, window.stop - window.start - round(BRIDGE * rate))
    first = window.start + head
    drive = np.zeros(head) if normals is None else normals[:head] * math.sqrt(model.innovation_variance)
    before = proceed(model, y[: window.start], np.zeros(head))
    y[window.start : first] = proceed(model, y[: window.start], drive)
    law = condition(model, y[first - p : _end(y, window.stop, p)])
    after = law.mean[: window.stop - first]
    drawn = law.mean if normals is None else law.mean + law.paths(normals[head : head + law.mean.size])
    y[first : window.stop] = drawn[: after.size]
    impulse = proceed(model, np.zeros(p), np.eye(1, head)[0]) if head else before
    variance = law.variance(PROBES, np.random.default_rng(0))[: after.size]
    return _Inside(
        y[window.start : window.stop],
        np.append(before, after),
        np.append(model.innovation_variance * np.cumsum(impulse**2), variance),
    )


def _end(y: Array, stop: int, order: int) -> int:
    """Where `order` samples in a row have been heard after a gap, or the end: what is beyond tells no more."""
    end = stop
    while end < y.size:
        holes = np.flatnonzero(np.isnan(y[end : end + order]))
        if not holes.size:
            return min(end + order, y.size)
        end += int(holes[-1]) + 1
    return end
