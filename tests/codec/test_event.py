"""Events: their layout, their movement by a second way of computing it, and what no decoder is given."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.codec.event import (
    ABSENT,
    DIMENSIONS,
    EVENT,
    GAIN,
    KNOTS,
    LN_F0,
    MODES,
    RAMP,
    SHAPE,
    SHARE_KNOTS,
    SHARES,
    SILENT,
    Events,
    Kind,
    as_events,
    as_list,
    check_events,
    envelope,
    mel,
    mel_hertz,
    noise_share,
    retarget,
    silenced,
    strike,
    target,
    trajectory,
)
from rtsynth.errors import InputError
from tests.codec.made import same, spoken, struck


def test_the_layout_is_that_of_the_c_structure() -> None:
    offsets = {name: EVENT.fields[name][1] for name in EVENT.names}
    assert offsets == {"time": 0, "kind": 8, "voice": 9, "gain": 12, "vector": 16}
    assert EVENT.itemsize == 144


def test_a_retarget_is_its_envelope_again() -> None:
    level = np.linspace(-3.0, -8.0, 24)
    event = as_events([retarget(4, 2.0, np.log(200.0), level, [0.0, 1.0, 2.0, 3.0, 4.0])])
    state = target(event[0])
    np.testing.assert_allclose(envelope(state, KNOTS), level, atol=1e-6)
    between = mel_hertz(0.5 * (mel(KNOTS[3]) + mel(KNOTS[4])))
    np.testing.assert_allclose(envelope(state, [between])[0], level[3:5].mean(), atol=1e-6)
    np.testing.assert_allclose(envelope(state, [10.0, 20000.0]), level[[0, -1]], atol=1e-6)
    share = 1.0 / (1.0 + np.exp(-np.arange(5.0)))
    np.testing.assert_allclose(noise_share(state, SHARE_KNOTS), share, atol=1e-7)
    np.testing.assert_allclose(noise_share(state, [1000.0]), [share[:2].mean()], atol=1e-7)


def test_a_strike_fills_up_with_absent_modes() -> None:
    event = strike(0, -1.0, [[6.0, 0.0, -1.0]], np.zeros(5))
    modes = event.vector[MODES].reshape(8, 3)
    assert modes[0].tolist() == [6.0, 0.0, -1.0]
    assert (modes[1:, 2] == ABSENT).all()


def test_a_list_and_back() -> None:
    events = as_events([struck(9, voice=2), *as_list(spoken(5)), struck(9, voice=1)])
    assert (np.diff(events["time"]) >= 0).all()
    assert events["voice"][events["kind"] == Kind.STRIKE].tolist() == [2, 1]
    assert same(as_events(as_list(events)), events)


def by_recursion(events: Events, steps: int) -> np.ndarray:
    """The movement one step after the other: what a voice that knows only the present would do."""
    state, goal, speed, left = None, None, np.zeros(DIMENSIONS), 0.0
    out = np.zeros((steps, DIMENSIONS))
    for step in range(steps):
        for event in events[events["time"] == step]:
            goal = target(event)
            if state is None:
                state = silenced(goal)
            left = float(event["vector"][RAMP])
            speed = (goal - state) / left
        if state is not None:
            out[step] = state
            state = state + speed * min(left, 1.0)
            left = max(left - 1.0, 0.0)
            speed = speed if left else np.zeros(DIMENSIONS)
    return out


def test_the_movement_is_that_of_the_recursion() -> None:
    events = spoken(60, longest_gap=8)  # gaps shorter than many ramps
    steps = int(events["time"][-1]) + 20
    found, first = trajectory(events, steps), int(events["time"][0])
    np.testing.assert_allclose(found[first:], by_recursion(events, steps)[first:], atol=1e-9)
    np.testing.assert_allclose(found[-1], target(events[-1]), atol=1e-9)
    assert (found[: first + 1] == silenced(target(events[0]))).all()
    assert found[first, GAIN] + found[first, SHAPE].max() <= SILENT


def test_the_last_of_several_at_once_counts_and_others_voices_do_not() -> None:
    events = spoken(20)
    doubled = np.sort(np.concatenate([events, events]), order="time", kind="stable")
    doubled["gain"][::2] -= 1.0
    found = trajectory(doubled, 300)
    np.testing.assert_allclose(found[:, 1:], trajectory(events, 300)[:, 1:], atol=1e-9)
    np.testing.assert_allclose(found[300 - 1], trajectory(events, 300)[-1], atol=1e-9)
    other = spoken(20, seed=2, voice=3)
    both = np.sort(np.concatenate([events, other]), order="time", kind="stable")
    np.testing.assert_array_equal(trajectory(both, 300, voice=3), trajectory(other, 300, voice=3))


def test_nothing_is_silence_and_steps_may_end_anywhere() -> None:
    assert (trajectory(as_events([]), 5)[:, GAIN] <= SILENT).all()
    whole = trajectory(spoken(20), 200)
    for steps in (0, 1, 17, 63):
        np.testing.assert_array_equal(trajectory(spoken(20), steps), whole[:steps])


def altered(where: str, value: float, place: int | None = None, event: int = 3) -> Events:
    events = spoken(8)
    if place is None:
        events[where][event] = value
    else:
        events[where][event, place] = value
    return events


def test_what_can_be_played_is_let_through() -> None:
    for events in (spoken(50), as_events([]), as_events([struck(0), struck(0, voice=1)])):
        assert check_events(events) is events


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (altered("gain", np.nan), "event 3 has a gain"),
        (altered("gain", np.inf), "event 3 has a gain"),
        (altered("gain", 50.0), "event 3 has a gain"),
        (altered("kind", 9), "event 3 is of no known kind"),
        (altered("time", -1, event=0), "event 0 has a time"),
        (altered("time", 1 << 60, event=7), "event 7 has a time"),
        (altered("time", 1 << 20), "event 4 is earlier"),
        (altered("vector", 0.0, RAMP), "event 3 has a number"),
        (altered("vector", 1e9, RAMP), "event 3 has a number"),
        (altered("vector", 100.0, LN_F0), "event 3 has a number"),
        (altered("vector", np.nan, SHAPE.start), "event 3 has a number"),
        (altered("vector", -np.inf, SHARES.start), "event 3 has a number"),
        (altered("vector", np.nan, 31), "event 3 has a number"),
        (np.zeros(3), "array"),
        (np.zeros((1, 1), EVENT), "array"),
    ],
)
def test_what_cannot_is_one_line(events: Events, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        check_events(events)
    assert "\n" not in str(caught.value)
