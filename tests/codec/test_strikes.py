"""Struck sound as strikes: slots, bursts, onsets, matching pursuit over a phrase, what it costs and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from rtsynth.codec.bursts import Bursts, cells_of
from rtsynth.codec.choice import choose
from rtsynth.codec.dampers import find_knee
from rtsynth.codec.decoder import render_events
from rtsynth.codec.event import (
    BURST,
    CONTROL,
    DAMPED_AFTER,
    DAMPED_T60,
    EVENT,
    MODES,
    Kind,
    as_events,
    check_events,
    strike,
)
from rtsynth.codec.onsets import find_onsets
from rtsynth.codec.slots import Atoms, atoms_of, grouped, in_slots, ringing, vector_of
from rtsynth.codec.strike_residual import residual_energy
from rtsynth.codec.strikes import encode_strikes
from rtsynth.errors import InputError
from rtsynth.instrument.fitting.metrics import Target, cell_frames, erb_triangles
from rtsynth.instrument.fitting.modes import Modes, sound
from rtsynth.instrument.fitting.recording import prepare

Array = NDArray[np.float64]
RATE = 16000.0
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def note(seconds: float, f0: float, level: float = 0.2, rate: float = RATE) -> Array:
    """A stiff string of six partials from the first sample on."""
    t = np.arange(round(seconds * rate)) / rate
    k = np.arange(1, 7)[:, None]
    partials = np.sin(2 * np.pi * k * f0 * np.sqrt(1 + 3e-4 * k**2) * t + k) * np.exp(-2.0 * k**0.5 * t) / k
    return level * partials.sum(axis=0)


def phrase() -> tuple[Array, Array]:
    """Three notes that ring over one another, and the times (3,) they begin at, seconds."""
    x, times = np.zeros(round(1.8 * RATE)), np.array([0.1, 0.6, 1.1])
    for time, f0, level in zip(times, (220.0, 329.6, 261.6), (0.2, 0.15, 0.25), strict=True):
        first = round(time * RATE)
        x[first:] += note(1.8, f0, level)[: x.size - first]
    return x, times


@pytest.fixture(scope="module")
def encoded():
    x, times = phrase()
    return x, times, encode_strikes(x, RATE)


# ---- slots ----


def test_two_slots_are_a_mode_of_any_phase() -> None:
    rng = np.random.default_rng(1)
    modes = Modes(
        rng.uniform(50.0, 7000.0, 40),
        rng.uniform(1.0, 60.0, 40),
        rng.normal(size=40) + 1j * rng.normal(size=40),
    )
    later = ringing(in_slots(modes, 0.003), RATE, 4000, 0.003 * RATE)
    np.testing.assert_allclose(later[48:], sound(modes, RATE, 4000)[48:], atol=1e-9)


def test_ringing_goes_on_where_it_was() -> None:
    atoms = in_slots(Modes(np.array([310.0]), np.array([5.0]), np.array([0.3 + 0.2j])), 0.0)
    np.testing.assert_allclose(
        ringing(atoms, RATE, 500, -700.0), ringing(atoms, RATE, 1200, 0.0)[700:], atol=1e-12
    )


def test_ringing_is_the_sum_of_sines_of_its_text() -> None:
    rng = np.random.default_rng(2)
    atoms = Atoms(rng.uniform(50, 7000, 8), rng.uniform(1, 60, 8), rng.uniform(0, 1, 8), np.arange(8))
    slow = np.zeros(2000)
    for frequency, damping, amplitude, slot in zip(
        atoms.frequency, atoms.damping, atoms.amplitude, atoms.slot, strict=True
    ):
        t = np.arange(2000) / RATE
        slow += amplitude * np.exp(-damping * t) * np.sin(2 * np.pi * frequency * t + slot * np.pi / 4)
    np.testing.assert_allclose(ringing(atoms, RATE, 2000, 0.0), slow, atol=1e-9)


def test_groups_have_every_slot_once_and_begin_with_the_heaviest() -> None:
    rng = np.random.default_rng(3)
    atoms = Atoms(*rng.uniform(1.0, 2.0, (3, 100)), rng.integers(0, 8, 100))
    weight = rng.uniform(0.0, 10.0, 100)
    groups = grouped(atoms, weight, 5, 1.0)
    assert len(groups) == 5
    for group in groups:
        assert len(set(group.slot.tolist())) == len(group)
    for slot in range(8):
        chosen = np.sort(weight[(atoms.slot == slot) & (weight > 1.0)])[::-1][:5]
        amplitudes = [float(g.amplitude[g.slot == slot][0]) for g in groups if (g.slot == slot).any()]
        order = [float(atoms.amplitude[weight == w][0]) for w in chosen]
        assert amplitudes == order


def test_a_vector_holds_its_atoms() -> None:
    atoms = Atoms(np.array([440.0, 99.0]), np.array([3.0, 30.0]), np.array([0.2, 1e-3]), np.array([5, 0]))
    event = np.zeros(1, EVENT)
    event["gain"], event["vector"][:, MODES] = -2.0, vector_of(atoms, -2.0)
    back = atoms_of(event)
    assert back.slot.tolist() == [0, 5]
    for field in ("frequency", "damping", "amplitude"):
        np.testing.assert_allclose(getattr(back, field)[::-1], getattr(atoms, field), rtol=1e-5)


# ---- bursts ----


def test_the_energy_of_a_burst_is_what_the_decoder_plays() -> None:
    """The mean of 40 bursts, cells of 10 independent numbers or more: 2 dB are 7 standard deviations."""
    burst = [0.0, np.log(3000.0), np.log(600.0), np.log(0.4), 0.0]
    events = as_events([strike(25 + 100 * k, -3.0, np.zeros((0, 3)), burst, voice=k) for k in range(40)])
    frames = cell_frames(RATE)
    power = (
        frames.power(render_events(events, RATE, 16.2).astype(float)) @ erb_triangles(frames.n_fft, RATE).T
    )
    played = power[:800].reshape(40, 20, -1).mean(axis=0)  # 100 steps of 4 ms are 20 hops
    bursts = Bursts(np.array([3000.0]), np.array([600.0]), np.array([np.exp(-3.0)]), np.array([0.4]))
    wanted = cells_of(bursts, frames, RATE, len(played), 0.1 * RATE)
    loud = wanted > 0.05 * wanted.max()
    assert loud.sum() > 15
    assert np.abs(10.0 * np.log10(played[loud] / wanted[loud])).max() < 2.0
    assert abs(10.0 * np.log10(played[loud].sum() / wanted[loud].sum())) < 0.4


# ---- a phrase ----


def test_onsets_are_found_where_they_are(encoded) -> None:
    x, times, events = encoded
    assert np.abs(find_onsets(x, RATE) / RATE - times).max() < 0.004
    assert np.abs(np.unique(events["time"]) * CONTROL - times).max() <= CONTROL


def test_the_residual_of_the_sum_falls_at_every_event(encoded) -> None:
    x, _, events = encoded
    energies = [residual_energy(x, RATE, events[:count]) for count in range(len(events) + 1)]
    assert np.all(np.diff(energies) < 0.0)
    assert energies[-1] < 1e-3 * energies[0]


def test_strikes_of_one_onset_share_its_time_and_no_voice(encoded) -> None:
    _, _, events = encoded
    check_events(events)
    assert (events["kind"] == Kind.STRIKE).all()
    for time in np.unique(events["time"]):
        assert events["voice"][events["time"] == time].tolist() == list(
            range(int((events["time"] == time).sum()))
        )
    for voice in np.unique(events["voice"]):  # redundant: within 23 ms in the same voice
        assert np.all(np.diff(events["time"][events["voice"] == voice]) * CONTROL > 0.023)


def test_the_decoder_plays_the_sum_that_was_subtracted(encoded) -> None:
    x, _, events = encoded
    played = render_events(events, RATE, x.size / RATE).astype(float)
    assert 10.0 * np.log10(np.sum((x - played) ** 2) / np.sum(x**2)) < -25.0


def test_partials_come_back_with_their_frequencies_and_decays() -> None:
    k = np.arange(1, 7)
    atoms = atoms_of(encode_strikes(np.concatenate([np.zeros(800), note(1.5, 220.0)]), RATE))
    for frequency, damping in zip(k * 220.0 * np.sqrt(1 + 3e-4 * k**2), 2.0 * k**0.5, strict=True):
        near = np.abs(atoms.frequency - frequency) < 3.0
        loudest = np.argmax(atoms.amplitude[near])
        assert atoms.frequency[near][loudest] == pytest.approx(frequency, abs=0.02)
        assert atoms.damping[near][loudest] == pytest.approx(damping, rel=0.02)


def test_fewer_strikes_are_the_same_ones() -> None:
    x = np.concatenate([np.zeros(800), note(0.4, 220.0)])
    one, many = (encode_strikes(x, RATE, most=most) for most in (1, 16))
    assert len(one) == 1 < len(many)
    np.testing.assert_array_equal(one["vector"][0, MODES], many["vector"][0, MODES])


# ---- dampers ----


def let_go(after: float, t60: float, seconds: float = 0.9, rate: float = RATE) -> Array:
    """A note that a damper falls on, 50 ms into the sound."""
    since = np.arange(round(seconds * rate)) / rate - after
    damped = note(seconds, 220.0, rate=rate) * np.exp(-np.log(1000.0) / t60 * np.maximum(since, 0.0))
    return np.concatenate([np.zeros(round(0.05 * rate)), damped])


@pytest.mark.parametrize(("after", "t60"), [(0.5, 0.15), (0.3, 0.6)])
def test_a_damper_is_found_where_it_falls(after: float, t60: float) -> None:
    """In 10 ms and a quarter of its t60; the partials are those of the free string, and the sum is the sound."""
    x = let_go(after, t60)
    events = check_events(encode_strikes(x, RATE))
    found = np.unique(events["vector"][:, [DAMPED_AFTER, DAMPED_T60]], axis=0)
    assert len(found) == 1  # one note, one damper
    assert found[0, 0] == pytest.approx(after, abs=0.010)
    assert np.exp(found[0, 1]) == pytest.approx(t60, rel=0.25)
    atoms = atoms_of(events)
    near = np.abs(atoms.frequency - 220.0) < 2.0
    assert atoms.damping[near][np.argmax(atoms.amplitude[near])] == pytest.approx(2.0, rel=0.05)
    played = render_events(events, RATE, x.size / RATE).astype(float)
    late = slice(1600, None)  # an onset is moved to a control step
    assert 10.0 * np.log10(np.sum((x - played)[late] ** 2) / np.sum(x[late] ** 2)) < -30.0
    undamped = events.copy()
    undamped["vector"][:, DAMPED_AFTER] = 0.0
    assert residual_energy(x, RATE, undamped) > 3.0 * residual_energy(x, RATE, events)


def test_what_rings_has_no_damper(encoded) -> None:
    """Neither notes that ring over one another, nor beats, nor a treble that is gone before the bass."""
    assert not encoded[2]["vector"][:, DAMPED_AFTER].any()
    t = np.arange(round(1.5 * RATE)) / RATE
    beating = note(1.5, 220.0) + note(1.5, 221.7)
    gone = note(1.5, 220.0) * 0.1 + 0.2 * np.sin(2 * np.pi * 2500.0 * t) * np.exp(-25.0 * t)
    for x in (beating, gone, np.zeros(t.size), 0.1 * np.random.default_rng(3).standard_normal(t.size)):
        assert find_knee(x, RATE) is None
    assert find_knee(let_go(0.5, 0.15)[800:], RATE) == pytest.approx(0.5, abs=0.05)


# ---- what else may come ----

SOUNDS = {
    "silence": np.zeros(8000),
    "nothing": np.zeros(0),
    "noise": 0.1 * np.random.default_rng(0).standard_normal(8000),
    "offset": np.full(8000, 0.5),
    "square": np.sign(np.sin(2 * np.pi * 220.3 * np.arange(8000) / RATE)),
    "a tenth of a second": note(0.1, 440.0),
    "thirty milliseconds": note(0.03, 440.0),
    "a click": np.eye(1, 8000, 3000)[0],
    "louder than full scale": note(0.5, 440.0, 100.0),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_any_sound_has_strikes_that_a_decoder_plays(name: str) -> None:
    x = SOUNDS[name]
    events = check_events(encode_strikes(x, RATE))
    assert not len(events) or residual_energy(x, RATE, events) < residual_energy(x, RATE, events[:0])
    assert bool(len(events)) == (name not in ("silence", "nothing", "offset", "thirty milliseconds"))


def test_other_rates() -> None:
    for rate in (8000.0, 96000.0):
        x = np.concatenate([np.zeros(round(0.05 * rate)), note(0.4, 440.0, rate=rate)])
        assert residual_energy(x, rate, encode_strikes(x, rate)) < 1e-2 * residual_energy(
            x, rate, np.zeros(0, EVENT)
        )


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (np.zeros((10, 2)), RATE, "one channel"),
        (np.array([0.0, np.nan] * 5000), RATE, "not numbers"),
        (np.zeros(100), 100.0, "too low"),
    ],
)
def test_what_is_no_sound_is_refused_in_a_line(samples: Array, rate: float, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        encode_strikes(samples, rate)
    assert "\n" not in str(caught.value)


# ---- which kind suits ----


def test_the_choice_between_kinds() -> None:
    """Notes that die away are struck; the same held, or gliding, or noise, is not. A join is at an onset near."""
    t = np.arange(round(2.5 * RATE)) / RATE
    held = sum(np.sin(2 * np.pi * 220 * k * t) / k for k in range(1, 8)) * 0.1
    glide = (
        sum(np.sin(2 * np.pi * k * (150 * t + 12 * np.sin(2 * np.pi * 2 * t))) / k for k in range(1, 20))
        * 0.1
    )
    struck, _ = phrase()
    rng = np.random.default_rng(4)
    assert [s.kind for s in choose(struck[1600:], RATE)] == [Kind.STRIKE]
    syllables = glide * np.exp(-8.0 * np.remainder(t, 0.4))  # they fall, but their lines move
    for other in (held, glide, syllables, 0.1 * rng.standard_normal(t.size), np.zeros(t.size)):
        assert [s.kind for s in choose(other, RATE)] == [Kind.RETARGET]
    both = choose(np.concatenate([glide * np.minimum(1.0, t / 0.05), struck[1600:]]), RATE)
    assert [s.kind for s in both] == [Kind.RETARGET, Kind.STRIKE]
    assert both[0].end == both[1].begin == pytest.approx(t.size, abs=0.4 * RATE)


# ---- recordings ----


def test_a_recorded_note_comes_near() -> None:
    """ENV through the compiled decoder; with the modes of every strike shuffled, their phases lost, it is 4.7."""
    path = DATA / "piano_notes" / "salamander_C4_v10.ogg"
    if not path.exists():
        pytest.skip("needs the recordings of ../shared/data")
    samples, rate = soundfile.read(path, always_2d=True)
    recording = prepare(samples, float(rate), path.stem)
    x = recording.samples[: recording.onset + round(2.0 * rate)]
    events = encode_strikes(x, float(rate))
    assert len(events) <= 16
    played = np.stack([render_events(events, rate, x.size / rate, seed)[: x.size] for seed in (1, 2, 3)])
    assert Target(x, float(rate), recording.onset).score(played).env < 1.8
    assert (events["vector"][:, BURST.start] > -30.0).sum() >= 8
