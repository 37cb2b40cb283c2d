"""Recordings as events: targets, pieces and their joins, odd sounds, and how near the decoded voice comes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.codec import encoder
from rtsynth.codec.analysis import STEP, Tracks, analyse
from rtsynth.codec.decoder import render_events
from rtsynth.codec.encoder import encode, encode_blocks, without_holds
from rtsynth.codec.event import EVENT, LN_F0, RAMP, RATE, Events, check_events, trajectory
from rtsynth.codec.quantiser import Quantiser
from rtsynth.codec.targets import _rows, _weights, fit_targets, progress
from rtsynth.codec.times import SHORTEST
from rtsynth.errors import InputError, UsageError
from tests.codec.sounds import spoken, syllables
from tests.codec.test_analysis import ODD
from tests.data import shared

Array = NDArray[np.float64]
SPOKEN = spoken(8)


def test_targets_of_a_known_movement_are_found_again() -> None:
    """Times and the state at the start known, ramps among those there are to choose from: the very same events."""
    events = syllables()
    events["vector"][:, RAMP] = np.append(np.diff(events["time"]), 40)
    events["vector"][3, RAMP] = 1.0  # a jump, then still
    states = trajectory(events, int(events["time"][-1]) + 40)
    tracks = Tracks(states[:, 1], states[:, :1] + states[:, 2:26], states[:, 26:31]).part(
        int(events["time"][1]), 10**6
    )
    times = events["time"][1:].astype(np.int64) - int(events["time"][1])
    found = fit_targets(tracks, times, events[0])
    np.testing.assert_allclose(found["vector"], events["vector"][1:], atol=2e-3)
    np.testing.assert_allclose(found["gain"], events["gain"][1:], atol=2e-3)


def slow_goals(tracks: Tracks, times: NDArray[np.int64], ramps: Array) -> Array:
    """The targets by one dense least-squares problem a dimension."""
    rows, weights = _rows(tracks), _weights(tracks)
    which, done = progress(times, ramps, len(rows))
    matrix = np.zeros((len(rows), times.size))
    for t, (k, share) in enumerate(zip(which, done, strict=True)):
        matrix[t, k] += 1.0 if k == 0 else share
        if k > 0:
            matrix[t, k - 1] += 1.0 - share
    roots = np.sqrt(weights)
    return np.stack(
        [
            np.linalg.lstsq(matrix * root[:, None], row * root, rcond=None)[0]
            for row, root in zip(rows.T, roots.T, strict=True)
        ],
        axis=1,
    )


def test_targets_are_the_least_squares() -> None:
    tracks = analyse(SPOKEN, RATE)
    times = np.arange(0, len(tracks) - 7, 9)
    found = fit_targets(tracks, times)
    slow = slow_goals(tracks, times, found["vector"][:, RAMP].astype(np.float64))
    envelope = found["vector"][:, 2:26] + found["gain"][:, None]
    np.testing.assert_allclose(envelope, slow[:, :24], atol=2e-4)
    np.testing.assert_allclose(found["vector"][:, LN_F0], slow[:, 29], atol=2e-4)


def test_blocks_of_any_size_give_the_same_events() -> None:
    sound = np.stack([SPOKEN, SPOKEN], axis=1)
    whole = encode(sound, 22050)
    rng = np.random.default_rng(1)
    parts = np.split(sound, np.sort(rng.integers(0, len(sound), 30)))
    np.testing.assert_array_equal(np.concatenate(list(encode_blocks(parts, 22050))), whole)
    again = [*np.array_split(SPOKEN, 7), np.empty(0)]
    np.testing.assert_array_equal(np.concatenate(list(encode_blocks(again, RATE))), encode(SPOKEN, RATE))


def test_pieces_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces of 1.6 s: as many events, no gap too short, and no error larger at the joins than elsewhere."""
    sound = np.concatenate([spoken(seed=s) for s in (1, 2)])
    whole = encode(sound, RATE)
    monkeypatch.setattr(encoder, "PIECE", 400)
    monkeypatch.setattr(encoder, "CONTEXT", 60)
    monkeypatch.setattr(encoder, "TAIL", 100)
    pieces = list(encode_blocks(np.array_split(sound, 40), RATE))
    np.testing.assert_array_equal(np.concatenate(pieces), encode(sound, RATE))
    joined = check_events(np.concatenate(pieces))
    assert len(pieces) > 2
    assert np.diff(joined["time"]).min() >= SHORTEST
    steps = sound.size // STEP
    assert len(joined) <= 30.0 * 0.004 * (steps + 1)
    assert len(joined) > 0.9 * len(whole)
    # A voice that goes on glides from where it is; only a sound's first event jumps.
    assert max(float(piece["vector"][0, RAMP]) for piece in pieces[1:]) > 1.0
    assert pieces[0]["vector"][0, RAMP] == 1.0
    tracks = analyse(sound, RATE)
    near = np.zeros(steps, bool)
    for piece in pieces[1:]:
        near[piece["time"][0] - 15 : piece["time"][0] + 15] = True
    errors = [
        np.abs((trajectory(events, steps)[:, 2:26] - tracks.states()[:steps, 2:26])[near]).mean()
        for events in (joined, whole)
    ]
    assert errors[0] < 1.15 * errors[1]


def test_a_constant_is_no_sound() -> None:
    """Nor does a file that begins with one begin with a click; beside a voice it changes next to nothing."""
    for offset in (0.5, -1.0):
        assert len(encode(np.full(RATE, offset), RATE)) == 1
        assert encode(np.full(RATE, offset), RATE)["gain"][0] < -10.0
    plain, moved = encode(SPOKEN, RATE), encode(SPOKEN + 0.5, RATE)
    paths = [trajectory(events, SPOKEN.size // STEP)[:, :26] for events in (plain, moved)]
    assert np.abs(paths[0] - paths[1])[50:].mean() < 0.05


def test_memory_does_not_grow_with_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times as long, the same peak: pieces of 1 s, blocks of 0.25 s."""
    monkeypatch.setattr(encoder, "PIECE", 250)
    monkeypatch.setattr(encoder, "CONTEXT", 60)
    monkeypatch.setattr(encoder, "TAIL", 60)

    def peak(seconds: int) -> int:
        blocks = (0.1 * np.random.default_rng(n).standard_normal(RATE // 4) for n in range(4 * seconds))
        tracemalloc.start()
        count = sum(len(events) for events in encode_blocks(blocks, RATE))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count > 20 * seconds
        return found

    peak(1)  # what is made once
    assert peak(6) < 1.1 * peak(2)


def test_the_rate_is_kept() -> None:
    for wanted in (10.0, 30.0, 50.0):
        found = len(encode(SPOKEN, RATE, events_per_second=wanted)) / (SPOKEN.size / RATE)
        assert 0.9 * wanted <= found <= wanted + 1.0
    with pytest.raises(UsageError, match="Try 30"):
        encode(SPOKEN, RATE, events_per_second=100.0)


def test_what_a_pause_saves_is_not_spent_on_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "PIECE", 400)
    monkeypatch.setattr(encoder, "CONTEXT", 60)
    monkeypatch.setattr(encoder, "TAIL", 100)
    events = encode(np.concatenate([np.zeros(8 * RATE), SPOKEN]), RATE, events_per_second=20.0)
    speaking = events["time"] >= 2000
    assert speaking.sum() <= 20.0 * (SPOKEN.size / RATE) + 12.0  # a piece may begin in the pause
    assert (~speaking).sum() < 12


def test_what_stays_needs_no_event() -> None:
    assert len(encode(np.zeros(2 * RATE), RATE)) == 1
    events = syllables(4)
    twice = np.repeat(events, 2)
    twice["time"] = 10 * np.arange(8)
    np.testing.assert_array_equal(without_holds(twice)["time"], [0, 20, 40, 60])
    assert len(without_holds(twice, events[0])) == 3


@pytest.mark.parametrize("name", ODD)
def test_odd_sounds_become_events_that_can_be_played(name: str) -> None:
    samples, rate = ODD[name]
    events = check_events(encode(samples, rate))
    assert len(events) >= 1
    sound = render_events(events, RATE, max(len(samples) / rate, 0.01))
    assert np.isfinite(sound).all()
    loudness = np.sqrt(np.mean(np.square(samples)))
    if name in ("noise", "square", "two voices", "low voice", "8 kHz"):
        assert np.sqrt(np.mean(sound**2)) == pytest.approx(loudness, rel=0.35)
    if name == "silence":
        assert np.abs(sound).max() < 1e-4


def test_what_cannot_be_encoded_is_said_in_a_line() -> None:
    with pytest.raises(InputError, match="not one sample"):
        encode(np.empty(0), RATE)
    with pytest.raises(InputError, match="not numbers"):
        encode(np.full(100, np.inf), RATE)


def decoded(events: Events, count: int) -> Array:
    return render_events(events, RATE, count / RATE).astype(np.float64)


def test_a_recording_never_trained_on_is_understood() -> None:
    """4 s of a held-out clip at 30 events a second: STOI, unquantised, and as a file of 1.8 kb/s holds it."""
    stoi = pytest.importorskip("pystoi", reason="pystoi measures STOI").stoi
    import soundfile
    import soxr

    samples, rate = soundfile.read(shared("speech_ljspeech/LJ001-0009.wav"))
    sound = soxr.resample(samples, rate, RATE)[: 4 * RATE]
    events = encode(sound, RATE)
    assert len(events) <= 4 * 30 + 1
    level = np.ceil(8.0 * events["gain"].max()) / 8.0
    assert stoi(sound, decoded(events, sound.size), RATE) > 0.93
    assert stoi(sound, decoded(Quantiser.load("file-59").quantise(events, level), sound.size), RATE) > 0.90
    assert events.dtype == EVENT
