"""How fast the bank is: nanoseconds per component and sample, and the share of this machine's FMA rate they are.

    python -m pytest bench/test_bank.py -s [--benchmark-json FILE]

Three things: the whole engine as the audio thread runs it (envelopes, gains on the control grid, noise, mixing and
limiter in blocks of 64 frames); the loops of a segment by themselves, noise drawn inside; and how time grows with
voices. float32, one core. The FMA rate is that of a single-threaded sgemm in the same run, so that shares can be
compared between machines; the peers' figures are from other people's builds on a like machine (bench/README.md).
Rounds are short and many, and the best counts, so that a busy machine shows its own speed too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from numba import njit

from rtsynth.engine import Engine
from rtsynth.instrument import Instrument, preset
from rtsynth.messages import Kind, message
from rtsynth.sampler.bank import loops
from rtsynth.sampler.noise import SEGMENT, window_table
from rtsynth.sampler.segments import HALF
from rtsynth.sampler.table import aligned

BLOCK = 64  # frames
VOICES = 32
BLOCKS = 10  # a round
MOST_VOICES = 512
PEERS = "SuperCollider Klank 0.81, Faust 0.91"  # ns per component and sample, 24 modes a voice, ringing only
ASKED = {  # ns per component and sample, D = 24 and 64, on a core that does 54 GFMA/s
    "innovations": {24: 0.25, 64: 0.20},
    "independent": {24: 0.45, 64: 0.28},
    "block": {24: 0.11, 64: 0.12},
}

FORMS = {
    "innovations": """
        form = "innovations"
        [[layers]]
        kind = "noise"
        bands = {rows}
        life = 1.0""",
    "block": """
        form = "block"
        [[layers]]
        kind = "partials"
        count = {rows}
        life = 1.0""",
    "independent": """
        [[layers]]
        kind = "partials"
        count = {rows}
        life = 1.0""",
    "ringing": """
        [[layers]]
        kind = "partials"
        count = {rows}
        t60 = 1000.0""",
}
# Multiplications and additions of the sample-rate part, counted as FMAs: what a form cannot do without, with the rows
# together in one place (mono) or each in its own (wide).
FMAS = {
    "mono": {"innovations": 4.0, "independent": 5.0, "ringing": 2.0, "block": 2.0},
    "wide": {"independent": 6.0, "ringing": 4.0, "block": 4.0},
}


def playing(form: str, rows: int, voices: int = VOICES, width: float = 0.0) -> Engine:
    """An engine whose one instrument, of `rows` rows a voice, holds all its voices; it splits at every 64 frames."""
    text = f'schema = 1\nname = "bench"\ntitle = "{form}"\ngain_db = -60.0\n{FORMS[form].format(rows=rows)}\n'
    parsed = preset.parse(text.encode(), "bench")
    polyphony = msgspec.structs.replace(parsed.polyphony, voices=voices, per_key=MOST_VOICES // 32)
    stereo = msgspec.structs.replace(parsed.stereo, width=width)
    instrument = Instrument(msgspec.structs.replace(parsed, polyphony=polyphony, stereo=stereo))
    engine = Engine([instrument], 48000.0, max_block=BLOCK)
    for i in range(voices):
        engine.send(message(Kind.NOTE_ON, number=30 + i % 32, value=0.8))
        engine.process(np.empty((1, 2), np.float32))
    assert engine.active_voices == voices
    return engine


SGEMM = """
import time
import numpy as np
a, b = (np.random.default_rng(i).standard_normal((512, 512)).astype(np.float32) for i in (0, 1))
out, best = np.empty_like(a), float("inf")
for _ in range(400):
    start = time.perf_counter()
    np.matmul(a, b, out=out)
    best = min(best, time.perf_counter() - start)
print(512**3 / best)
"""


@pytest.fixture(scope="module")
def fma_rate() -> float:
    """Float32 fused multiply-adds a second of one thread: the best of several sgemm calls, in a process of its own."""
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    command = [sys.executable, "-c", SGEMM]
    return float(subprocess.run(command, env=os.environ | one_thread, capture_output=True, check=True).stdout)


def report(benchmark: Any, name: str, fmas: float, rate: float, samples: int, asked: float | None) -> None:
    """One line, and the same in the benchmark's JSON."""
    best, median = (1e9 * getattr(benchmark.stats.stats, key) / samples for key in ("min", "median"))
    share = fmas / (best * 1e-9) / rate
    benchmark.extra_info |= {
        "ns": round(best, 4),
        "ns_median": round(median, 4),
        "ns_asked": asked,
        "fma_share": round(share, 3),
        "gfma_per_second": round(rate / 1e9, 1),
    }
    target = "" if asked is None else f" (asked {asked})"
    print(
        f"\n{name}: {best:.3f} ns per component and sample{target}, median {median:.3f}, "
        f"{share:.0%} of {rate / 1e9:.0f} GFMA/s; peers at 24: {PEERS}"
    )


@pytest.mark.parametrize("rows", [24, 64])
@pytest.mark.parametrize(
    ("place", "form"), [(place, form) for place, forms in FMAS.items() for form in forms]
)
def test_whole_engine(benchmark, fma_rate: float, place: str, form: str, rows: int) -> None:
    with playing(form, rows, width=0.5 * (place == "wide")) as engine:
        benchmark.group = "a component and a sample, the whole engine"
        out = np.empty((BLOCK * BLOCKS, 2), np.float32)
        benchmark.pedantic(engine.process, args=(out,), rounds=200, warmup_rounds=5)
        assert engine.active_voices == VOICES  # all that time
    asked = ASKED.get(form, {}).get(rows)
    samples = VOICES * rows * BLOCK * BLOCKS
    name = f"engine, {form}, {place}, D = {rows}"
    report(benchmark, name, FMAS[place][form], fma_rate, samples, asked)


# ---- the loops by themselves ----


class Table:
    """Random rows for V voices, each with tables of its own."""

    def __init__(self, rows: int, voices: int) -> None:
        rng = np.random.default_rng(1)
        self.rows, self.voices = rows, voices
        step = np.exp((-rng.uniform(1, 100, rows) + 2j * np.pi * rng.uniform(50, 9000, rows)) / 48000.0)
        powers = step[:, None] ** np.arange(HALF)
        self.powers = self.of_voices(np.stack([powers.real, powers.imag], axis=1))
        self.turned = self.of_voices(np.stack([powers.real.T, powers.imag.T], axis=1)[::-1])
        self.step, self.half = (self.of_voices(np.stack([z.real, z.imag])) for z in (step, step**HALF))
        self.x = self.of_voices(0.1 * rng.standard_normal((2, rows)))
        self.gains = self.of_voices(1e-4 * rng.standard_normal((4, rows)))
        self.scale = self.of_voices(np.full(rows, 1e-2))
        self.gain = self.of_voices(np.full((2, rows), 1e-2))
        self.response = self.of_voices(np.append(np.zeros(HALF), powers.real.mean(axis=0)))
        self.keys = rng.integers(0, 2**32, (voices, 2, rows)).astype(np.uint32)
        self.at = np.zeros((voices, 2 * SEGMENT), np.uint32)
        self.e = self.of_voices(np.zeros(4 * SEGMENT))
        self.middle = aligned((4, rows), np.float32)
        self.y = aligned((voices, 2, SEGMENT), np.float32)
        self.noise = aligned(window_table().shape, np.float32)
        self.noise[...] = window_table()

    def of_voices(self, values: Any) -> Any:
        out = aligned((self.voices, *np.shape(values)), np.float32)
        out[...] = values
        return out


def _ringing(moving: int) -> Callable[[Table], Callable[[int], None]]:
    ringing = loops().ringing.ctypes

    @njit
    def play(powers, half, x, middle, gains, y, first, segments):
        for _ in range(segments):
            for v in range(x.shape[0]):
                ringing(
                    powers[v].ctypes, half[v].ctypes, x[v].ctypes, middle.ctypes, gains[v].ctypes, y[v].ctypes,
                    moving, x.shape[2], x.shape[2],
                )  # fmt: skip

    return lambda t: lambda n: play(t.powers, t.half, t.x, t.middle, t.gains, t.y, 0, n)


def _ringing_mono() -> Callable[[Table], Callable[[int], None]]:
    ringing = loops().ringing_mono.ctypes

    @njit
    def play(powers, half, x, middle, gains, y, segments):
        for _ in range(segments):
            for v in range(x.shape[0]):
                ringing(
                    powers[v].ctypes, half[v].ctypes, x[v].ctypes, middle.ctypes, gains[v].ctypes, y[v].ctypes,
                    x.shape[2], x.shape[2],
                )  # fmt: skip

    return lambda t: lambda n: play(t.powers, t.half, t.x, t.middle, t.gains, t.y, n)


def _block(mono: bool) -> Callable[[Table], Callable[[int], None]]:
    ring, kick, windows = (getattr(loops(), name).ctypes for name in ("ringing", "kick", "windows"))
    ring_mono = loops().ringing_mono.ctypes

    @njit
    def play(powers, half, x, middle, gains, y, scale, noise, at, keys, segments):
        rows = x.shape[2]
        for segment in range(segments):
            for v in range(x.shape[0]):
                tables = (
                    powers[v].ctypes,
                    half[v].ctypes,
                    x[v].ctypes,
                    middle.ctypes,
                    gains[v].ctypes,
                    y[v].ctypes,
                )
                if segment % SEGMENT == 0:
                    windows(keys[v, 0].ctypes, keys[v, 1].ctypes, segment, SEGMENT, rows, at[v].ctypes)
                if mono:
                    ring_mono(*tables, rows, rows)
                else:
                    ring(*tables, 0, rows, rows)
                kick(scale[v].ctypes, noise.ctypes, at[v].ctypes, segment % SEGMENT, x[v].ctypes, rows, rows)

    return lambda t: (
        lambda n: play(t.powers, t.half, t.x, t.middle, t.gains, t.y, t.scale, t.noise, t.at, t.keys, n)
    )


def _noisy(moving: int, mono: bool) -> Callable[[Table], Callable[[int], None]]:
    stereo, single, windows = (getattr(loops(), name).ctypes for name in ("noisy", "noisy_mono", "windows"))

    @njit
    def play(step, noise, at, x, gains, y, keys, segments):
        rows = x.shape[2]
        for segment in range(segments):
            for v in range(x.shape[0]):
                windows(keys[v, 0].ctypes, keys[v, 1].ctypes, SEGMENT * segment, SEGMENT, rows, at[v].ctypes)
                tables = step[v].ctypes, noise.ctypes, at[v].ctypes, x[v].ctypes, gains[v].ctypes, y[v].ctypes
                if mono:
                    single(*tables, rows, rows)
                else:
                    stereo(*tables, moving, rows, rows)

    return lambda t: lambda n: play(t.step, t.noise, t.at, t.x, t.gains, t.y, t.keys, n)


def _innovations() -> Callable[[Table], Callable[[int], None]]:
    innovations, draw = loops().innovations.ctypes, loops().draw_scalar.ctypes

    @njit
    def play(powers, turned, half, gain, response, e, x, middle, y, keys, segments):
        rows = x.shape[2]
        for segment in range(segments):
            for v in range(x.shape[0]):
                if segment % 4 == 0:
                    draw(keys[v, 0].ctypes, keys[v, 1].ctypes, SEGMENT * segment, 4, 1.0, e[v].ctypes)
                innovations(
                    powers[v].ctypes, turned[v].ctypes, half[v].ctypes, gain[v].ctypes, response[v].ctypes,
                    e[v, SEGMENT * (segment % 4) :].ctypes, x[v].ctypes, middle.ctypes, y[v, 0].ctypes, rows, rows,
                )  # fmt: skip

    return lambda t: (
        lambda n: play(t.powers, t.turned, t.half, t.gain, t.response, t.e, t.x, t.middle, t.y, t.keys, n)
    )


# name: (the loop, FMAs a component and sample, the form it answers for)
LOOPS = {
    "innovations": (_innovations, 4.0, "innovations"),
    "independent, gains standing": (lambda: _noisy(0, False), 6.0, "independent"),
    "independent, gains moving": (lambda: _noisy(1, False), 6.0, "independent"),
    "independent, mono": (lambda: _noisy(0, True), 5.0, "independent"),
    "block noise, gains standing": (lambda: _block(False), 4.0, "block"),
    "block noise, mono": (lambda: _block(True), 2.0, "block"),
    "ringing, gains standing": (lambda: _ringing(0), 4.0, ""),
    "ringing, gains moving": (lambda: _ringing(1), 6.0, ""),
    "ringing, mono": (_ringing_mono, 2.0, ""),
}


@pytest.mark.parametrize("rows", [24, 64])
@pytest.mark.parametrize("name", list(LOOPS))
def test_loop(benchmark, fma_rate: float, name: str, rows: int) -> None:
    """`VOICES` voices with tables of their own; every Gaussian drawn inside."""
    build, fmas, form = LOOPS[name]
    play, segments = build()(Table(rows, VOICES)), 2 * BLOCKS
    benchmark.group = "a component and a sample, the loops alone"
    benchmark.pedantic(play, args=(segments,), rounds=200, warmup_rounds=5)
    asked = ASKED.get(form, {}).get(rows)
    report(benchmark, f"loop, {name}, D = {rows}", fmas, fma_rate, VOICES * rows * segments * SEGMENT, asked)


# ---- voices ----


@pytest.mark.parametrize("rows", [24, 64])
@pytest.mark.parametrize("form", list(FORMS))
def test_time_grows_in_proportion_to_voices(form: str, rows: int) -> None:
    """1 … 512 voices in one call of the engine: R² of a straight line, and what a voice costs at both ends."""
    counts = 2 ** np.arange(MOST_VOICES.bit_length())
    out, seconds = np.empty((BLOCK, 2), np.float32), []
    for voices in counts:
        with playing(form, rows, int(voices)) as engine:
            seconds.append(min(_timed(engine, out) for _ in range(200)))
    slope, offset = np.polyfit(counts, seconds, 1)
    residual = seconds - (slope * counts + offset)
    r_squared = 1.0 - residual.var() / np.var(seconds)
    ns = 1e9 * np.asarray(seconds) / (counts * rows * len(out))
    print(
        f"\nvoices, {form}, D = {rows}: R² {r_squared:.5f} over 1 … {MOST_VOICES} (asked 0.99); "
        f"{ns[5]:.3f} ns at 32 voices, {ns[-1]:.3f} at {MOST_VOICES}"
    )


def _timed(engine: Engine, out: Any) -> float:
    start = time.perf_counter()
    engine.process(out)
    return time.perf_counter() - start
