"""The questions asked of takes: each keeps its rate of false alarms, and each finds the fault it is there for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from rtsynth.kernels.value import Array
from rtsynth.statespace.goodness import Outcome, Takes, autocovariance, holm, questions, serial, spectrum

N, S = 64, 40  # samples, takes
REPEATS = 200
SURE = 1e-6  # rate of false alarms of each statement below about counts
BANDS = [(0.0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.5)]
DITHER = 1e-3


def stationary(damping: float = 0.1, cycles: float = 0.08, floor: float = 0.05) -> Array:
    """A damped cosine on a white floor, (N, N)."""
    lag = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    return np.exp(-damping * lag) * np.cos(2.0 * np.pi * cycles * lag) + floor * np.eye(N)


def ringing(rank: int = 3) -> Array:
    """Three modes struck once: of rank 6 in 64 samples."""
    poles = np.exp(-0.02 + 2j * np.pi * 0.07 * np.arange(1, rank + 1))
    modes = poles ** np.arange(N)[:, None]
    return (modes @ modes.conj().T).real


def drawn(covariance: Array, rng: np.random.Generator, takes: int = S) -> Array:
    return rng.multivariate_normal(np.zeros(N), covariance, takes, method="eigh")


def asked(sound: Array, covariance: Array, seed: int = 0, mean: Array | None = None) -> dict[str, Outcome]:
    """Every question, by its name."""
    rng = np.random.default_rng([1, seed])
    mean = np.zeros(N) if mean is None else mean
    takes = Takes.dithered(sound, mean, covariance, DITHER, rng)
    return {outcome.statistic: outcome for outcome in questions(takes, BANDS)}


@pytest.fixture(scope="module", params=[stationary, ringing])
def null(request: pytest.FixtureRequest) -> list[dict[str, Outcome]]:
    """All answers where the law holds, many times over."""
    covariance = request.param()
    rng = np.random.default_rng(5)
    return [asked(drawn(covariance, rng), covariance, repeat) for repeat in range(REPEATS)]


# ---- where the law holds ----


@pytest.mark.parametrize("level", [0.01, 0.05, 0.2])
def test_each_question_keeps_its_rate(null: list[dict[str, Outcome]], level: float) -> None:
    """No more p-values below a level than the level says; false alarms of this test: 6 SURE."""
    for statistic in null[0]:
        alarms = sum(outcomes[statistic].p <= level for outcomes in null)
        assert alarms <= stats.binom.isf(SURE, REPEATS, level), statistic


def test_no_question_is_asked_in_vain(null: list[dict[str, Outcome]]) -> None:
    """Paying for many places costs less than a factor of three: false alarms of this test: 6 SURE."""
    for statistic in null[0]:
        alarms = sum(outcomes[statistic].p <= 0.3 for outcomes in null)
        assert alarms >= stats.binom.ppf(SURE, REPEATS, 0.1), statistic


def test_the_whole_keeps_its_rate(null: list[dict[str, Outcome]]) -> None:
    """One question in six failing is as rare as stated: false alarms of this test: SURE."""
    least = [holm([outcome.p for outcome in outcomes.values()]).min() for outcomes in null]
    assert sum(p <= 0.05 for p in least) <= stats.binom.isf(SURE, REPEATS, 0.05)


def test_samples_need_not_follow_one_another() -> None:
    """Without bands: the four questions that do not care."""
    at = np.sort(np.random.default_rng(3).choice(1000, N, replace=False))
    lag = np.abs(np.subtract.outer(at, at))
    covariance = np.exp(-0.01 * lag) * np.cos(0.3 * lag)
    takes = Takes.dithered(
        drawn(covariance, np.random.default_rng(4)), np.zeros(N), covariance, DITHER, np.random.default_rng(5)
    )
    found = questions(takes)
    assert [outcome.statistic for outcome in found] == ["mean", "variance", "normality", "serial"]
    assert min(outcome.p for outcome in found) > 1e-3


def test_nothing_but_a_mean() -> None:
    """A law without variance: the dither alone is random, and the sound has no component to be normal."""
    mean = np.sin(np.arange(N))
    found = asked(np.tile(mean, (S, 1)), np.zeros((N, N)), 0, mean)
    assert min(outcome.p for outcome in found.values()) > 1e-3
    assert found["normality"].p == 1.0
    late = asked(np.tile(mean, (S, 1)), np.zeros((N, N)), 0, np.sin(np.arange(N) - 1e-3))
    assert late["mean"].p < 1e-9


# ---- where it does not ----

Fault = Callable[[Array, np.random.Generator], Array]


def _shifted(sound: Array, rng: np.random.Generator) -> Array:
    return sound + 0.5 * np.sin(2.0 * np.pi * 0.08 * np.arange(N))


def _one_sample_shifted(sound: Array, rng: np.random.Generator) -> Array:
    return sound + (np.arange(N) == 17)


def _louder(sound: Array, rng: np.random.Generator) -> Array:
    return 1.15 * sound


def _a_click_each(sound: Array, rng: np.random.Generator) -> Array:
    return sound + 0.6 * (np.arange(N) == 30) * rng.standard_normal((len(sound), 1))


def _heavy_tailed(sound: Array, rng: np.random.Generator) -> Array:
    """Takes of different loudness, the same on average."""
    return sound * np.sqrt(rng.gamma(2.0, 0.5, (len(sound), 1)))


def _uniform(sound: Array, rng: np.random.Generator) -> Array:
    C = stationary()
    variances, components = np.linalg.eigh(C)
    return rng.uniform(-1.0, 1.0, sound.shape) * np.sqrt(3.0 * variances) @ components.T


def _cut_in_two(sound: Array, rng: np.random.Generator) -> Array:
    """Two halves that know nothing of each other."""
    return np.concatenate([sound[:, : N // 2], np.roll(sound, 1, axis=0)[:, N // 2 :]], axis=1)


def _the_same_four_times(sound: Array, rng: np.random.Generator) -> Array:
    return np.repeat(sound[::4], 4, axis=0)


def _a_line_added(sound: Array, rng: np.random.Generator) -> Array:
    phase = rng.uniform(0.0, 2.0 * np.pi, (len(sound), 1))
    return sound + 0.25 * np.sin(2.0 * np.pi * 0.3 * np.arange(N) + phase)


@pytest.mark.parametrize(
    ("fault", "statistic"),
    [
        (_shifted, "mean"),
        (_one_sample_shifted, "mean"),
        (_louder, "variance"),
        (_a_click_each, "variance"),
        (_heavy_tailed, "normality"),
        (_uniform, "normality"),
        (_cut_in_two, "variance"),
        (_the_same_four_times, "mean"),
        (_a_line_added, "serial"),
        (_a_line_added, "spectrum"),
        (_louder, "autocovariance"),
        (_louder, "spectrum"),
    ],
)
def test_a_fault_is_found(fault: Fault, statistic: str) -> None:
    rng = np.random.default_rng(11)
    sound = drawn(stationary(), rng, 4 * S)
    assert asked(sound, stationary())[statistic].p > 1e-3
    assert asked(fault(sound, rng), stationary())[statistic].p < 1e-6


@pytest.mark.parametrize(
    ("wrong", "statistic"),
    [
        (stationary(damping=0.15), "serial"),
        (stationary(damping=0.2), "autocovariance"),
        (stationary(cycles=0.09), "autocovariance"),
        (stationary(cycles=0.1), "spectrum"),
        (stationary(floor=0.07), "spectrum"),
    ],
    ids=["decay", "decay again", "frequency", "frequency again", "floor"],
)
def test_another_law_is_found(wrong: Array, statistic: str) -> None:
    sound = drawn(stationary(), np.random.default_rng(12), 4 * S)
    assert asked(sound, wrong)[statistic].p < 1e-6


def test_energy_outside_the_range_of_a_ringing_law_is_found() -> None:
    """0.3 % of the amplitude where the law has none: the dither is a third of that."""
    rng = np.random.default_rng(13)
    sound = drawn(ringing(), rng)
    outside = sound + 3e-3 * rng.standard_normal((S, 1)) * np.sin(2.0 * np.pi * 0.4 * np.arange(N))
    assert asked(sound, ringing())["variance"].p > 1e-3
    assert asked(outside, ringing())["variance"].p < 1e-9


def test_a_driving_noise_of_few_values_is_gaussian_once_it_is_heard() -> None:
    """±1 through a resonance passes; a resonance that starts anywhere but on a Gaussian does not."""
    rng = np.random.default_rng(14)
    signs = rng.choice([-1.0, 1.0], (4 * S, 2000 + N))
    sound = np.zeros((4 * S, 2000 + N), complex)
    for t in range(1, 2000 + N):
        sound[:, t] = np.exp(-0.02 + 0.5j) * sound[:, t - 1] + signs[:, t]
    lag = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    taken = sound.real[:, -N:]
    pole = np.exp(-0.02 + 0.5j)
    powers = pole ** np.arange(2000)
    law = np.array([(powers[: 2000 - k].real * powers[k:].real).sum() for k in range(N)])[lag]
    assert asked(taken, law)["normality"].p > 1e-3


# ---- where it is worst ----


def test_the_place_is_told() -> None:
    rng = np.random.default_rng(15)
    sound = drawn(stationary(), rng, 4 * S)
    clicked = asked(_a_click_each(sound, rng), stationary())["variance"]
    assert clicked.axis == "sample"
    assert clicked.place == pytest.approx(30, abs=1)
    with_line = _a_line_added(sound, rng)
    takes = Takes.dithered(with_line, np.zeros(N), stationary(), DITHER, rng)
    assert serial(takes).place == pytest.approx(0.3, abs=1.5 / N)
    in_band = spectrum(takes, BANDS)
    assert (BANDS[int(in_band.place)], in_band.measured > 1.1) == ((0.2, 0.5), True)
    component = asked(_shifted(sound, rng), stationary())["mean"]
    assert component.direction is not None
    peak = np.argmax(np.abs(np.fft.rfft(component.direction, 16 * N))) / (16 * N)
    assert peak == pytest.approx(0.08, abs=1.0 / N)


def test_an_autocovariance_is_relative_to_its_power() -> None:
    covariance = stationary()
    sound = drawn(covariance, np.random.default_rng(16), 4000)
    found = autocovariance(Takes.dithered(sound, np.zeros(N), covariance, DITHER, np.random.default_rng(17)))
    lag = int(found.place)
    stated = np.trace(covariance, lag) / np.trace(covariance)
    assert found.stated == pytest.approx(stated, abs=1e-4)
    assert found.measured == pytest.approx(stated, abs=0.02)


# ---- many questions, and wrong ones ----


def test_holm_is_the_step_down_of_the_book() -> None:
    rng = np.random.default_rng(18)
    for _ in range(50):
        p = rng.uniform(0.0, 0.05, 9) ** 2
        adjusted = holm(p)
        for level in (0.001, 0.01, 0.05):
            rejected = np.zeros(9, bool)
            for step, index in enumerate(np.argsort(p)):  # until the first that is not below
                if p[index] > level / (9 - step):
                    break
                rejected[index] = True
            np.testing.assert_array_equal(adjusted <= level, rejected)


def test_not_a_number_is_the_worst_p() -> None:
    assert holm([0.5, np.nan, 0.2])[1] == 0.0


@pytest.mark.parametrize(
    ("takes", "mean", "covariance", "dither", "complaint"),
    [
        (np.zeros((1, 4)), np.zeros(4), np.eye(4), 1.0, "S >= 2"),
        (np.zeros((3, 5)), np.zeros(4), np.eye(4), 1.0, "want"),
        (np.zeros((3, 4)), np.zeros(4), np.eye(5), 1.0, "want"),
        (np.full((3, 4), np.nan), np.zeros(4), np.eye(4), 1.0, "not finite"),
        (np.zeros((3, 4)), np.zeros(4), np.eye(4), 0.0, "dither"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    takes: Array, mean: Array, covariance: Array, dither: float, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Takes.dithered(takes, mean, covariance, dither, np.random.default_rng(0))
