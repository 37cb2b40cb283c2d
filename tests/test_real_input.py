"""Real scores through the whole path: no NaN, no clipping, every note in tune; odd files: a sound or one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import fftconvolve

import rtsynth
from rtsynth.cli import main
from rtsynth.engine.meter import Report
from rtsynth.engine.render import render_blocks
from rtsynth.instrument import Instrument
from rtsynth.instrument.preset import Recorded, demo_piece
from rtsynth.instrument.recorded import nearest, transposed
from rtsynth.io.midi_files import read_midi
from rtsynth.messages import Kind, Messages
from tests.data import shared_files

RATE = 48000.0
PIECES = shared_files("midi/piano", "*.mid")
ODD = shared_files("midi/odd", "*.mid")
CENTS = 3.0
HEARD_FROM, HEARD_FOR = 0.6, 2.2  # seconds: after the knock, as long as beats need to even out

needs_pieces = pytest.mark.skipif(not PIECES, reason="the shared data has no midi/piano here")
needs_odd = pytest.mark.skipif(not ODD, reason="the shared data has no midi/odd here")


@pytest.mark.parametrize("path", [demo_piece(), *PIECES], ids=lambda path: path.stem)
def test_a_piece_is_finite_and_never_clips(path: Path) -> None:
    reports: list[Report] = []
    instrument = Instrument(rtsynth.load_preset("piano"))
    piece = read_midi(path)
    chunks = render_blocks(instrument, piece.at_rate(RATE), sample_rate=RATE, report=reports.append)
    energy = 0.0
    for chunk in chunks:
        assert np.isfinite(chunk).all()
        energy += float(np.square(chunk.astype(float)).sum())
    report = reports[0]
    assert report.nan_samples == 0
    assert report.limited_samples == 0
    assert report.peak < 1.0
    assert instrument.counts["notes"] == piece.n_notes
    assert instrument.counts["bad_voices"] == 0
    assert energy > 1.0  # it is no silence either


def notes_of(messages: Messages) -> list[tuple[int, float]]:
    """(key, velocity) of every key of a piece, at its loudest."""
    on = messages[messages["kind"] == Kind.NOTE_ON]
    return [(int(key), float(on["value"][on["number"] == key].max())) for key in np.unique(on["number"])]


def cents_off(sound: NDArray[np.float64], frequency: float) -> float:
    """How far the partial nearest to `frequency` is from it: its energy-weighted phase advance, in cents."""
    first = round(HEARD_FROM * RATE)
    heard = sound[first : first + round(HEARD_FOR * RATE)]
    turned = heard * np.exp(-2j * np.pi * frequency * np.arange(heard.size) / RATE)
    window = np.hanning(round(10 * RATE / frequency) + 2)[
        1:-1
    ]  # ten periods: the next partial is far outside
    partial = fftconvolve(turned, window / window.sum(), "valid")
    lag = max(1, round(RATE / frequency / 8))
    turn = np.angle((partial[lag:] * partial[:-lag].conj()).sum())
    return float(1200.0 * np.log2(1.0 + turn * RATE / (2.0 * np.pi * lag * frequency)))


def stated_first_partial(name: str, key: int) -> float:
    """Hertz: equal temperament, or the stretched tuning of the piano that was recorded."""
    preset = rtsynth.load_preset(name)
    for layer in preset.layers:
        if isinstance(layer, Recorded):
            return transposed(layer, preset, layer.strokes[nearest(layer, key)], key).fundamental
    return preset.frequency(key)


@needs_pieces
# A recorded string's first partial lies up to 5 cents beside the series through all its partials.
@pytest.mark.parametrize(("name", "cents"), [("piano", 6.0), ("piano-modelled", CENTS)])
def test_every_note_of_the_pieces_has_its_first_partial_in_tune(name: str, cents: float) -> None:
    preset = rtsynth.load_preset(name)
    loudest: dict[int, float] = {}
    for path in PIECES:
        for key, velocity in notes_of(read_midi(path).messages):
            loudest[key] = max(velocity, loudest.get(key, 0.0))
    assert len(loudest) > 60  # they use most of the keyboard
    off = {}
    for key, velocity in loudest.items():
        sound = rtsynth.render(preset, [(0.0, key, velocity, 3.0)], 3.0)
        off[key] = cents_off(sound.sum(axis=1).astype(float), stated_first_partial(name, key))
    assert max(map(abs, off.values())) < cents, off


def test_the_fitted_piano_is_stretched_as_a_piano_is() -> None:
    tempered = {key: 440.0 * 2.0 ** ((key - 69) / 12) for key in (21, 45, 60, 78, 96)}
    cents = [1200.0 * np.log2(stated_first_partial("piano", key) / f) for key, f in tempered.items()]
    assert cents == sorted(cents)
    assert -20.0 < cents[0] < -5.0 < 15.0 < cents[-1] < 30.0
    assert abs(cents[2]) < 3.0


def test_a_note_out_of_tune_is_found() -> None:
    tone = np.cos(2 * np.pi * 220.0 * 2 ** (4 / 1200) * np.arange(3 * int(RATE)) / RATE)
    assert cents_off(tone, 220.0) == pytest.approx(4.0, abs=0.01)


@needs_odd
@pytest.mark.parametrize("path", ODD, ids=lambda path: path.stem)
def test_an_odd_file_is_rendered_or_explained_in_one_line(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "odd.wav"
    code = main(["render", "piano", str(path), "-o", str(out), "-q"])
    errors = capsys.readouterr().err.splitlines()
    if code == 0:
        import soundfile

        sound, _ = soundfile.read(out)
        assert np.isfinite(sound).all()
    else:
        assert code == 5
        assert len(errors) == 1
        assert str(path) in errors[0]
        assert not out.exists()
