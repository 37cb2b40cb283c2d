"""Takes of a preset through the compiled voices, float32 as they are played, against the law that it states.

Every scenario is a passage of messages rendered with many seeds in blocks of odd sizes; windows of it are compared with
`passage.law` by `statespace.goodness`. The rate of any false alarm over all the questions of a run is at most `alarm`.
`law` is the deterministic part of the same proof: every Gaussian on its own, for the first samples of a note.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import UsageError
from rtsynth.instrument.instrument import Instrument
from rtsynth.instrument.passage import law
from rtsynth.instrument.preset import Preset
from rtsynth.instrument.rows import Channel
from rtsynth.instrument.scenarios import Scenario, Window, scenarios
from rtsynth.messages import Messages
from rtsynth.statespace.goodness import Outcome, Takes, holm, questions

Array = NDArray[np.float64]

TAKES = 512
LEAST_TAKES = 8
ALARM = 1e-4  # rate of false alarms of a whole run
BLOCKS = (7, 50, 33, 47, 30, 129, 1, 64, 151)  # samples, from a whole window's start
LONG_BLOCK = 2047  # everywhere else

# The dither: the least that is seen. A row's phase drifts by the rounding of one float32 rotation a segment, 2e-5 to
# 5e-5 rad/s (measured), and whitening sees √n times finer than a sample; -94 dB of full scale covers what is culled at
# -120 dB.
DITHER, DITHER_PER_SECOND = 1e-4, 2e-3  # of the window's rms
DITHER_FLOOR = 2e-5


@dataclass(frozen=True, eq=False)
class Verdict:
    """One question about one window; times and frequencies in seconds and hertz."""

    scenario: str
    start: float  # of the window, seconds since the passage's start
    end: float
    statistic: str
    p: float
    adjusted_p: float  # for all questions of the run (Holm)
    alarm: float
    where: str  # the worst place
    measured: float
    stated: float

    @property
    def ok(self) -> bool:
        return self.adjusted_p > self.alarm  # False for NaN too

    @property
    def text(self) -> str:
        """A line for people: where it is worst, by how much, how likely that is."""
        where = f" at {self.where}" if self.where else ""
        span = f"{1e3 * self.start:.0f}-{1e3 * self.end:.0f} ms"
        return f"{self.scenario}, {span}: {self.statistic}{where}{self._figure} (p {self.p:.2g})"

    @property
    def _figure(self) -> str:
        if np.isnan(self.measured):
            return ""
        if self.statistic == "mean":
            return f": off by {self.measured:+.1f} standard deviations"
        if self.statistic in ("normality", "autocovariance"):
            return f": {self.measured:.3f} for {self.stated:.3f}"
        return f": {10.0 * np.log10(max(self.measured, 1e-30)):+.2f} dB"


def check_arguments(takes: int, seed: int) -> None:
    """UsageError for fewer than 8 takes or a seed below 0."""
    if takes < LEAST_TAKES or seed < 0:
        raise UsageError(
            f"selftest: wants at least {LEAST_TAKES} takes and a seed of at least 0, got {takes} and {seed}."
            " Help: rtsynth selftest --help"
        )


# --- playing ----------------------------------------------------------------------------------------------------------


def play(instrument: Instrument, scenario: Scenario, seeds: Sequence[int]) -> list[Array]:
    """A take a seed, (S, n) for every window: the compiled loop in blocks of odd sizes, cut at messages too."""
    takes = [np.empty((len(seeds), window.at.size)) for window in scenario.windows]
    blocks = list(_blocks(scenario))
    for row, seed in enumerate(seeds):
        instrument.bank.record.seed = seed
        instrument.reset()
        out = np.zeros((2, scenario.length), instrument.bank.real)
        for due, start, end in blocks:
            instrument.run(due, out[0, start:end], out[1, start:end])
        heard = _channel(out, scenario.channel)
        for window, take in zip(scenario.windows, takes, strict=True):
            take[row] = heard[window.at]
    instrument.reset()
    return takes


def _blocks(scenario: Scenario) -> Iterator[tuple[Messages, int, int]]:
    """(messages due, first sample, end) of every block."""
    times, near = scenario.messages["time"], np.cumsum(BLOCKS)
    joins = [window.at[0] + near for window in scenario.windows if window.whole]
    edges = np.unique(np.concatenate([*joins, times, np.arange(0, scenario.length, LONG_BLOCK)]))
    edges = np.append(edges[edges < scenario.length], scenario.length)
    for start, end in itertools.pairwise(edges):
        yield scenario.messages[times == start], int(start), int(end)


def _channel(out: NDArray[np.floating], channel: Channel) -> Array:
    if channel == "mid":
        return out.mean(axis=0, dtype=np.float64)
    return out[0 if channel == "left" else 1].astype(np.float64)


# --- comparing --------------------------------------------------------------------------------------------------------


def examine(
    preset: Preset,
    *,
    takes: int = TAKES,
    seed: int = 1,
    alarm: float = ALARM,
    sample_rate: float = 48000.0,
    played: Instrument | None = None,
    chosen: Sequence[Scenario] | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Verdict]:
    """Every question about every window of `chosen` (default: `scenarios`), in their order.

    `played` is what sounds, prepared at the sample rate: an instrument of the preset where none is given. Takes are
    those of seeds seed takes … seed takes + takes - 1, so that no two seeds share one. The same arguments give the same
    verdicts. UsageError as from `check_arguments`.
    """
    check_arguments(takes, seed)
    if played is None:
        played = Instrument(preset)
        played.prepare(sample_rate)
    chosen = scenarios(preset, sample_rate=sample_rate) if chosen is None else chosen
    seeds = range(seed * takes, (seed + 1) * takes)
    asked: list[tuple[Scenario, Window, Outcome]] = []
    for number, scenario in enumerate(chosen):
        for part, (window, heard) in enumerate(
            zip(scenario.windows, play(played, scenario, seeds), strict=True)
        ):
            rng = np.random.default_rng([seed, number, part])
            found = _compare(preset, scenario, window, heard, sample_rate, rng)
            asked += [(scenario, window, outcome) for outcome in found]
            progress((number + (part + 1) / len(scenario.windows)) / len(chosen))
    adjusted = holm([outcome.p for _, _, outcome in asked])
    return [
        _verdict(*question, float(p), alarm, sample_rate) for question, p in zip(asked, adjusted, strict=True)
    ]


def _compare(
    preset: Preset,
    scenario: Scenario,
    window: Window,
    heard: Array,
    sample_rate: float,
    rng: np.random.Generator,
) -> list[Outcome]:
    mean, covariance = law(
        preset, scenario.messages, window.at, sample_rate=sample_rate, channel=scenario.channel
    )
    if not np.isfinite(heard).all():
        return [Outcome("finite", 0.0, "sample", float(np.argmin(np.isfinite(heard).all(axis=0))))]
    rms = float(np.sqrt(np.mean(np.square(mean) + np.diag(covariance))))
    dither = rms * (DITHER + DITHER_PER_SECOND * float(window.at[-1]) / sample_rate)
    takes = Takes.dithered(heard, mean, covariance, max(dither, DITHER_FLOOR), rng)
    return questions(takes, erb_bands(window.at.size, sample_rate) if window.whole else ())


def erb_bands(length: int, sample_rate: float) -> list[tuple[float, float]]:
    """Bands (low, high) in cycles a sample, an ERB wide (Glasberg and Moore, 1990), or 2/length where that is more."""
    edges = [0.0]
    while edges[-1] < 0.5:
        erb = 24.7 * (1.0 + 0.00437 * edges[-1] * sample_rate) / sample_rate
        edges.append(edges[-1] + max(erb, 2.0 / length))
    edges[-1] = 0.5
    return list(itertools.pairwise(edges))


def _verdict(
    scenario: Scenario, window: Window, outcome: Outcome, adjusted: float, alarm: float, sample_rate: float
) -> Verdict:
    start, end = float(window.at[0] / sample_rate), float((window.at[-1] + 1) / sample_rate)
    where = _place(outcome, window, sample_rate)
    measured, stated = float(outcome.measured), float(outcome.stated)
    return Verdict(
        scenario.name, start, end, outcome.statistic, outcome.p, adjusted, alarm, where, measured, stated
    )


def _place(outcome: Outcome, window: Window, sample_rate: float) -> str:
    if outcome.axis == "sample":
        return f"{1e3 * window.at[int(outcome.place)] / sample_rate:.2f} ms"
    if outcome.axis == "lag":
        return f"lag {1e3 * outcome.place / sample_rate:.2f} ms"
    if outcome.axis == "band":
        low, high = erb_bands(window.at.size, sample_rate)[int(outcome.place)]
        return f"{low * sample_rate:.0f}-{high * sample_rate:.0f} Hz"
    if outcome.axis == "cycles" and window.whole:
        return f"{outcome.place * sample_rate:.0f} Hz"
    if outcome.axis == "component" and outcome.direction is not None:
        return f"{_peak(outcome.direction, window.at) * sample_rate:.0f} Hz"
    return ""


def _peak(direction: Array, at: NDArray[np.int64]) -> float:
    """Cycles a sample at which a principal component is strongest."""
    span = int(at[-1] - at[0]) + 1
    laid_out = np.zeros(2 * span)
    laid_out[at - at[0]] = direction
    return float(np.argmax(np.abs(np.fft.rfft(laid_out))) / (2 * span))
