"""Does a set of takes follow a stated Gaussian law? Exact or saddlepoint null distributions, one p-value a question.

S takes of a window of n samples are compared with their stated mean and covariance. Takes are whitened twice: by
the principal components of the covariance (Karhunen and Loève), which tell a frequency, and by its Cholesky
factor, whose outputs are the innovations, which tell a time. Both are independent standard normals if and only if
the takes have the law.

A dither that is part of the stated law makes every covariance regular: a note that rings has fewer dimensions than
samples, and what float32 rounds off must not be mistaken for a dimension. It is the smallest thing the test can see.

A question asked at many places (components, samples, lags, bands) pays for all of them (Bonferroni), which is what a
simultaneous band is: p < level where the figure leaves its band anywhere. `holm` does the same over questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.linalg import solve_triangular

from rtsynth.kernels.value import Array
from rtsynth.statespace.quadratic_form import tails

TAPERS = 3  # sine tapers (Riedel and Sidorenko, 1995) of the spectrum: leakage falls as f^-4 in power
COMMON = (
    1.0 / 6.0
)  # of the dither, once for the mean of all takes: a rounding common to all does not average out
AUDIBLE = 4.0  # times the dither's power: components above it are the sound's, those below the test's own
KEPT = 1e-4  # of the power may be left out of the shape, never of the mean, of an autocovariance's law
SERIAL_LAGS = 64
LAGS = 12


class Outcome(NamedTuple):
    """One question's answer, worst place first; `p` is two-sided and has paid for the places looked at.

    `axis` says what `place` is: a sample of the window, a lag in samples, a band's index, cycles a sample; or that
    `direction` (n,), a principal component, is the place. `measured` and `stated` are, by statistic:
    mean: in its own standard deviations, 0; variance, spectrum, serial: power relative to that stated, 1;
    normality: kurtosis, 3; autocovariance: over the stated one at lag 0.
    """

    statistic: str
    p: float
    axis: Literal["sample", "lag", "band", "cycles", "component", "none"] = "none"
    place: float = 0.0
    direction: Array | None = None
    measured: float = float("nan")
    stated: float = float("nan")


@dataclass(frozen=True, eq=False)
class Takes:
    """S takes of n samples with the dither added, less their stated mean, and their stated covariance, dither included.

    Build by `dithered`. ValueError there for shapes that do not fit or a value that is not finite.
    """

    deviations: Array  # (S, n)
    covariance: Array  # (n, n)
    dither: float  # standard deviation
    common: Array  # (n,): the dither of the takes' mean

    @classmethod
    def dithered(
        cls, takes: ArrayLike, mean: ArrayLike, covariance: ArrayLike, dither: float, rng: np.random.Generator
    ) -> Takes:
        """takes (S, n), stated mean (n,) and covariance (n, n); the dither's standard deviation, > 0."""
        y, m, C = (np.asarray(part, dtype=np.float64) for part in (takes, mean, covariance))
        n = m.size
        if y.ndim != 2 or y.shape[1] != n or C.shape != (n, n) or y.shape[0] < 2:
            raise ValueError(
                f"takes {y.shape}, mean {m.shape}, covariance {C.shape}: want (S, n), (n,), (n, n), S >= 2"
            )
        if not (np.isfinite(y).all() and np.isfinite(m).all() and np.isfinite(C).all()):
            raise ValueError("takes, mean or covariance: not finite")
        if not dither > 0.0:
            raise ValueError(f"dither: wants a standard deviation > 0, got {dither!r}")
        deviations = y - m + dither * rng.standard_normal(y.shape)
        common = COMMON * dither * rng.standard_normal(n)
        return cls(deviations, 0.5 * (C + C.T) + dither**2 * np.eye(n), dither, common)

    @property
    def count(self) -> int:
        return self.deviations.shape[0]

    @property
    def length(self) -> int:
        return self.deviations.shape[1]

    @cached_property
    def principal(self) -> tuple[Array, Array]:
        """Variances (n,), rising, and the components (n, n), a column each."""
        variances, components = np.linalg.eigh(self.covariance)
        # A stated covariance may be negative by its own rounding, the dither's variance is its floor.
        return np.maximum(variances, 0.5 * self.dither**2), components

    @cached_property
    def scores(self) -> Array:
        """The takes in standard deviations of the principal components, (S, n)."""
        variances, components = self.principal
        return self.deviations @ components / np.sqrt(variances)

    @cached_property
    def innovations(self) -> Array:
        """What each sample brings that those before it did not tell, in its standard deviation, (S, n)."""
        variances, components = self.principal
        factor = np.linalg.cholesky((components * variances) @ components.T)
        return solve_triangular(factor, self.deviations.T, lower=True).T


def questions(takes: Takes, bands: Sequence[tuple[float, float]] = ()) -> list[Outcome]:
    """Every question that fits the window: autocovariance and spectrum where `bands` (cycles a sample) are given.

    They need samples that follow one another; the others take any.
    """
    found = [mean(takes), variance(takes), normality(takes), serial(takes)]
    return [*found, autocovariance(takes), spectrum(takes, bands)] if bands else found


def mean(takes: Takes) -> Outcome:
    """The mean of the takes against that stated: in all, in every principal component, at every sample."""
    variances, components = takes.principal
    own = (COMMON * takes.dither) ** 2
    average = takes.deviations.mean(axis=0) + takes.common
    scores = average @ components / np.sqrt(variances / takes.count + own)
    at_samples = average / np.sqrt(np.diag(takes.covariance) / takes.count + own)
    in_all = _two_sided(stats.chi2(takes.length), float(np.square(scores).sum()))
    worst, sample = int(np.argmax(np.abs(scores))), int(np.argmax(np.abs(at_samples)))
    in_component = _everywhere(2.0 * float(stats.norm.sf(abs(scores[worst]))), takes.length)
    at_sample = _everywhere(2.0 * float(stats.norm.sf(abs(at_samples[sample]))), takes.length)
    p = _everywhere(min(in_all, in_component, at_sample), 3)
    if at_sample < in_component:
        return Outcome("mean", p, "sample", sample, None, float(at_samples[sample]), 0.0)
    return Outcome("mean", p, "component", 0.0, components[:, worst], float(scores[worst]), 0.0)


def variance(takes: Takes) -> Outcome:
    """The power of the takes: in all, in every principal component, of the innovation at every sample."""
    by_component = np.square(takes.scores).sum(axis=0)
    by_sample = np.square(takes.innovations).sum(axis=0)
    in_all = _two_sided(stats.chi2(takes.count * takes.length), float(by_component.sum()))
    law = stats.chi2(takes.count)
    of_components, of_samples = _two_sided_each(law, by_component), _two_sided_each(law, by_sample)
    worst, sample = int(np.argmin(of_components)), int(np.argmin(of_samples))
    in_component = _everywhere(float(of_components[worst]), takes.length)
    at_sample = _everywhere(float(of_samples[sample]), takes.length)
    p = _everywhere(min(in_all, in_component, at_sample), 3)
    if at_sample < in_component:
        return Outcome("variance", p, "sample", sample, None, by_sample[sample] / takes.count, 1.0)
    direction = takes.principal[1][:, worst]
    return Outcome("variance", p, "component", 0.0, direction, by_component[worst] / takes.count, 1.0)


def normality(takes: Takes) -> Outcome:
    """Kolmogorov and Smirnov's distance, and the kurtosis (Anscombe and Glynn), of the audible principal components.

    A component is a sum over the window, so this asks whether the sound is Gaussian, not whether every single random
    number behind it was: a driving noise of another distribution passes where enough of its numbers add up.
    """
    audible = takes.principal[0] > AUDIBLE * takes.dither**2
    scores = np.sort(takes.scores[:, audible], axis=None)
    if scores.size < 20:  # Anscombe and Glynn's least
        return Outcome("normality", 1.0)
    distance = _two_sided_kolmogorov(scores)
    tail_weight = float(stats.kurtosistest(scores).pvalue)
    p = _everywhere(min(distance, tail_weight), 2)
    return Outcome("normality", p, "none", 0.0, None, float(stats.kurtosis(scores, fisher=False)), 3.0)


def serial(takes: Takes) -> Outcome:
    """Innovations along time: Ljung and Box's sum over lags, takes together, and the oddest bin of their spectrum."""
    e, n = takes.innovations, takes.length
    lags = np.arange(1, min(SERIAL_LAGS, n // 4) + 1)
    products = np.array([np.sum(e[:, lag:] * e[:, :-lag]) for lag in lags])
    portmanteau = float((products**2 / (takes.count * (n - lags))).sum())
    p_lags = _two_sided(stats.chi2(lags.size), portmanteau)
    bins = np.arange(1, (n + 1) // 2)  # without the mean and the Nyquist frequency, which are real
    power = (np.abs(np.fft.rfft(e, axis=1)[:, bins]) ** 2).sum(axis=0) * 2.0 / n
    of_bins = _two_sided_each(stats.chi2(2 * takes.count), power)
    worst = int(np.argmin(of_bins))
    p = _everywhere(min(p_lags, _everywhere(float(of_bins[worst]), bins.size)), 2)
    relative = float(power[worst] / (2 * takes.count))
    return Outcome("serial", p, "cycles", float(bins[worst] / n), None, relative, 1.0)


def autocovariance(takes: Takes) -> Outcome:
    """The window's mean product at each of a few lags, against its stated law: a quadratic form of the takes."""
    n = takes.length
    lags = np.unique(np.round(np.geomspace(1, n // 2, LAGS)).astype(int))
    lags = np.concatenate([[0], lags])
    variances, components = takes.principal
    share = np.cumsum(variances) / variances.sum()
    kept = share > KEPT
    root = components[:, kept] * np.sqrt(variances[kept])
    scale = float(np.trace(takes.covariance))
    found = []
    for lag in lags:
        stated = float(np.trace(takes.covariance, int(lag)))
        products = float(np.sum(takes.deviations[:, lag:] * takes.deviations[:, : n - lag]))
        half = root[lag:].T @ root[: n - lag]
        weights = np.linalg.eigvalsh(0.5 * (half + half.T))
        left_out = takes.count * (stated - float(weights.sum()))
        p = tails(weights, takes.count, products - left_out).two_sided
        found.append((p, int(lag), products / takes.count / scale, stated / scale))
    p, at, measured, stated = min(found)
    return Outcome("autocovariance", _everywhere(p, lags.size), "lag", at, None, measured, stated)


def spectrum(takes: Takes, bands: Sequence[tuple[float, float]]) -> Outcome:
    """The power in bands (low, high) in cycles a sample, by sine tapers, against its stated law."""
    found = []
    for index, (low, high) in enumerate(bands):
        waves = tapered_waves(takes.length, low, high)
        weights = np.linalg.eigvalsh(waves.T @ takes.covariance @ waves)
        power = float(np.square(takes.deviations @ waves).sum())
        p = tails(weights, takes.count, power).two_sided
        found.append((p, index, power / takes.count / float(weights.sum())))
    p, worst, relative = min(found)
    return Outcome("spectrum", _everywhere(p, len(bands)), "band", worst, None, relative, 1.0)


def tapered_waves(length: int, low: float, high: float) -> Array:
    """Cosines and sines under sine tapers at the bins from low to high cycles a sample, or in between: (length, m)."""
    bins = np.arange(int(np.ceil(low * length)), int(np.ceil(high * length)))
    if not bins.size:
        bins = np.array([round(0.5 * (low + high) * length)])
    t = np.arange(length)
    tapers = np.sin(np.pi * np.outer(t + 1, np.arange(1, TAPERS + 1)) / (length + 1))
    angle = 2.0 * np.pi / length * np.outer(t, bins)
    waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    return (tapers[:, :, None] * waves[:, None, :]).reshape(length, -1)


def holm(p: ArrayLike) -> Array:
    """Adjusted p-values (m,) of m questions: where one is below a level, so is the rate of any false alarm.

    Holm, A simple sequentially rejective multiple test procedure, 1979: whatever the questions have to do with
    each other. Not a number counts as 0, so that it is found.
    """
    p = np.where(np.isnan(p), 0.0, np.asarray(p, dtype=np.float64))
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (p.size - np.arange(p.size)))
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _everywhere(p: float, places: int) -> float:
    return min(1.0, p * places)


def _two_sided(law: stats.distributions.rv_frozen, value: float) -> float:
    return float(_two_sided_each(law, np.array([value]))[0])


def _two_sided_each(law: stats.distributions.rv_frozen, values: Array) -> Array:
    return np.minimum(1.0, 2.0 * np.minimum(law.cdf(values), law.sf(values)))


def _two_sided_kolmogorov(ordered: Array) -> float:
    """P-value of the largest distance between the steps of `ordered` (N,) and the standard normal."""
    count = ordered.size
    cdf = stats.norm.cdf(ordered)
    steps = np.arange(count + 1) / count
    distance = max(float((steps[1:] - cdf).max()), float((cdf - steps[:-1]).max()))
    return float(stats.kstwo.sf(distance, count))
