"""Who is stolen when notes run out, and that it does not click."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from rtsynth.instrument import load
from rtsynth.instrument.preset import Envelope, Polyphony, Preset
from rtsynth.sampler.noise import SEGMENT
from tests.instrument.playing import (
    LEVEL,
    SOUND_OFF,
    SUSTAIN,
    Array,
    Player,
    sharpest_corner,
    sounding,
    steady,
)

QUIET_STEP = 10.0 ** (-50.0 / 20.0)  # of full scale


# ---- who is stolen ----


def test_a_key_rings_so_many_times_and_no_more() -> None:
    player = Player(steady(polyphony=Polyphony(voices=32, per_key=2)))
    player.control(SUSTAIN, 127)
    for velocity in (1.0, 0.75, 0.5):
        player.on(60, velocity)
        player.off(60)
        player.play(960)
    player.play(960)
    assert player.active == 2
    assert player.counts["steals"] == 1
    # All three start alike and were struck a whole number of samples apart: what is left is the last two.
    sound = player.play(4800)[0]
    want = Player(steady())
    want.control(SUSTAIN, 127)
    want.play(960)
    for velocity in (0.75, 0.5):
        want.on(60, velocity)
        want.off(60)
        want.play(960)
    want.play(960)
    np.testing.assert_allclose(sound, want.play(4800)[0], atol=1e-6)


def test_strikes_on_other_channels_do_not_count() -> None:
    player = Player(steady(polyphony=Polyphony(voices=32, per_key=1)))
    for channel in range(16):
        player.on(60, channel=channel)
    player.play(960)
    assert (player.active, player.counts["steals"]) == (16, 0)


def test_the_longest_released_goes_first_then_the_oldest_held() -> None:
    keys = [48, 52, 55, 59]
    player = Player(steady(Envelope(attack_ms=0.0, release_ms=60000.0), Polyphony(voices=4)))
    for key in keys:
        player.on(key)
        player.play(64)
    player.off(59)  # released in this order, which is not that of their starts
    player.play(64)
    player.off(52)
    player.play(64)
    expected = [59, 52, 48, 55]
    for new, victim in zip((72, 76, 79, 84), expected, strict=True):
        assert victim in sounding(player, keys)
        player.on(new)
        player.play(512)
        keys = [key for key in keys if key != victim] + [new]
        assert sounding(player, [*keys, victim]) == keys
        assert player.active == 4
    assert player.counts["steals"] == 4


def test_a_strike_of_a_ringing_key_takes_its_own_voice() -> None:
    player = Player(steady(polyphony=Polyphony(voices=2, per_key=1)))
    for key in (48, 60, 60):
        player.on(key)
        player.play(512)
    assert sounding(player, [48, 60]) == [48, 60]


# ---- and how ----


def _without_breath(glass: Preset) -> Preset:
    """Noise is made of steps: leave the partials alone."""
    return msgspec.structs.replace(glass, layers=glass.layers[:1])


def two_hundred_notes(preset: Preset, voices: int) -> tuple[Array, Player, list[int]]:
    """The sound (2, frames), its player, and where the notes start: one every 10 ms, held.

    They are so low that the sound itself has no corners: a second difference shows what else there is.
    """
    polyphony = Polyphony(voices=voices, per_key=16)
    player = Player(msgspec.structs.replace(preset, polyphony=polyphony))
    rng = np.random.default_rng(3)
    sound, starts = [], []
    for i in range(200):
        player.on(int(rng.integers(24, 45)), float(rng.uniform(0.3, 1.0)))
        starts.append(480 * i + i % 7)
        sound.append(player.play(480 + (i + 1) % 7 - i % 7))
    return np.concatenate(sound, axis=1), player, starts


@pytest.mark.parametrize("name", ["glass", "steady"])
def test_stealing_does_not_click(name: str) -> None:
    """What 200 notes on 8 voices take away from the same on 256: it comes and goes without a step."""
    preset = _without_breath(load("glass")) if name == "glass" else steady()
    few, player, starts = two_hundred_notes(preset, 8)
    many, _, _ = two_hundred_notes(preset, 256)
    assert player.counts["steals"] == 192
    assert player.counts["cuts"] == 0
    taken = few.astype(float) - many
    assert np.abs(taken).max() > 0.1
    assert sharpest_corner(taken) < QUIET_STEP
    # One voice that stopped dead would be seen.
    hard = taken.copy()
    hard[:, starts[100] :] += many[:, starts[100] :] / 8.0
    assert sharpest_corner(hard) > QUIET_STEP


@pytest.mark.parametrize("spacing", [0, 24, 97, 480])
def test_two_hundred_notes_on_32_voices(spacing: int) -> None:
    """So many samples apart: at one instant, faster than voices fade, as fast as slots last, as a player may.

    What stealing takes away from the same on 256 voices has no step above -50 dBFS; above -62 where nothing is cut.
    """
    sounds = []
    for voices in (32, 256):
        player = Player(steady(Envelope(attack_ms=5.0), Polyphony(voices=voices, per_key=16)))
        rng = np.random.default_rng(6)
        parts = []
        for _ in range(200):
            player.on(int(rng.integers(24, 45)), float(rng.uniform(0.3, 1.0)))
            parts.append(player.play(spacing))
        sounds.append(np.concatenate([*parts, player.play(960)], axis=1).astype(float))
        assert player.counts["steals"] == max(200 - voices, 0)
        assert player.counts["cuts"] == (152 if spacing == 0 and voices == 32 else 0)
    taken = sounds[0] - sounds[1]
    assert np.abs(taken).max() > 0.1
    assert sharpest_corner(taken) < (QUIET_STEP if spacing == 0 else 0.25 * QUIET_STEP)


@pytest.mark.parametrize(("rate", "samples"), [(44100.0, 224), (48000.0, 256), (96000.0, 512)])
def test_a_stolen_voice_fades_in_five_milliseconds_at_any_rate(rate: float, samples: int) -> None:
    player = Player(steady(), sample_rate=rate)
    player.on(30)
    player.play(SEGMENT * 30)
    player.control(SOUND_OFF, 0)
    fade = player.play(samples + SEGMENT)[0]
    assert np.abs(fade[samples - SEGMENT : samples]).max() > 0
    assert (fade[samples:] == 0).all()
    assert abs(samples / rate - 5e-3) < 4e-4


def test_a_stolen_voice_is_gone_after_256_samples() -> None:
    player = Player(steady(polyphony=Polyphony(voices=1)))
    player.on(60)
    player.play(960)
    player.on(72)
    player.play(256)
    assert sounding(player, [60, 72]) == [72]
    assert player.active == 1


def test_more_steals_than_there_are_slots_cut_within_32_samples() -> None:
    """4 voices and 16 that fade: the 21st note in one instant needs the slot of a voice that has not yet faded."""
    player = Player(steady(polyphony=Polyphony(voices=4), range_db=120.0))
    low = [24, 28, 31, 35]
    for key in low:
        player.on(key)
    before = player.play(960)
    for i in range(40):
        player.on(60 + i, 1e-6)
    after = player.play(960)
    assert player.counts["cuts"] == 4 + 40 - 20
    # Half a cosine bends by at most (pi/32)²/2 of each of the four that sounded; a straight line would by 1/32.
    corner = 4 * LEVEL * 0.5 * (np.pi / SEGMENT) ** 2
    own = sharpest_corner(before)
    assert (
        sharpest_corner(np.concatenate([before, after], axis=1)) < 1.1 * (corner + own) < 4 * LEVEL / SEGMENT
    )
    assert np.abs(after[:, SEGMENT:]).max() < 44 * LEVEL * 1e-6


def test_a_cut_is_half_a_cosine_to_nothing() -> None:
    """Of one loud voice, in the middle of a segment, among others that are too soft to matter."""
    player = Player(steady(polyphony=Polyphony(voices=4), range_db=120.0))
    alone = Player(steady())
    for each in (player, alone):
        each.on(30)
        each.play(970)
    for i in range(24):
        player.on(60 + i, 1e-6)
    cut, whole = player.play(64)[0], alone.play(64)[0]
    line = 0.5 + 0.5 * np.cos(np.pi * np.minimum(np.arange(64) / SEGMENT, 1.0))
    # It was stolen in the same instant, and so fades from its next segment on.
    line *= 1.0 - np.maximum(np.arange(64) - (SEGMENT - 970 % SEGMENT), 0) / 256
    np.testing.assert_allclose(cut, line * whole, atol=24 * LEVEL * 1e-6)
    assert np.abs(whole).max() > 0.1 * LEVEL


def test_polyphony_is_never_exceeded() -> None:
    player = Player(steady(Envelope(attack_ms=0.0, release_ms=1000.0), Polyphony(voices=5, per_key=3)))
    rng = np.random.default_rng(1)
    for _ in range(500):
        getattr(player, rng.choice(["on", "on", "off"]))(int(rng.integers(50, 60)))
        player.play(int(rng.integers(0, 40)))
        assert player.active <= 5 + 16
    player.play(512)
    assert player.active <= 5
