"""The decoder against the specification said slowly; blocks, strikes, what is pushed, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.codec.decoder import (
    PUSHED,
    STRIKES,
    Decoder,
    ended,
    render_events,
    strike_seconds,
)
from rtsynth.codec.event import (
    ABSENT,
    EVENT,
    KNOTS,
    Event,
    Events,
    Kind,
    as_events,
    check_events,
    retarget,
    strike,
    trajectory,
)
from rtsynth.codec.rows import band_signals, density, noise
from rtsynth.engine.render import render
from rtsynth.errors import InputError, RateError
from rtsynth.messages import MESSAGE, Messages
from rtsynth.messages import Kind as MessageKind
from rtsynth.messages import message as one_message
from tests.codec import slow_decoder as slow

Sound = NDArray[np.float32]

RATES = (16000.0, 44100.0, 48000.0)
NOTHING = np.empty(0, MESSAGE)
NO_BURST = [ABSENT, 5.0, 5.0, -3.0, 0.0]


def random_events(seed: int) -> Events:
    """Two voices and strikes, several of one time among them; 0.3 s and more."""
    rng = np.random.default_rng(seed)
    listed = slow.random_retargets(rng, 12) + slow.random_retargets(rng, 6, voice=5)
    for time in rng.integers(0, 60, 8).repeat(2):
        modes = np.stack([rng.uniform(4, 8.9, 8), rng.uniform(-4, 1, 8), rng.uniform(-3, 0, 8)], axis=1)
        burst = [
            rng.uniform(-3, 0),
            rng.uniform(5, 8.5),
            rng.uniform(4, 8),
            rng.uniform(-5, -1),
            rng.choice([0.0, 1.0, 9.0]),
        ]
        damped = (float(rng.choice([0.0, 0.011, 0.08])), float(rng.uniform(-5, -2)))
        listed.append(strike(int(time), rng.uniform(-5, -2), modes, burst, damped=damped))
    return as_events(listed)


def played(events: Events, seconds: float = 0.5, messages: Messages = NOTHING, block: int = 256) -> Sound:
    """(N,) through the engine at 48 kHz."""
    out = render(Decoder(events), messages, round(seconds * 48000), sample_rate=48000, block=block)
    np.testing.assert_array_equal(out[:, 0], out[:, 1])
    return out[:, 0]


def steady(ln_f0: float = np.log(200.0), level: float = -4.0, logit: float = -40.0, voice: int = 0) -> Event:
    """A flat envelope, there at once; without noise unless told."""
    return retarget(0, 1.0, ln_f0, np.full(24, level), np.full(5, logit), voice)


def power_db(sound: Sound, rate: float, low: float, high: float) -> float:
    """Mean power between two frequencies, as the variance of white noise of that power a hertz at 16 kHz; dB."""
    hertz = np.fft.rfftfreq(sound.size, 1.0 / rate)
    power = np.abs(np.fft.rfft(sound.astype(float))) ** 2
    within = power[(hertz >= low) & (hertz < high)].sum() * 2.0 / sound.size**2
    return float(10.0 * np.log10(within / ((high - low) / 8000.0)))


# ---- the law ----


@pytest.mark.parametrize("rate", RATES)
def test_it_plays_what_the_specification_says(rate: float) -> None:
    segments = round(0.3 * rate) // 32
    events = random_events(seed=3)
    expected = slow.slow(events, segments, rate)
    found = render_events(events, rate, segments * 32 / rate)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_the_specification_moves_as_the_event_says() -> None:
    """The states that the slow decoder looks up are those of `event.trajectory`, once a voice has begun."""
    events = random_events(seed=4)
    begun = int(events["time"][(events["kind"] == Kind.RETARGET) & (events["voice"] == 5)].min())
    states = slow.states_at(events, np.arange(300.0), 5)
    np.testing.assert_allclose(states[begun:], trajectory(events, 300, 5)[begun:], atol=1e-12)


@pytest.mark.parametrize("rate", [16000.0, 48000.0])
@pytest.mark.parametrize(("logit", "within"), [(-40.0, 0.4), (0.0, 0.5), (40.0, 0.6)])
def test_harmonics_and_noise_have_the_envelopes_power(rate: float, logit: float, within: float) -> None:
    """4 s, one seed: noise of 1 kHz is within 0.4 dB (5 standard deviations: one run in 10⁶ is not), the bands' sum
    is flat to 0.5 dB rms."""
    sound = render_events(as_events([steady(np.log(131.0), -3.0, logit)]), rate, 4.0)
    for low in range(500, 7500, 1000):
        assert power_db(sound, rate, low, low + 1000) == pytest.approx(
            20 * np.log10(np.exp(-3.0)), abs=within
        )


def test_the_bands_of_a_flat_envelope_are_flat() -> None:
    law, at = noise(48000.0), np.linspace(150.0, 7600.0, 500)
    rows = [density(f, d, 48000.0, at) for f, d in zip(law.centres, law.damping, strict=True)]
    level = 10.0 * np.log10(16000.0 * law.weights**2 @ np.array(rows))
    assert np.abs(level).max() < 1.0
    assert level.std() < 0.5


def test_what_a_band_plays_has_rms_1() -> None:
    """20 s of 24 bands, at least 80 Hz wide: a power's standard deviation is below 2.5 %; 5 of them in 10⁶ runs."""
    power = np.mean(band_signals(8000.0, 160000) ** 2, axis=1)
    np.testing.assert_allclose(power, 1.0, atol=5 * 0.025)


def test_the_phase_never_jumps() -> None:
    """Two harmonics, retargeted every 4…40 ms: its second difference is what its frequency and amplitude allow."""
    rng = np.random.default_rng(5)
    level = np.where(KNOTS < 600.0, 0.0, -30.0)
    times = np.cumsum(rng.integers(1, 10, 80))
    listed = [
        retarget(int(t), 1.0, rng.uniform(np.log(250), np.log(550)), level - 2.0, np.full(5, -40.0))
        for t in times
    ]
    sound = render_events(as_events(listed), 48000.0, float(times[-1]) * 0.004)
    # At 1100 Hz 0.02 of the peak, and as much again for the corners of the amplitudes; a jump is about the peak.
    assert np.abs(np.diff(sound.astype(float), 2)).max() < 0.06 * np.abs(sound).max()


# ---- blocks, seeds, rates ----


def turned() -> Messages:
    """Every knob, keys that overlap, the pedal; nothing on a grid."""
    kinds = MessageKind
    rows = [
        one_message(kinds.CONTROL, 101, number=16, value=70),
        one_message(kinds.NOTE_ON, 3017, number=60, value=0.8),
        one_message(kinds.CONTROL, 4001, number=17, value=60),
        one_message(kinds.CONTROL, 5003, number=64, value=127),
        one_message(kinds.NOTE_ON, 6001, number=67, value=0.5),
        one_message(kinds.PROGRAM, 7001, value=2),
        one_message(kinds.CONTROL, 8009, number=18, value=90),
        one_message(kinds.CONTROL, 9001, number=64, value=0),
        one_message(kinds.NOTE_OFF, 9500, number=60),
        one_message(kinds.CONTROL, 9600, number=66, value=127),
        one_message(kinds.CONTROL, 9700, number=20, value=4),
        one_message(kinds.BEND, 9777, value=-0.5),
        one_message(kinds.CONTROL, 12345, number=91, value=80),
        one_message(kinds.NOTE_ON, 13001, number=50, value=0.9),
        one_message(kinds.CONTROL, 15003, number=123),
        one_message(kinds.CONTROL, 18001, number=120),
    ]
    return np.concatenate(rows)


@pytest.mark.parametrize("block", [1, 7, 64, 333])
def test_the_hosts_block_does_not_show(block: int) -> None:
    whole = played(random_events(6), messages=turned(), block=24000)
    assert np.abs(whole).max() > 0.05
    assert played(random_events(6), messages=turned(), block=block).tobytes() == whole.tobytes()


def test_a_seed_is_a_take_and_reset_begins_again() -> None:
    events = random_events(7)
    assert render_events(events, 16000.0, 0.3).tobytes() == render_events(events, 16000.0, 0.3).tobytes()
    assert (
        render_events(events, 16000.0, 0.3, seed=2).tobytes() != render_events(events, 16000.0, 0.3).tobytes()
    )
    decoder = Decoder(events)
    first = render(decoder, turned(), 9600, sample_rate=48000)
    decoder.reset()
    again = render(decoder, turned(), 9600, sample_rate=48000)
    assert again.tobytes() == first.tobytes()


@pytest.mark.parametrize("rate", [8000.0, 22050.0, 192000.0])
def test_other_rates_sound_alike(rate: float) -> None:
    sound = render_events(as_events([steady(np.log(150.0), -3.0, 0.0)]), rate, 2.0)
    assert power_db(sound, rate, 500, 3000) == pytest.approx(-26.06, abs=0.6)


@pytest.mark.parametrize("rate", [4000.0, 1e6, float("nan")])
def test_rates_it_cannot_play(rate: float) -> None:
    with pytest.raises(RateError, match="--rate"):
        Decoder().prepare(rate)


# ---- strikes ----


def test_a_strike_starts_at_its_sample_as_a_sine() -> None:
    """At 44.1 kHz a control step is 176.4 samples: the nearest one counts."""
    for time in (0, 1, 7, 33):
        events = as_events([strike(time, 0.0, [[np.log(441.0), np.log(2.0), np.log(0.5)]], NO_BURST)])
        sound = render_events(events, 44100.0, 0.3)
        start = int(np.floor(time * 176.4 + 0.5))
        assert not sound[: start + 1].any()
        at = np.arange(1000)
        expected = 0.5 * 1000.0 ** (-at / 88200.0) * np.sin(2.0 * np.pi * at / 100.0)
        np.testing.assert_allclose(sound[start : start + 1000], expected, atol=5e-5)


def test_a_strike_ends_below_120_db() -> None:
    events = as_events([strike(0, -2.0, [[6.0, -2.0, 0.0]], [-1.0, 7.0, 6.0, -3.0, 5.0])])
    seconds = float(strike_seconds(events)[0])
    assert seconds == pytest.approx(np.exp(-2.0) * (-2.0 + np.log(1e6)) / np.log(1000.0))
    sound = render_events(events, 48000.0, 2.0)
    last = np.flatnonzero(sound)[-1]
    assert abs(last / 48000.0 - seconds) < 64 / 48000.0
    assert np.abs(sound[last - 100 : last]).max() < 2e-6


def test_a_damper_ends_a_strike() -> None:
    """After 0.1 s all of it falls by 60 dB in 50 ms besides, at any rate; it is over when `strike_seconds` says."""
    bell = [[np.log(1000.0), np.log(8.0), 0.0]], [-2.0, 7.0, 6.0, 1.0, 0.0]
    for rate in (16000.0, 44100.0):
        free, damped = (
            render_events(as_events([strike(5, -2.0, *bell, damped=to)]), rate, 0.5)
            for to in ((0.0, 0.0), (0.1, np.log(0.05)))
        )
        falls, later = round(0.12 * rate), round(0.145 * rate)  # 20 ms are the strike's own delay
        np.testing.assert_array_equal(damped[: falls - 32], free[: falls - 32])
        levels = [np.std(s[later : later + round(0.005 * rate)]) for s in (damped, free)]
        assert 20.0 * np.log10(levels[0] / levels[1]) == pytest.approx(-1200 * 0.0275, abs=1.0)
        seconds = float(strike_seconds(as_events([strike(5, -2.0, *bell, damped=(0.1, np.log(0.05)))]))[0])
        assert np.flatnonzero(damped)[-1] / rate == pytest.approx(0.02 + seconds, abs=64 / rate)
        assert np.flatnonzero(free)[-1] / rate > 0.49


def test_beyond_the_polyphony_the_nearest_to_its_end_fades() -> None:
    """150 strikes: 128 sound on, and nothing steps: modes are slow, so a cut of any would show in the difference."""
    rng = np.random.default_rng(8)
    listed = [strike(k, -9.0, [[rng.uniform(4.5, 5.5), 1.0 + 0.005 * k, 0.0]], NO_BURST) for k in range(150)]
    decoder = Decoder(as_events(listed))
    sound = render(decoder, NOTHING, 48000, sample_rate=48000)[:, 0]
    assert decoder.active_voices == STRIKES
    whole = sum(
        render_events(as_events(listed[k : k + 100]), 48000.0, 0.6).astype(float) for k in (0, 100)
    )  # never more than 100 at once
    np.testing.assert_allclose(sound[: 128 * 192], np.asarray(whole)[: 128 * 192], atol=1e-5)
    steps = np.abs(np.diff(sound.astype(float), 2))
    assert steps[128 * 192 :].max() < 1.5 * steps[: 128 * 192].max()


def test_the_sum_of_the_events_is_the_decode() -> None:
    """Every strike alone, and the voice. Bursts too: their noise is the event's, wherever it stands."""
    events = random_events(9)
    events = events[(events["kind"] == Kind.STRIKE) | (events["voice"] == 0)]
    struck = events["kind"] == Kind.STRIKE
    total = render_events(events[~struck], 16000.0, 0.5).astype(float)
    assert struck.sum() == 16
    for event in np.split(events[struck], 16):
        moved = event.copy()
        moved["time"] = 0
        alone, start = render_events(moved, 16000.0, 0.5), 64 * int(event["time"][0])
        total[start:] += alone[: total.size - start]
    whole = render_events(events, 16000.0, 0.5)
    np.testing.assert_allclose(total, whole, atol=2e-6 * np.abs(whole).max())


def test_an_event_of_a_voice_adds_nothing_before_its_time() -> None:
    """So what it adds to the sum of those before it, added up over all events, is the decode."""
    events = as_events(slow.random_retargets(np.random.default_rng(13), 8))
    before = np.zeros(8000, np.float32)
    for count, event in enumerate(events):
        now = render_events(events[: count + 1], 16000.0, 0.5)
        added, begin = now - before, 64 * int(event["time"])
        assert not added[:begin].any()
        assert begin + 64 > now.size or added[begin + 64 :].any()
        before = now


# ---- live ----


def test_what_is_pushed_in_time_is_what_a_sequence_plays() -> None:
    """Events come in pieces, 20 ms before they are due; one stream is the other to the bit."""
    events, rate = random_events(10), 48000.0
    whole = render_events(events, rate, 0.5)
    decoder = Decoder()
    decoder.prepare(rate)
    loop, library = decoder.loop, decoder._library
    left, right = np.zeros((2, 24000), np.float32)
    sent = 0
    for at in range(0, 24000, 480):
        due = int(np.searchsorted(events["time"], (at + 1440) / 192.0))
        assert decoder.push(events[sent:due]) == due - sent
        sent = due
        library.rt_decoder_loop(
            loop.state, None, 0, left[at:].ctypes.data, right[at:].ctypes.data, min(480, 24000 - at)
        )
    assert left.tobytes() == whole.tobytes()
    assert decoder.time == 24000


def test_what_is_pushed_later_may_be_due_before() -> None:
    decoder = Decoder()
    decoder.prepare(48000.0)
    bells = [strike(time, -2.0, [[6.0, -3.0, 0.0]], NO_BURST) for time in (9, 3, 6)]
    for bell in bells:
        assert decoder.push(bell) == 1
    np.testing.assert_array_equal(pushed_after(decoder, 4800), render_events(as_events(bells), 48000.0, 0.1))


def test_what_comes_late_happens_at_the_next_segment() -> None:
    decoder = Decoder()
    decoder.prepare(48000.0)
    _ = pushed_after(decoder, 1000)
    assert decoder.push(strike(0, 0.0, [[6.0, 0.0, -1.0]], NO_BURST)) == 1
    sound = pushed_after(decoder, 1000)
    start = np.flatnonzero(sound)[0] - 1  # a sine starts at 0
    assert start == 1024 - 1000
    assert decoder.push(steady()) == 1
    assert pushed_after(decoder, 480)[240:].any()


def pushed_after(decoder: Decoder, frames: int) -> Sound:
    """The next samples."""
    left, right = np.zeros((2, frames), np.float32)
    loop = decoder.loop
    decoder._library.rt_decoder_loop(loop.state, None, 0, left.ctypes.data, right.ctypes.data, frames)
    return left


def test_a_full_queue_says_so_and_loses_nothing() -> None:
    decoder = Decoder()
    decoder.prepare(16000.0)
    many = as_events([strike(0, -9.0, [[6.0, -5.0, 0.0]], NO_BURST)] * (PUSHED + 100))
    assert decoder.push(many) == PUSHED
    assert decoder.push(many) == 0
    _ = pushed_after(decoder, 16000)
    assert decoder.push(many[:5]) == 5


# ---- the end ----


def test_seconds_ends_what_would_sound_for_ever() -> None:
    events = as_events([steady(), steady(np.log(300.0), voice=3)])
    held = Decoder(events)
    assert held.tail == -1
    decoder = Decoder(events, seconds=0.1)
    sound = render(decoder, NOTHING, None, sample_rate=48000)[:, 0]
    assert np.abs(sound[4300:4800]).max() > 0.01
    assert not sound[4800 + 192 + 64 :].any()
    assert 4800 <= decoder.tail <= 4800 + 192 + 128
    assert len(ended(events, 25)) == 4


def test_the_tail_of_a_sequence_waits_for_its_strikes() -> None:
    events = as_events([strike(25, 0.0, [[6.0, 0.0, 0.0]], NO_BURST)])
    decoder = Decoder(events, seconds=0.1)
    decoder.prepare(48000.0)
    assert decoder.tail == pytest.approx((0.1 + 2.0) * 48000, abs=100)


# ---- what is refused ----


def broken(field: str, value: float, kind: Kind = Kind.RETARGET, index: int | None = None) -> Events:
    events = as_events([steady(), strike(1, 0.0, [[6.0, 0.0, 0.0]], NO_BURST)])
    row = int(np.flatnonzero(events["kind"] == kind)[0])
    if index is None:
        events[field][row] = value
    else:
        events[field][row, index] = value
    return events


@pytest.mark.parametrize(
    "events",
    [
        broken("gain", np.nan),
        broken("gain", 1e9),
        broken("vector", np.inf, index=7),
        broken("vector", 0.0, index=0),
        broken("vector", np.nan, Kind.STRIKE, 0),
        broken("vector", -0.1, Kind.STRIKE, 29),
        broken("time", -1),
        broken("time", 1 << 50),
        broken("voice", 16),
        broken("kind", 2),
        broken("kind", 77),
        np.zeros(3),
        np.zeros((2, 2), EVENT),
    ],
)
def test_garbage_is_refused_before_it_plays(events: Events) -> None:
    with pytest.raises(InputError, match="event"):
        Decoder(events)
    decoder = Decoder()
    decoder.prepare(16000.0)
    with pytest.raises(InputError, match="event"):
        decoder.push(events)
    assert not pushed_after(decoder, 320).any()


def test_anything_that_is_not_refused_stays_finite() -> None:
    """500 events of numbers from the whole of their ranges, loud ones among them: finite, at three rates."""
    rng = np.random.default_rng(11)
    events = np.zeros(500, EVENT)
    events["time"] = np.sort(rng.integers(0, 100, 500))
    events["kind"], events["voice"] = rng.integers(0, 2, 500), rng.integers(0, 16, 500)
    events["gain"] = rng.uniform(-60, 12, 500)
    events["vector"] = rng.choice([-40.0, 40.0, 0.0, 5.0], (500, 32))
    moving = events["kind"] == Kind.RETARGET
    events["vector"][moving, 0] = rng.choice([1.0, 65536.0, 7.5], moving.sum())
    events["vector"][moving, 1] = rng.uniform(np.log(20.1), np.log(7999.0), moving.sum())
    events["vector"][~moving, 28] = rng.choice([0.0, 1000.0, 3.0], (~moving).sum())
    events["vector"][~moving, 29] = rng.choice([0.0, 0.05, 40.0], (~moving).sum())
    check_events(events)
    for rate in (8000.0, 44100.0, 192000.0):
        assert np.isfinite(render_events(events, rate, 0.3)).all()


def test_what_is_too_loud_is_limited_by_the_engine() -> None:
    loud = as_events([steady(level=8.0, logit=0.0), strike(10, 9.0, [[6.0, 0.0, 0.0]], NO_BURST)])
    sound = played(loud)
    assert 0.9 < np.abs(sound).max() <= 1.0
    assert np.abs(render_events(loud, 48000.0, 0.5)).max() > 1000.0


def test_unprepared() -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        _ = Decoder().loop
    with pytest.raises(RuntimeError, match="prepare"):
        Decoder().push(steady())
