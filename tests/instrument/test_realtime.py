"""The voices and the numba loops in the audio callback: no allocation, no lock, no system call in 10⁶ blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rtsynth
from rtsynth.instrument import Instrument, Preset
from rtsynth.instrument.preset import Partials
from rtsynth.messages import Kind, Messages, message, sort_by_time
from tests.engine import build
from tests.engine.realtime_proof import compile_proof, prove_in_subprocess
from tests.instrument.recorded import preset_of, stroke

pytestmark = pytest.mark.skipif(build.COMPILER is None, reason="no C compiler for the hooks")

SPAN = 48_000  # samples after which the messages begin again
BLOCKS = 1_000_000  # of 16 frames, among all presets


def busy(seed: int) -> Messages:
    """Every kind of message a player sends, notes enough to steal, a key again and again under the pedal."""
    rng = np.random.default_rng(seed)
    rows = [message(Kind.CONTROL, 0, number=101), message(Kind.CONTROL, 0, number=100)]
    rows.append(message(Kind.CONTROL, 0, number=6, value=12))
    for number, value in (
        (101, 0),
        (100, 6),
        (6, SPAN % 3),
    ):  # an upper MPE zone, which comes to nothing here
        rows.append(message(Kind.CONTROL, SPAN // 2, 15, number, value))
    for time in rng.integers(0, SPAN, 40).tolist():
        key, channel = int(rng.integers(21, 109)), int(rng.integers(0, 2))
        rows.append(message(Kind.NOTE_ON, time, channel, key, float(rng.uniform(0.05, 1))))
        rows.append(message(Kind.NOTE_OFF, time + 3000, channel, key, 0.5))
    for time in rng.integers(0, SPAN, 12).tolist():
        number = int(rng.choice([1, 7, 10, 11, 64, 66, 67, 74, 96, 120, 121, 123]))
        rows.append(message(Kind.CONTROL, time, 0, number, float(rng.integers(0, 128))))
        rows.append(message(Kind.BEND, time, 0, value=float(rng.uniform(-1, 1))))
        channel, key = int(rng.integers(0, 2)), int(rng.integers(21, 109))
        rows.append(message(Kind.TUNE, time, channel, key, float(rng.uniform(21, 109))))
        rows[-1]["option"] = 1
        for kind in (
            Kind.CHANNEL_PRESSURE,
            Kind.KEY_PRESSURE,
        ):  # short: vibrato turns every row in every segment
            rows += [
                message(kind, time + after, channel, key, value) for after, value in ((0, 90.0), (500, 0.0))
            ]
    return sort_by_time(np.concatenate(rows))


def _factory(name: str) -> tuple[Instrument, Messages, int]:
    return Instrument(rtsynth.load_preset(name)), busy(1), SPAN


def piano(folder: Path) -> tuple[Instrument, Messages, int]:
    return _factory("piano")


def bowed(folder: Path) -> tuple[Instrument, Messages, int]:
    return _factory("bowed")


def wind(folder: Path) -> tuple[Instrument, Messages, int]:
    return _factory("wind")


def glass(folder: Path) -> tuple[Instrument, Messages, int]:
    return _factory("glass")


def recorded(folder: Path) -> tuple[Instrument, Messages, int]:
    """Modes, lines whose pitch moves, bands of two poles, a loop; half of the noise from the keys' takes."""
    preset = preset_of(stroke(50.0), stroke(80.0, 5, 2, 3, 1), noise_variance=0.5, variance=0.5)
    return Instrument(preset), busy(1), SPAN


def block(folder: Path) -> tuple[Instrument, Messages, int]:
    """Rows kicked once a segment, in mono, which the wheel parts; half of the kicks from the keys' takes."""
    layer = Partials(count=20, t60=3.0, life=0.5, variance=0.5, level_db=-12.0)
    named = {"schema": 1, "name": "block", "title": "Block", "form": "block", "layers": (layer,)}
    return Instrument(Preset(**named)), busy(1), SPAN  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("instrument_proof")
    compile_proof(path)
    return path


# Ringing, independent, kicked, innovations and undamped rows, bands, and curves: all that the bank does. That the hooks
# see what they look for is shown in tests/engine/test_realtime.py.
@pytest.mark.parametrize(
    ("name", "share"),
    [("piano", 0.2), ("bowed", 0.2), ("wind", 0.25), ("glass", 0.25), ("recorded", 0.05), ("block", 0.05)],
)
def test_an_instrument_never_waits(folder: Path, name: str, share: float) -> None:
    proof = prove_in_subprocess(f"{__name__}:{name}", folder, blocks=round(share * BLOCKS))
    if proof.system_calls < 0:
        pytest.skip("this kernel has no seccomp filters")
    assert proof.holds, proof
    assert proof.blocks == round(share * BLOCKS)
    assert proof.messages > 100
    assert proof.nan_samples == 0
    assert proof.peak > 0.01
