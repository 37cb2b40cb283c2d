"""Events one by one: their shares of the sum, how they sound alone, shuffled, and what they leave of the original."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.cli import report_events as one_by_one
from rtsynth.cli.report_events import Grid, Part
from rtsynth.cli.report_movie import Analysis, movie
from rtsynth.codec.decoder import render_events
from rtsynth.codec.event import (
    BURST,
    CONTROL,
    EVENT,
    GAIN,
    LN_F0,
    MODES,
    RAMP,
    SHAPE,
    Events,
    Kind,
    in_order,
)
from tests.cli.sketch import RATE, notes, render, speech

SECONDS = 2.0
COUNT = round(SECONDS * RATE)
GRID = Grid(RATE, CONTROL)


@pytest.fixture(scope="module")
def events() -> Events:
    return in_order(np.concatenate([speech(SECONDS), notes(SECONDS, 4)]))


@pytest.fixture(scope="module")
def shares(events: Events) -> list[Part]:
    return one_by_one.parts(events, render, GRID, COUNT)


def apart_db(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(10.0 * np.log10(max(1e-20, ((found - wanted) ** 2).sum() / (wanted**2).sum())))


# ---- shares of the sum ----


def test_the_shares_of_all_events_are_the_decoded_sound(events: Events, shares: list[Part]) -> None:
    assert apart_db(one_by_one.added(shares, COUNT), render(events, SECONDS)) < -80.0
    without = [part for index, part in enumerate(shares) if index != 7]
    assert apart_db(one_by_one.added(without, COUNT), render(events, SECONDS)) > -40.0  # each one counts


@pytest.mark.parametrize("rate", [16000.0, 22050.0])
def test_the_shares_are_the_sound_of_the_decoder_itself(rate: float) -> None:
    """A burst's noise is its event's: the same draw when the event sounds alone."""
    events = in_order(np.concatenate([speech(SECONDS), notes(SECONDS, 3)]))
    events["vector"][events["kind"] == Kind.STRIKE, BURST] = -1.0, 7.0, 6.0, -2.0, 2.0
    count = round(SECONDS * rate)
    shares = one_by_one.parts(events, lambda e, s: render_events(e, rate, s), Grid(rate, CONTROL), count)
    whole = render_events(events, rate, SECONDS).astype(float)
    assert apart_db(one_by_one.added(shares, count), whole) < -100.0


def test_an_event_of_a_voice_has_the_sound_from_its_time_to_the_next(events: Events) -> None:
    voice = events[events["kind"] == Kind.RETARGET]
    shares = one_by_one.parts(voice, render, GRID, COUNT)
    fade = round(one_by_one.FADE * RATE)
    for index in (1, 5, len(voice) - 1):
        begin = int(GRID.sample(voice["time"][index]))
        end = COUNT if index + 1 == len(voice) else int(GRID.sample(voice["time"][index + 1])) + fade
        assert shares[index].start == begin
        assert shares[index].start + shares[index].samples.size == end


@pytest.mark.parametrize("gap", [0, 1, 2])
def test_events_of_one_time_or_next_to_each_other_still_add_up(gap: int) -> None:
    voice = speech(SECONDS)[:6]
    voice["time"] = np.arange(6) // 2 * 40 + np.arange(6) % 2 * gap
    shares = one_by_one.parts(voice, render, GRID, COUNT)
    assert apart_db(one_by_one.added(shares, COUNT), render(voice, SECONDS)) < -190.0


def test_events_after_the_end_add_nothing(events: Events) -> None:
    late = events.copy()
    late["time"] += round(SECONDS / CONTROL) + 10
    late = np.concatenate([events[:1], late])
    shares = one_by_one.parts(late, render, GRID, COUNT)
    assert all(part.start + part.samples.size <= COUNT for part in shares)
    assert sum(part.energy for part in shares[1:]) < 1e-6 * shares[0].energy


# ---- alone ----


def loudest_hertz(samples: np.ndarray) -> float:
    size = 1 << 15
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size), size))
    return float(spectrum.argmax() * RATE / size)


def test_every_event_alone_is_in_its_place_of_the_sprite(events: Events, shares: list[Part]) -> None:
    sprite = one_by_one.sprite(events, shares, render, GRID)
    assert sprite.starts[0] == 0
    assert (sprite.starts + sprite.lengths)[-1] == sprite.samples.size
    assert (np.diff(sprite.starts) == sprite.lengths[:-1]).all()
    for event, start, length in zip(events, sprite.starts, sprite.lengths, strict=True):
        piece = sprite.samples[start : start + length]
        pitch = one_by_one.hertz(event)
        assert pitch is not None
        assert abs(loudest_hertz(piece) / pitch - 1.0) < 0.03
        assert abs(piece[-1]) < 0.01 * np.abs(piece).max() + 1e-12  # ends without a click
        if event["kind"] == Kind.RETARGET:
            level = np.sqrt(np.mean(piece[length // 3 : 2 * length // 3] ** 2)) * np.sqrt(2.0)
            assert abs(np.log(level) - event["gain"]) < 0.05


@pytest.mark.parametrize("count", [1, 30, 400, 1500])
def test_a_sprite_is_no_longer_than_a_minute_or_so(count: int) -> None:
    events = speech(count / 50.0, 50.0)
    sprite = one_by_one.sprite(events, [], lambda e, s: np.zeros(round(s * RATE)), GRID)
    longest = max(one_by_one.SPRITE_SECONDS, one_by_one.ALONE[0] * count) + count * CONTROL
    assert len(sprite.starts) == events.size
    assert sprite.samples.size / RATE <= longest


# ---- shuffled ----


def test_random_vectors_keep_times_gains_and_ramps_and_their_ranges(events: Events) -> None:
    drawn = one_by_one.random_vectors(events, seed=3)
    assert (drawn["time"] == events["time"]).all()
    assert (drawn["gain"] == events["gain"]).all()
    voice, was = (e[e["kind"] == Kind.RETARGET]["vector"] for e in (drawn, events))
    assert (voice[:, RAMP] == was[:, RAMP]).all()
    assert (voice >= was.min(axis=0) - 1e-6).all()
    assert (voice <= was.max(axis=0) + 1e-6).all()
    assert (voice[:, SHAPE] != was[:, SHAPE]).all()
    assert np.corrcoef(voice[:, LN_F0], was[:, LN_F0])[0, 1] < 0.6  # by chance beyond it: 1e-5, of 40 pairs
    assert (one_by_one.random_vectors(events, seed=3) == drawn).all()
    assert not (one_by_one.random_vectors(events, seed=4) == drawn).all()


def test_random_strikes_have_whole_modes_of_strikes_that_were_there(events: Events) -> None:
    strikes = events[events["kind"] == Kind.STRIKE]
    drawn = one_by_one.random_vectors(strikes, seed=3)
    assert not (drawn["vector"] == strikes["vector"]).all()
    modes = {tuple(mode) for mode in strikes["vector"][:, MODES].reshape(-1, 3)}
    assert {tuple(mode) for mode in drawn["vector"][:, MODES].reshape(-1, 3)} <= modes


def test_random_times_keep_the_events_and_move_the_groups_of_a_note_together(events: Events) -> None:
    steps = round(SECONDS / CONTROL)
    moved = one_by_one.random_times(events, steps, seed=3)
    assert (np.diff(moved["time"]) >= 0).all()
    assert moved["time"].max() < steps
    assert not (moved["time"] == events["time"]).all()
    kept = [sorted(e["vector"].tobytes() for e in some) for some in (events, moved)]
    assert kept[0] == kept[1]
    was = {e["vector"].tobytes(): int(e["time"]) for e in events}
    together = {}
    for event in moved:
        together.setdefault(was[event["vector"].tobytes()], set()).add(int(event["time"]))
    assert all(len(times) == 1 for times in together.values())


# ---- the map ----


def test_likeness_puts_like_events_together() -> None:
    """Two families of vectors: t-SNE keeps them apart, whichever way up."""
    pytest.importorskip("sklearn")
    events = speech(3.0)
    family = np.arange(events.size) % 2
    events["vector"][:, SHAPE] = np.where(family[:, None], 3.0, -3.0) * np.linspace(-1, 1, 24)
    places = one_by_one.projection(events)
    assert places.min() == 0.0
    assert places.max() == 1.0
    assert places[family == 0].max() < places[family == 1].min() or (
        places[family == 1].max() < places[family == 0].min()
    )
    assert (places == one_by_one.projection(events)).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_a_few_events_have_places_too(count: int) -> None:
    if count > 3:
        pytest.importorskip("sklearn")
    events = speech(SECONDS)[:count]
    places = one_by_one.projection(events)
    assert places.shape == (count,)
    assert ((places >= 0.0) & (places <= 1.0)).all()
    assert one_by_one.random_colours(events).shape == (count, 3)


def test_events_that_are_all_the_same_have_places() -> None:
    same = np.repeat(speech(SECONDS)[:1], 9)
    assert np.isfinite(one_by_one.projection(same)).all()


# ---- the decomposition ----


def test_what_is_left_of_a_sum_is_nothing_and_every_step_leaves_less(shares: list[Part]) -> None:
    whole = one_by_one.added(shares, COUNT)
    film = movie(whole, shares, RATE)
    assert film.residual_db[0] == 0.0
    assert film.residual_db[-1] < -100.0
    assert film.counts[-1] == len(shares)
    assert film.frames[0].max() == 255
    assert not film.frames[-1].any()
    assert (np.diff(film.counts) >= 0).all()
    assert film.rising == int((np.diff(film.residual_db) > 0.0).sum())


def test_columns_that_were_computed_step_by_step_are_those_of_the_whole_sum(shares: list[Part]) -> None:
    """The fast way, only what a part touches, against the slow one."""
    whole = one_by_one.added(shares, COUNT)
    noisy = whole + 0.05 * np.random.default_rng(1).standard_normal(COUNT)
    film = movie(noisy, shares, RATE)
    slow = Analysis(COUNT, RATE)
    left = ((slow.magnitudes(noisy) - slow.magnitudes(whole)) ** 2).sum()
    first = (slow.magnitudes(noisy) ** 2).sum()
    assert film.residual_db[-1] == pytest.approx(10.0 * np.log10(left / first), abs=1e-6)


def test_two_events_that_cancel_each_other_take_nothing_away() -> None:
    """The sum of the magnitudes would take away twice what they have: the residual is of the sum."""
    tone = np.sin(2.0 * np.pi * 440.0 * np.arange(COUNT) / RATE)
    film = movie(tone, [Part(0, 0.5 * tone), Part(0, -0.5 * tone)], RATE)
    assert film.residual_db[1] < -5.0
    assert film.residual_db[2] == pytest.approx(0.0, abs=1e-9)
    assert film.rising == 1


@pytest.mark.parametrize("count", [1, 40, COUNT])
def test_no_events_and_no_sound_make_a_picture(count: int) -> None:
    film = movie(np.zeros(count), [], RATE)
    assert film.frames.shape[0] == 1
    assert not film.frames.any()


def test_frequency_is_where_it_should_be() -> None:
    analysis = Analysis(COUNT, RATE)
    tone = np.sin(2.0 * np.pi * 1000.0 * np.arange(COUNT) / RATE)
    row = int(analysis.magnitudes(tone)[:, analysis.columns // 2].argmax())
    assert abs(analysis.hertz[row] / 1000.0 - 1.0) < 0.03


# ---- figures of one event ----


def test_pitch_and_noise_of_an_event() -> None:
    voice, struck = speech(SECONDS)[3], notes(SECONDS, 2)[0]
    assert one_by_one.hertz(voice) == pytest.approx(float(np.exp(voice["vector"][LN_F0])))
    assert one_by_one.hertz(struck) == pytest.approx(float(np.exp(struck["vector"][0])))  # its loudest mode
    assert 0.0 < (one_by_one.noisiness(voice) or 0.0) < 1.0
    assert one_by_one.noisiness(struck) is None
    code = np.zeros(1, EVENT)
    code["kind"] = Kind.CODE
    assert one_by_one.hertz(code[0]) is None


def test_the_sketch_follows_the_specification() -> None:
    """The decoder of these tests reaches a target's pitch and level."""
    voice = speech(SECONDS)[:1]
    sound = render(voice, SECONDS)
    assert abs(loudest_hertz(sound[COUNT // 2 :]) / np.exp(voice["vector"][0, LN_F0]) - 1.0) < 0.01
    assert np.abs(sound).max() == pytest.approx(np.exp(voice["gain"][0]), rel=0.01)
    assert GAIN == RAMP  # the state keeps the gain where the vector has its ramp
