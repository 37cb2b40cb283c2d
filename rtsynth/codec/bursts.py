"""Bursts of noise beside the modes of a stroke: which bands, how loud and how long.

Every burst is one of COUNT bands and dies away exponentially; a band may have two. Levels by maximum likelihood against
what the modes leave of the recording in three resolutions (fitting/gains.py), then the least heard are left out.

A band's law is that of two sections of native/bands.h, whose power response is (1 + (f/b)²)^-2; its equivalent
rectangle is π/2 b wide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.event import BURST, Events
from rtsynth.instrument.fitting.gains import HAZE, most_likely, two_decays
from rtsynth.instrument.fitting.gains import knots as knots_of
from rtsynth.instrument.fitting.metrics import Frames, erb_triangles
from rtsynth.instrument.fitting.noise import Bands, erb_bands, expected_power
from rtsynth.instrument.fitting.recording import Array
from rtsynth.instrument.fitting.views import Heard, View, calibrated, views

COUNT = 12  # bands
SHORTEST, LONGEST, TRIED = 0.03, 30.0, 12  # seconds of t60, and how many are tried
DIPS = 7  # frames: noise that is softer for a shorter time has not ended
LOUDER = 0.1  # of later frames, in which a burst or a mode may be louder than what is heard: levels of noise scatter
VALLEYS_FROM = 0.4  # seconds: in shorter stretches there are too few frames to see between partials
LN_MILLION = 6.0 * np.log(10.0)  # power falls by it in t60
NO_BURST = np.array([-30.0, 0.0, 0.0, 0.0, 0.0])  # (5,) of a strike's vector


@dataclass(frozen=True, eq=False)
class Bursts:
    """K bursts that begin together: unit-variance bands × level × exp(-3 ln 10 t / t60)."""

    centre: Array  # (K,) hertz
    width: Array  # (K,) hertz, equivalent rectangular
    level: Array  # (K,) rms, linear
    t60: Array  # (K,) seconds

    def __len__(self) -> int:
        return self.centre.size

    def __getitem__(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Bursts:
        return Bursts(self.centre[which], self.width[which], self.level[which], self.t60[which])

    def at(self, seconds: float) -> Bursts:
        """What is left of them after `seconds`."""
        fallen = np.exp(-0.5 * LN_MILLION * max(seconds, 0.0) / self.t60)
        return replace(self, level=self.level * fallen)

    def power(self, times: Array) -> Array:
        """Power (T, K) at times (T,), seconds."""
        falls = np.exp(-LN_MILLION * np.maximum(times, 0.0)[:, None] / self.t60)
        return np.where(times[:, None] >= 0.0, self.level**2 * falls, 0.0)


def law(bands: Bands, lag: Array) -> Array:
    """Covariance (B, K) at lags (K,), seconds, of bands whose equivalent rectangle is twice their width."""
    decay = 8.0 * bands.width[:, None] * np.abs(lag)
    return (1.0 + decay) * np.exp(-decay) * np.cos(2.0 * np.pi * bands.centre[:, None] * lag)


def joined(parts: list[Bursts]) -> Bursts:
    fields = ("centre", "width", "level", "t60")
    return Bursts(*(np.concatenate([np.zeros(0), *(getattr(part, f) for part in parts)]) for f in fields))


def fit_bursts(heard: Heard, most: int, before: Bursts) -> Bursts:
    """At most `most` bursts from the onset on, beside those `before` that still sound, loudest first."""
    bands = erb_bands(COUNT, heard.sample_rate)
    seconds = (heard.recording.size - heard.onset) / heard.sample_rate
    times = knots_of(seconds)
    older = _on_bands(before, bands, times)
    haze = HAZE if seconds > VALLEYS_FROM else 0.0
    seen = [_with(view, older) for view in views(heard, bands, times, haze, law)]
    tried = np.geomspace(SHORTEST, LONGEST, TRIED)
    many = _falling(np.tile(tried, (COUNT, 1)), times)
    t60 = np.stack([two_decays(tried, share) for share in _shares(many, most_likely(seen, many))])
    few = _falling(t60, times)
    if haze:
        power = older + _power(few, most_likely(seen, few))
        seen = [calibrated(view, heard, bands, power, law=law) if view.valleys else view for view in seen]
    power = _fewest(seen[0], few, most_likely(seen, few), most)
    band, which = np.nonzero(power)
    found = Bursts(bands.centre[band], 2.0 * bands.width[band], np.sqrt(power[band, which]), t60[band, which])
    return _loudest_first(found)


def _on_bands(bursts: Bursts, bands: Bands, times: Array) -> Array:
    """Power (T, B) of bursts in the bands nearest to theirs."""
    out = np.zeros((times.size, bands.count))
    nearest = np.abs(np.log(bursts.centre[:, None] / bands.centre)).argmin(axis=1) if len(bursts) else []
    for band, power in zip(nearest, bursts.power(times).T, strict=True):
        out[:, band] += power
    return out


def _with(view: View, power: Array) -> View:
    """The view with noise of power (T, B) taken for given."""
    return replace(view, tonal=view.expected(power)) if power.any() else view


def _falling(t60: Array, times: Array) -> Array:
    """Powers (B, T, D) at times (T,) of unit bursts of t60 (B, D)."""
    return np.exp(-LN_MILLION * times[None, :, None] / t60[:, None, :])


def _power(basis: Array, weights: Array) -> Array:
    return np.asarray((basis @ weights[:, :, None])[:, :, 0].T)


def _shares(basis: Array, weights: Array) -> Array:
    """(B, D): the mean share of each decay in the power of its band."""
    parts = basis * weights[:, None, :]
    return np.asarray((parts / (parts.sum(axis=2, keepdims=True) + 1e-30)).mean(axis=1))


def _fewest(cells: View, basis: Array, weights: Array, most: int) -> Array:
    """Weights (B, D) of which at most `most` are left: whatever can go with the least harm to the cells has gone."""
    weights = weights.copy()
    weights[weights < 1e-9 * weights.max(initial=0.0)] = 0.0
    shares = np.stack([cells.window @ one for one in basis])  # (B, F, D)
    expected = cells.expected(_power(basis, weights))
    wanted = np.log(cells.seen)
    cost = np.sum(cells.weight * np.abs(np.log(expected) - wanted))
    while np.any(weights > 0.0):
        there = np.argwhere(weights > 0.0)
        parts = [np.outer(shares[b][:, d], cells.response[:, b]) * weights[b, d] for b, d in there]
        costs = [
            np.sum(cells.weight * np.abs(np.log(np.maximum(expected - part, 1e-30)) - wanted))
            for part in parts
        ]
        least = int(np.argmin(costs))
        if len(there) <= most and costs[least] > cost:
            break
        expected, cost = np.maximum(expected - parts[least], 1e-30), costs[least]
        weights[tuple(there[least])] = 0.0
    return weights


def _loudest_first(bursts: Bursts) -> Bursts:
    return bursts[np.argsort(-(bursts.level**2) * bursts.t60, kind="stable")]


def fading(bursts: Bursts, heard: Array, frames: Frames, sample_rate: float, since: Array) -> Bursts:
    """The bursts, gone sooner where they would be louder than what is heard later.

    heard (F, bands): energies in ENV's cells of frames whose middles are `since` (F,) seconds after their start.
    """
    from scipy.ndimage import maximum_filter1d

    later = since > 0.0
    if not len(bursts) or not later.any():
        return bursts
    each = expected_power(Bands(bursts.centre, 0.5 * bursts.width), frames, sample_rate, law)
    response = each @ erb_triangles(frames.n_fft, sample_rate).T
    where = response.argmax(axis=1)
    level = bursts.level**2 * np.take_along_axis(response, where[:, None], axis=1)[:, 0]
    heard = maximum_filter1d(heard[later], DIPS, axis=0)[:, where]
    excess = np.log(level / (heard + 1e-300))
    t60 = LN_MILLION * since[later][:, None] / np.maximum(excess, 1e-9)
    return replace(bursts, t60=np.clip(np.quantile(t60, LOUDER, axis=0), SHORTEST, bursts.t60))


def burst_vector(bursts: Bursts, index: int, gain: float) -> Array:
    """The 5 numbers of one burst, its level re `gain`, ln amplitude."""
    level = np.log(max(bursts.level[index], 1e-300)) - gain
    centre, width, t60 = (np.log(field[index]) for field in (bursts.centre, bursts.width, bursts.t60))
    return np.array([max(level, NO_BURST[0]), centre, width, t60, 0.0])


def bursts_of(events: Events) -> Bursts:
    """The bursts of strikes (N,) that begin at one time; attacks are not looked at."""
    fields = events["vector"][:, BURST].astype(np.float64)
    there = fields[:, 0] > NO_BURST[0]
    level, centre, width, t60, _ = fields[there].T
    return Bursts(np.exp(centre), np.exp(width), np.exp(level + events["gain"][there]), np.exp(t60))


def cells_of(bursts: Bursts, frames: Frames, sample_rate: float, count: int, begin: float) -> Array:
    """Energies (count, bands) expected in ENV's cells of bursts that begin at `begin`, a time in samples."""
    triangles = erb_triangles(frames.n_fft, sample_rate)
    if not len(bursts):
        return np.zeros((count, len(triangles)))
    response = (
        expected_power(Bands(bursts.centre, 0.5 * bursts.width), frames, sample_rate, law) @ triangles.T
    )
    points = (np.arange(32) + 0.5) / 32.0 * frames.window.size
    share = np.interp(points, np.arange(frames.window.size) + 0.5, frames.window) ** 2
    at = (np.arange(count)[:, None] * frames.hop + points - 0.5 * frames.window.size - begin) / sample_rate
    power = bursts.power(at.ravel()).reshape(*at.shape, len(bursts))
    return np.asarray(np.einsum("p,fpk->fk", share / share.sum(), power) @ response)
