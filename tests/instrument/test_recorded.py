"""Recorded layers: what a key plays of the nearest stroke, through the whole compiled path, against plain formulae."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.instrument import Instrument, load
from rtsynth.instrument.law import LIMITS, Finding, Responses, check, worst_errors
from rtsynth.instrument.preset import Noise, Partials, Preset, describe, parse, validate
from rtsynth.instrument.recorded import nearest, transposed
from rtsynth.instrument.strokes import Stroke, save, sound
from rtsynth.sampler.noise import SEGMENT
from rtsynth.sampler.table import AXIS
from tests.instrument.playing import RATE, SUSTAIN, Array, Player, amplitude, frequency_of_key, in_db
from tests.instrument.recorded import preset_of, stroke

SHORT = (50, 31)  # samples
SLOW = 2000.0  # hertz: a rate at which the loop is passed several times in few samples


def red(findings: list[Finding]) -> list[str]:
    return [f"{finding.name}: {finding.figure:.1e}" for finding in findings if not finding.ok]


# ---- the law ----


def test_the_law_of_modes_lines_and_bands() -> None:
    """Two strokes, of different sizes, one of them with a loop; both precisions; the variance knob too."""
    preset = preset_of(stroke(59.9), stroke(72.2, 5, 2, 6, 1, loop=None), modes=8)
    assert red(check(preset, notes=(60, 75), blocks=SHORT)) == []


def test_the_law_through_loop_and_pitch() -> None:
    """At 2 kHz, 0.2 s are four passes of the loop."""
    preset = preset_of(stroke(60.0, 3, 2, 2))
    findings = check(
        preset, sample_rate=SLOW, notes=(48,), blocks=(101, 90, 77, 132), precisions=(np.float64,)
    )
    assert red(findings) == []


def test_recorded_layers_among_others() -> None:
    """Every group of rows holds some of a recorded layer and some of another; two layers, each with its own curves."""
    one, two = (
        preset_of(stroke(60.0, 3, 2, 2)),
        preset_of(stroke(40.0, 2, 0, 3, 1), variance=0.3, noise_variance=0.7),
    )
    others = (
        Noise(bands=3, life=1.0, poles=2, variance=0.3, level_db=-20.0),
        Partials(count=3, t60=float("inf"), variance=0.4, level_db=-20.0),
        *two.layers,
        Noise(bands=2, life=1.0, variance=0.5, level_db=-20.0),
    )
    preset = msgspec.structs.replace(one, layers=(*one.layers, *others))
    assert red(check(preset, notes=(55,), blocks=SHORT, precisions=(np.float64,))) == []


def _axis(name: str, add: float) -> Any:
    def tamper(instrument: Instrument) -> None:
        instrument.bank.tables.axes[0, AXIS.index(name)] += add

    return tamper


def _scaled(table: str) -> Any:
    def tamper(instrument: Instrument) -> None:
        getattr(instrument.bank.tables, table)[...] *= 1.001

    return tamper


@pytest.mark.parametrize(
    "tamper",
    [
        _axis("rise_from", 0.1),
        _axis("rise_time", 0.1),
        _axis("loop_from", 0.01),
        _axis("loop_to", 0.01),
        _axis("bends", -1.0),
        _scaled("times"),
        _scaled("octaves"),
        _scaled("curves"),
    ],
)
def test_a_wrong_table_is_found(tamper: Any) -> None:
    preset, blocks = preset_of(stroke(60.0, 3, 2, 2, start=0.0109, attack=0.02)), (101, 90, 77, 132)
    instrument = Instrument(preset)
    instrument.prepare(SLOW, real=np.float64)
    tamper(instrument)
    responses = Responses(instrument, 48, 0.75, blocks)
    assert max(worst_errors(preset, responses, 48, 0.75, SLOW, False)) > 1e3 * LIMITS[np.float64]


# ---- against the stroke itself ----


def held(preset: Preset, key: int, frames: int, velocity: float = 1.0, sample_rate: float = RATE) -> Array:
    """Sum of both channels of a held note over √2: what a stroke states, since a row stands in the centre."""
    player = Player(preset, sample_rate=sample_rate, real=np.float64)
    player.on(key, velocity)
    return player.play(frames).sum(axis=0) / np.sqrt(2.0)


@pytest.mark.parametrize(("key", "velocity"), [(60, 0.75), (63, 1.0), (52, 0.25)])
def test_what_is_played_is_the_stroke_but_for_the_grid(key: int, velocity: float) -> None:
    """At 4 MHz the grid of 32 samples is 8 µs: what straight lines there leave of gains and of the moving pitch."""
    one = stroke(59.9, 6, 3, 0, velocity=velocity)
    preset = preset_of(one)
    stated = transposed(preset.layers[0], preset, one, key)
    rate = 4e6
    played = held(preset, key, round(0.1 * rate), velocity, rate)[::97]
    want = sound(stated, np.arange(0, round(0.1 * rate), 97) / rate)
    scale = np.abs(want).max()
    assert np.abs(played - want).max() < 0.02 * scale  # where the rise begins, within one segment
    settled = slice(round(0.002 * rate / 97), None)
    assert np.abs(played - want)[settled].max() < 5e-5 * scale
    louder = held(preset, key, round(0.004 * rate), min(velocity + 0.01, 1.0) - 0.02, rate)[::97]
    assert np.abs(louder - want[: louder.size]).max() > 1e-3 * scale


def test_a_key_plays_the_nearest_stroke_transposed() -> None:
    low, high = stroke(48.2, 4), stroke(60.3, 6, seed=1)
    layer = preset_of(low, high, damping_slope=0.7).layers[0]
    preset = preset_of(low, high, damping_slope=0.7)
    assert [nearest(layer, note) for note in (0, 48, 54, 55, 127)] == [0, 0, 0, 1, 1]
    found = transposed(layer, preset, high, 67)
    ratio = 2.0 ** ((67 - 60.3) / 12.0)
    np.testing.assert_allclose(found.frequency, high.frequency * ratio)
    np.testing.assert_allclose(found.damping, high.damping * ratio**0.7)
    np.testing.assert_allclose(found.line_frequency, high.line_frequency * ratio)
    assert found.key == pytest.approx(67.0)
    for name in (
        "amplitude",
        "band_centre",
        "band_width",
        "band_gain",
        "line_gain",
        "times",
        "loop",
        "start",
    ):
        np.testing.assert_array_equal(getattr(found, name), getattr(high, name))


def test_a_stretched_instrument_stays_stretched_where_it_is_asked_to() -> None:
    """A stroke a fifth of a semitone sharp: its own key, and the next, by as much."""
    sharp = stroke(60.2)
    for in_tune, cents in ((True, 0.0), (False, 20.0)):
        preset = preset_of(sharp, in_tune=in_tune)
        for note in (60, 63):
            found = transposed(preset.layers[0], preset, sharp, note)
            off = 1200.0 * np.log2(found.line_frequency[0] / frequency_of_key(note))
            assert off == pytest.approx(cents, abs=1e-9)


def test_the_modes_of_most_energy_are_kept() -> None:
    one = dataclasses.replace(
        stroke(60.0, 4),
        damping=np.array([1.0, 100.0, 1.0, 1.0]),
        amplitude=np.array([0.01, 0.05, 0.02, 0.03]),
        start=0.0,
    )
    for modes, kept in ((2, [2, 3]), (3, [0, 2, 3]), (4, [0, 1, 2, 3]), (0, [])):
        preset = preset_of(one, modes=modes)
        found = transposed(preset.layers[0], preset, one, 60)
        np.testing.assert_allclose(found.frequency, one.frequency[kept])


def test_without_bands_there_are_no_noisy_rows() -> None:
    instrument = Instrument(preset_of(stroke(), bands=False))
    instrument.prepare(RATE)
    assert instrument.bank.shape.noisy_from == instrument.bank.shape.rows


@pytest.mark.parametrize("key", [0, 127])
def test_the_farthest_keys_are_finite(key: int) -> None:
    for at in (0.0, 127.0):
        for slope in (-4.0, 4.0):
            preset = preset_of(stroke(at, 2, 2, 2, frequency=np.array([20.0, 20e3])), damping_slope=slope)
            assert np.isfinite(held(preset, key, 960)).all()


# ---- loop, release, end ----


def tone(gain: list[float], times: list[float], loop: tuple[float, float] | None, **fields: Any) -> Stroke:
    """One line at key 69, 0.1 loud where its gain is 1."""
    line = {"line_frequency": np.array([440.0]), "line_gain": 0.1 * np.array(gain)[:, None]}
    return Stroke(69.0, times=np.array(times), loop=loop, **line, **fields)


def levels(player: Player, seconds: float, of: float = 0.02) -> Array:
    """Level of the 440 Hz, piece by piece of `of` seconds."""
    pieces = (player.play(round(of * RATE)) for _ in range(round(seconds / of)))
    return np.array([amplitude(piece.sum(axis=0) / np.sqrt(2.0), 440.0) for piece in pieces]) / 0.1


def test_a_held_note_runs_to_and_fro_and_a_released_one_leaves_the_loop() -> None:
    """Up in 0.2 s, down again, up …; after the note-off forth to the end, at 3, whichever way it was going."""
    one = tone([0.0, 0.0, 1.0, 3.0], [0.0, 0.1, 0.3, 0.4], (0.1, 0.3))
    preset = msgspec.structs.replace(
        preset_of(one), envelope=msgspec.structs.replace(preset_of(one).envelope, release_ms=1e6)
    )
    for pedal in (False, True):
        player = Player(preset)
        player.on(69)
        if pedal:
            player.control(SUSTAIN, 127)
            player.play(960)
            player.off(69)
            start = 0.02
        else:
            start = 0.0
        found = levels(player, 1.2 - start)
        middle = start + 0.02 * (np.arange(found.size) + 0.5)
        triangle = np.abs(np.mod(middle - 0.1 + 0.2, 0.4) - 0.2) / 0.2
        np.testing.assert_allclose(found, np.where(middle < 0.1, 0.0, triangle), atol=0.02)
        player.play(round(0.05 * RATE))  # on its way back, at 0.25
        player.control(SUSTAIN, 0) if pedal else player.off(69)
        after = levels(player, 0.3)
        assert after[0] == pytest.approx(0.30, abs=0.02)
        assert (np.diff(after) > -0.02).all()
        assert after[-1] == pytest.approx(3.0, rel=0.01)


def test_what_has_ended_costs_nothing_and_frees_the_voice() -> None:
    """Lines and bands whose curves end at 0 are left out from there on; a voice of nothing else is over, even held."""
    fields = {"band_centre": np.array([1000.0]), "band_width": np.array([100.0])}
    one = tone([1.0, 0.0], [0.0, 0.1], None, band_gain=np.array([[0.1], [0.0]]), **fields)
    player = Player(preset_of(one))
    player.on(69)
    player.play(round(0.099 * RATE))
    assert player.active == 1
    player.play(round(0.003 * RATE))
    assert player.active == 0
    assert player.instrument.tail == pytest.approx(0.1 * RATE, abs=3 * SEGMENT)
    goes_on = Player(preset_of(dataclasses.replace(one, band_gain=np.array([[0.1], [0.001]]))))
    goes_on.on(69)
    goes_on.play(round(0.5 * RATE))
    assert goes_on.active == 1
    looped = Player(preset_of(dataclasses.replace(one, loop=(0.0, 0.05))))
    looped.on(69)
    looped.play(round(0.5 * RATE))
    assert looped.active == 1


def test_modes_that_have_risen_are_left_alone_while_bands_move() -> None:
    """No slopes for them, segment after segment, though those of lines and bands go on."""
    player = Player(preset_of(stroke(60.0, 8, 2, 2)))
    player.on(60)
    player.play(100 * SEGMENT)
    bank = player.instrument.bank
    slopes, shape = bank.state.gains[0, 2:], bank.shape
    assert (slopes[:, shape.ringing_from : shape.noisy_from] == 0).all()
    assert (slopes[:, :2] != 0).all()
    pairs = (shape.rows - shape.paired_from) // 2
    assert (slopes[:, [shape.paired_from, shape.paired_from + pairs]] != 0).all()
    rising = Player(preset_of(stroke(60.0, 8, 2, 2, attack=0.1)))
    rising.on(60)
    rising.play(100 * SEGMENT)
    assert (rising.instrument.bank.state.gains[0, 2:, shape.ringing_from : shape.ringing_from + 8] != 0).all()


def test_modes_ring_on_when_the_bands_have_ended() -> None:
    mode = {"frequency": np.array([440.0]), "damping": np.array([0.5]), "amplitude": np.array([0.1])}
    one = tone([0.0, 0.0], [0.0, 0.05], None, **mode)
    player = Player(preset_of(one))
    player.on(69)
    player.play(round(0.1 * RATE))
    assert levels(player, 0.02)[0] == pytest.approx(np.exp(-0.5 * 0.11), rel=1e-3)


def test_the_wheel_moves_modes_and_lines_and_leaves_bands() -> None:
    """A band at 1 kHz under a wheel two semitones up: the same bits as without."""
    band = {"band_centre": np.array([1000.0]), "band_width": np.array([50.0]), "band_gain": np.array([[0.1]])}
    still, bent = (Player(preset_of(Stroke(69.0, **band))) for _ in range(2))
    for player in (still, bent):
        player.on(69)
    bent.bend(1.0)
    np.testing.assert_array_equal(bent.play(9600), still.play(9600))
    player = Player(preset_of(tone([1.0], [0.0], None)))
    player.on(69)
    player.bend(1.0)
    player.play(960)
    assert amplitude(player.play(9600).sum(axis=0), frequency_of_key(71)) == pytest.approx(
        0.1 * np.sqrt(2.0), rel=1e-3
    )


def test_the_level_of_a_band_is_its_gain() -> None:
    """Over 20 s, a band 400 Hz wide: 16000 degrees of freedom, one standard deviation 0.05 dB; red one run in 10⁶."""
    band = {
        "band_centre": np.array([3000.0]),
        "band_width": np.array([200.0]),
        "band_gain": np.array([[0.1]]),
    }
    player = Player(preset_of(Stroke(69.0, **band)))
    player.on(69)
    rms = np.sqrt(np.square(player.play(round(20.0 * RATE)).astype(float)).sum(axis=0).mean())
    assert abs(in_db(rms / 0.1)) < 0.25


def test_512_voices() -> None:
    preset = preset_of(stroke(60.0, 4, 1, 0), modes=4)
    preset = msgspec.structs.replace(
        preset, polyphony=msgspec.structs.replace(preset.polyphony, voices=512, per_key=16)
    )
    player = Player(preset)
    for key in range(128):
        for _ in range(5):
            player.on(key, 0.1)
    player.play(SEGMENT * 12)  # 128 of them are stolen, and fade
    assert player.active == 512
    assert player.counts["steals"] == 128


# ---- the preset's file, and its sidecar ----

TEXT = """\
schema = 1
name = "mine"
title = "Mine"

[[layers]]
kind = "recorded"
file = "mine.npz"
modes = 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "mine.npz", [stroke(), stroke(72.0, 4)])
    (tmp_path / "mine.toml").write_text(TEXT)
    return tmp_path


def test_the_sidecar_lies_beside_the_toml_wherever_that_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = load(folder / "mine.toml")
    assert validate(folder / "mine.toml") == []
    assert (
        dict(describe(preset))["recorded"]
        == "mine.npz: 2 strokes at keys 60.00 … 72.00, 5 modes, 3 lines, 4 bands"
    )
    assert parse(TEXT.encode(), "elsewhere.toml", folder) == preset
    monkeypatch.chdir(folder.parent)
    moved = folder.rename(folder.parent / "moved")
    assert load(f"{moved.name}/mine.toml") == preset
    assert hash(load(moved / "mine.toml")) == hash(preset)
    save(moved / "mine.npz", [stroke()])
    assert load(moved / "mine.toml") != preset


def test_a_preset_keeps_its_strokes_when_the_file_has_gone(folder: Path) -> None:
    preset = load(folder / "mine.toml")
    (folder / "mine.npz").unlink()
    assert np.abs(held(preset, 60, 960)).max() > 0.01


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mine.npz", "none.npz", "mine.toml:7: layers[0].file: "),
        ("mine.npz", "../mine.npz", "mine.toml:7: layers[0].file: expected `str` matching regex"),
        ("mine.npz", "/etc/passwd", "mine.toml:7: layers[0].file: expected `str` matching regex"),
        ("mine.npz", ".npz", "mine.toml:7: layers[0].file: expected `str` matching regex"),
        ('"mine.npz"', "3", "mine.toml:7: layers[0].file: expected `str`, got `int`"),
        ('file = "mine.npz"', "", "mine.toml:5: layers[0]: object missing required field `file`"),
        ("modes = 5", "strokes = []", "mine.toml:8: layers[0]: object contains unknown field `strokes`"),
        ("modes = 5", "modes = 600", "mine.toml:8: layers[0].modes: expected `int` <= 512"),
        ("modes = 5", "life = 0.5", "mine.toml:8: `layers[0].life`: recorded modes ring and die, life = 0"),
        ("modes = 5", "damping_slope = 9", "mine.toml:8: layers[0].damping_slope: expected `float` <= 4.0"),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_field(folder: Path, old: str, new: str, words: str) -> None:
    path = folder / "mine.toml"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{folder}/{words}")
    assert validate(path) == [str(caught.value)]


def test_a_broken_sidecar_is_said_with_the_line_that_names_it(folder: Path) -> None:
    (folder / "mine.npz").write_bytes(b"nothing")
    (problem,) = validate(folder / "mine.toml")
    assert problem.startswith(
        f"{folder}/mine.toml:7: layers[0].file: {folder}/mine.npz: no file of strokes: "
    )
    assert problem.endswith("rtsynth fit RECORDING -o NAME.toml")


def test_rows_are_counted(folder: Path) -> None:
    gain = np.ones((1, 200))
    bands = Stroke(60.0, band_centre=np.full(200, 1e3), band_width=np.full(200, 10.0), band_gain=gain)
    save(
        folder / "mine.npz",
        [bands, stroke(modes=200, bands=0, lines=0, frequency=np.geomspace(50, 9e3, 200))],
    )
    (folder / "mine.toml").write_text(TEXT.replace("modes = 5", "modes = 113"))
    assert validate(folder / "mine.toml") == [
        f"{folder}/mine.toml:5: `layers`: 513 rows a voice; at most 512"
    ]


def test_too_loud_counts_the_curves(folder: Path) -> None:
    save(folder / "mine.npz", [tone([0.0, 200.0], [0.0, 1.0], None)])
    problems = [line.split(": ")[1] for line in validate(folder / "mine.toml")]
    assert problems == [f"key {note} has 20 dB of power above full scale" for note in (21, 60, 108)]


def test_bands_of_two_poles_are_stationary(folder: Path) -> None:
    for layer, words in (
        ("life = 0.5", "`layers[0].poles`: bands of two poles are stationary"),
        ("life = 1\nt60 = 0.5", "`layers[0].poles`: bands of two poles are stationary"),
    ):
        text = TEXT.split("[[layers]]")[0] + f'[[layers]]\nkind = "noise"\npoles = 2\n{layer}\n'
        with pytest.raises(InputError) as caught:
            parse(text.encode(), "x.toml")
        assert words in str(caught.value)
