"""The variance knob, CC1: at 0 every stroke of a key is the same, at 127 none, and the law holds wherever it stands."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from rtsynth.instrument import Instrument, load
from rtsynth.instrument.law import LIMITS, Responses, gaussians, worst_errors
from rtsynth.instrument.preset import Noise, Preset
from rtsynth.instrument.stroke import Stroke
from rtsynth.sampler.table import LAW, TAKE
from tests.instrument.playing import RATE, RESET_CONTROLLERS, SOUND_OFF, VARIANCE, Array, Player
from tests.instrument.recorded import preset_of, stroke

NOTE, VELOCITY, SHORT = 60, 0.75, (50, 31)
NAMES = ["bell", "bowed", "glass", "piano-modelled", "piano-faithful", "wind", "recorded"]


def preset(name: str) -> Preset:
    """Bands and all in the recorded one."""
    return preset_of(stroke(60.0, 4, 2, 3), variance=0.2) if name == "recorded" else load(name)


def strokes(
    name: str, knob: float | None, keys: tuple[int, ...] = (NOTE, NOTE), seed: int = 1, **turn: int
) -> list[Array]:
    """The same instrument's notes, one after the other, each from silence."""
    player = Player(preset(name), seed)
    if knob is not None:
        player.control(VARIANCE, knob, **turn)
    found = []
    for key in keys:
        player.on(key, VELOCITY)
        found.append(player.play(4800))
        player.control(SOUND_OFF, 0)
        player.play(9600)
        assert player.active == 0
    return found


# ---- the same, and never the same ----


@pytest.mark.parametrize("name", NAMES)
def test_at_0_every_stroke_of_a_key_is_the_same(name: str) -> None:
    first, other_key, again = strokes(name, 0, (NOTE, 64, NOTE))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first).max() > 1e-3
    assert (first != other_key).any()
    one, two = strokes(name, 1)
    assert (one != two).any()
    # A key's take is the seed's; a mean is the preset's.
    another = strokes(name, 0, seed=2)[0]
    assert (another != first).any() == (name not in ("bell", "piano-modelled"))  # whose rows only ring


@pytest.mark.parametrize("name", NAMES)
def test_at_127_none_is(name: str) -> None:
    first, second = strokes(name, 127)
    correlation = np.vdot(first, second) / np.sqrt(np.vdot(first, first) * np.vdot(second, second))
    assert abs(correlation) < 0.95
    assert (strokes(name, 127, (NOTE, NOTE, NOTE))[2] != first).any()


def test_a_layer_without_variance_keeps_its_life_and_is_the_same_every_time() -> None:
    living = preset("bowed")
    layers = tuple(msgspec.structs.replace(layer, variance=0.0) for layer in living.layers)
    player = Player(msgspec.structs.replace(living, layers=layers))
    found = []
    for _ in range(2):
        player.on(NOTE)
        found.append(player.play(48000))
        player.control(SOUND_OFF, 0)
        player.play(9600)
    np.testing.assert_array_equal(*found)
    late = found[0][:, -9600:]
    assert np.sqrt(np.mean(late**2)) > 1e-3  # longer than its rows ring


def test_between_the_noises_of_two_strokes_are_as_alike_as_it_says() -> None:
    """Correlation 1 - v. A second of a band 2 kHz wide has 4000 degrees of freedom: 0.08 is 5 standard deviations."""
    band = Stroke(60.0, band_centre=np.array([5e3]), band_width=np.array([1e3]), band_gain=np.array([[0.1]]))
    for knob in (0, 32, 64, 127):
        player = Player(preset_of(band))
        player.control(VARIANCE, knob)
        sounds = []
        for _ in range(2):
            player.on(NOTE)
            sounds.append(player.play(48000)[0].astype(float))
            player.control(SOUND_OFF, 0)
            player.play(960)
        one, two = sounds
        rms = np.sqrt([np.mean(one**2), np.mean(two**2)])
        correlation = np.mean(one * two) / rms.prod()
        assert abs(correlation - (1.0 - knob / 127.0)) < 0.08
        np.testing.assert_allclose(rms, 0.1 / np.sqrt(2.0), rtol=0.06)  # the level stays where it is


# ---- the controller ----


def test_untouched_and_reset_is_every_rows_own() -> None:
    for name in ("piano-modelled", "wind", "recorded"):
        untouched = strokes(name, None)
        player = Player(preset(name))
        player.control(VARIANCE, 30)
        player.control(RESET_CONTROLLERS, 0)
        player.on(NOTE, VELOCITY)
        np.testing.assert_array_equal(player.play(4800), untouched[0])
        assert (strokes(name, 30)[0] != untouched[0]).any()


def test_it_is_its_channels_own_and_leaves_notes_that_sound() -> None:
    np.testing.assert_array_equal(strokes("bell", 20, channel=3)[0], strokes("bell", None)[0])
    turned, left = Player(load("bowed")), Player(load("bowed"))
    for player in (turned, left):
        player.on(NOTE)
        player.play(960)
    turned.control(VARIANCE, 0)
    np.testing.assert_array_equal(turned.play(9600), left.play(9600))


# ---- the law ----


def errors(instrument: Instrument, stated: Preset, knob: float) -> tuple[Responses, float]:
    responses = Responses(instrument, NOTE, VELOCITY, SHORT, knob)
    return responses, max(worst_errors(stated, responses, NOTE, VELOCITY, RATE, False, knob))


def prepared(stated: Preset, real: Any = np.float64) -> Instrument:
    instrument = Instrument(stated)
    instrument.prepare(RATE, real=real)
    return instrument


@pytest.mark.parametrize("name", ["bell", "glass", "wind", "recorded"])
def test_the_law_at_the_ends(name: str) -> None:
    stated = preset(name)
    instrument = prepared(stated)
    same, wrong = errors(instrument, stated, 0)
    assert wrong < LIMITS[np.float64]
    if name == "bell":
        assert not same.factor.any()  # rows that ring: nothing is left to chance
    new, wrong = errors(instrument, stated, 127)
    assert wrong < LIMITS[np.float64]
    assert np.abs(new.mean).max() < 1e-15
    assert gaussians(instrument, NOTE, 3, 127).max() < TAKE
    assert (gaussians(instrument, NOTE, 3, 64).max() >= TAKE) == (name != "bell")


def test_the_knob_moves_power_between_mean_and_draw() -> None:
    """Of a ringing row, whatever the kernel says: mean² + variance stays."""
    stated, t = load("bell"), np.arange(96) / RATE
    powers = []
    for variance in (0.0, 0.3, 1.0):
        kernel = stated.kernel(NOTE, variance=variance).variance(t)
        assert kernel.max() == pytest.approx(variance * stated.kernel(NOTE, variance=1.0).variance(t).max())
        powers.append(np.abs(stated.mean(NOTE, variance=variance)(t)).max() ** 2)
    np.testing.assert_allclose(powers, [powers[0], 0.7 * powers[0], 0.0], atol=1e-30)


def test_a_variance_a_little_off_and_a_take_that_is_not_one_are_found() -> None:
    """Rows' own variance, 0.5 % off; and a stroke at 0 whose noise hangs on the note's number."""
    stated = preset_of(stroke(60.0, 4, 2, 3), variance=0.2)
    instrument = prepared(stated)
    instrument.bank.tables.law[NOTE, LAW.index("variance")] *= 1.005
    responses = Responses(instrument, NOTE, VELOCITY, SHORT)
    assert max(worst_errors(stated, responses, NOTE, VELOCITY, RATE, False)) > 1e-4
    band = msgspec.structs.replace(stated, layers=(Noise(life=1.0, bands=3, variance=1.0, level_db=-20.0),))
    player = Player(band)
    found = []
    for _ in range(2):  # as if the take were drawn for the note
        player.on(NOTE)
        found.append(player.play(960))
        player.control(SOUND_OFF, 0)
        player.play(960)
    assert (found[0] != found[1]).any()
