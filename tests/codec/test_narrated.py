"""Frames of a voice as events: the decoder's trajectory goes through every frame at its time."""

from __future__ import annotations

import numpy as np

from rtsynth.codec.event import CONTROL, LN_F0, SHARES, Kind, check_events, trajectory
from rtsynth.codec.narrated import retargets

SECONDS = 256 / 22050


def voices(count: int) -> np.ndarray:
    """A glide of everything, (count, 30)."""
    t = np.linspace(0.0, 1.0, count)[:, None]
    envelope = -4.0 - 2.0 * np.sin(np.pi * t) * np.linspace(0.0, 1.0, 24)
    return np.hstack((np.log(120.0) + 1.5 * t, envelope, -6.0 + 12.0 * t * np.ones(5)))


def test_the_trajectory_goes_through_the_frames() -> None:
    """Within what a straight line over one control step's rounding may miss."""
    given = voices(60)
    events = check_events(retargets(given, 0, SECONDS))
    assert (events["kind"] == Kind.RETARGET).all()
    assert (np.diff(events["time"]) >= 0).all()
    steps = np.arange(10, 160)
    found = trajectory(events, 160)[10:]
    at = steps * CONTROL / SECONDS - 0.5  # frames
    wanted = np.array([np.interp(at, np.arange(60), column) for column in given.T])
    np.testing.assert_allclose(found[:, LN_F0], wanted[0], atol=0.01)
    np.testing.assert_allclose(found[:, SHARES], wanted[25:].T, atol=0.05)


def test_piece_by_piece_is_the_same() -> None:
    given = voices(21)
    parts = [retargets(given[i : i + 2], i, SECONDS) for i in range(0, 21, 2)]
    assert np.array_equal(np.concatenate(parts), retargets(given, 0, SECONDS))


def test_what_a_network_exaggerates_can_still_be_played() -> None:
    given = np.random.default_rng(1).choice([-1e9, 1e9], (50, 30))
    check_events(retargets(given, 0, SECONDS))
