"""The decoder under the hands: transposing, formants, noise, the pedal, the keyboard; and the audio thread's rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.codec.decoder import CHOICE, FORMANT, FREEZE, KEEP, NOISE_SHARE, TRANSPOSE, WET, Decoder
from rtsynth.codec.event import ABSENT, KNOTS, Event, Events, as_events, retarget, strike
from rtsynth.engine.render import render
from rtsynth.messages import Kind, Messages, message, sort_by_time
from tests.codec.test_decoder import random_events, turned
from tests.engine import build
from tests.engine.realtime_proof import compile_proof, prove_in_subprocess

Sound = NDArray[np.float32]

RATE = 48000
NO_BURST = [ABSENT, 5.0, 5.0, -3.0, 0.0]
DARK = -1.2 * np.arange(24.0)  # the fundamental is always the strongest
LOW = np.where(KNOTS < 900.0, 0.0, -25.0)  # an envelope with little above 1 kHz


def tone(
    time: int = 0, hertz: float = 200.0, envelope: NDArray[np.float64] = LOW, ramp: float = 1.0
) -> Event:
    return retarget(time, ramp, float(np.log(hertz)), envelope - 3.0, np.full(5, -40.0))


def bell(time: int = 0, hertz: float = 440.0, t60: float = 3.0) -> Event:
    modes = [[np.log(hertz), np.log(t60), 0.0], [np.log(2.7 * hertz), np.log(t60), -1.0]]
    return strike(time, -1.5, modes, NO_BURST)


def played(events: Events | list[Event], messages: list[Messages] | Messages, seconds: float = 1.0) -> Sound:
    """(N,) at 48 kHz through the engine."""
    given = as_events(events) if isinstance(events, list) else events
    rows = np.concatenate(messages) if isinstance(messages, list) and messages else messages
    if isinstance(rows, list):
        rows = message(Kind.CONTROL, number=3)
    out = render(Decoder(given), sort_by_time(rows), round(seconds * RATE), sample_rate=RATE)
    return out[:, 0]


def turn(number: int, value: float, time: int = 0) -> Messages:
    return message(Kind.CONTROL, time, number=number, value=value)


def press(key: int, time: int, velocity: float = 1.0) -> Messages:
    return message(Kind.NOTE_ON, time, number=key, value=velocity)


def release(key: int, time: int) -> Messages:
    return message(Kind.NOTE_OFF, time, number=key)


def strongest(sound: Sound) -> float:
    """Hertz of the strongest line."""
    windowed = sound * np.hanning(sound.size)
    spectrum = np.abs(np.fft.rfft(windowed, 1 << 19))
    return float(np.argmax(spectrum) * RATE / (1 << 19))


def centroid(sound: Sound) -> float:
    """Mean of the spectrum's power, hertz."""
    power = np.abs(np.fft.rfft(sound * np.hanning(sound.size))) ** 2
    return float(np.sum(np.fft.rfftfreq(sound.size, 1.0 / RATE) * power) / power.sum())


def rms(sound: Sound) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


# ---- knobs ----


@pytest.mark.parametrize(("value", "semitones"), [(64, 0), (71, 7), (52, -12), (127, 24), (0, -24)])
def test_transposing_by_semitones(value: int, semitones: int) -> None:
    sound = played([tone(envelope=DARK)], [turn(TRANSPOSE, value)])
    assert strongest(sound[24000:]) == pytest.approx(200.0 * 2 ** (semitones / 12), rel=1e-3)


def test_the_wheel_bends_by_two_semitones_without_a_jump() -> None:
    sound = played([tone(envelope=DARK)], [message(Kind.BEND, 10000, value=1.0)])
    assert strongest(sound[24000:]) == pytest.approx(200.0 * 2 ** (2 / 12), rel=1e-3)
    bends = np.abs(np.diff(sound.astype(float), 2))
    assert bends[9500:20000].max() < 2.0 * bends[4000:9000].max()


def test_strikes_are_transposed_too() -> None:
    sound = played([bell(time=25)], [turn(TRANSPOSE, 76)])
    assert strongest(sound[10000:]) == pytest.approx(880.0, rel=1e-3)


def test_the_formants_move_and_the_pitch_does_not() -> None:
    plain, shifted = played([tone()], []), played([tone()], [turn(FORMANT, 76)])
    assert centroid(shifted[24000:]) > 1.5 * centroid(plain[24000:])
    spectrum = np.abs(np.fft.rfft(shifted[24000:]))  # a line every 200 Hz, and nothing between them
    assert (
        spectrum[50:1000].max() > 100 * spectrum[50:1000:100].max()
    )  # every 50 Hz from 50 Hz: not where lines are


def test_all_noise_and_none() -> None:
    event = retarget(0, 1.0, float(np.log(200.0)), np.full(24, -4.0), np.zeros(5))
    at = np.arange(200, 4000, 200) // 2  # bins of half a second at the harmonics …
    between = at + 50
    lines = []
    for value in (0, 127):
        sound = played([event], [turn(NOISE_SHARE, value)])[24000:]
        power = np.abs(np.fft.rfft(sound * np.hanning(sound.size))) ** 2
        lines.append(power[at].sum() / power[between].sum())
    assert lines[0] > 1e4
    assert lines[1] < 3.0


def test_wet_is_the_level() -> None:
    whole, half = played([tone()], []), played([tone()], [turn(WET, 63.5)])
    np.testing.assert_allclose(half[24000:], 0.5 * whole[24000:], atol=1e-4)
    assert not played([tone()], [turn(WET, 0)])[24000:].any()


def test_nonsense_from_a_controller_is_ignored() -> None:
    numbers = (TRANSPOSE, FORMANT, NOISE_SHARE, CHOICE, FREEZE, KEEP, WET)
    rows = [turn(n, v) for n in numbers for v in (np.nan, -1.0, 1e9)]
    rows += [message(Kind.NOTE_ON, number=-5, value=1.0), message(Kind.NOTE_ON, number=300, value=1.0)]
    rows += [message(Kind.PROGRAM, value=np.nan), message(Kind.PROGRAM, value=1e9)]
    np.testing.assert_array_equal(played([tone()], rows), played([tone()], []))


# ---- the pedal ----


def test_the_pedal_holds_the_sound_and_lets_it_go() -> None:
    """Down at 0.2 s in 200 Hz; at 0.3 s an event says 300 Hz; up at 0.6 s."""
    events = [tone(envelope=DARK), tone(75, 300.0, DARK), bell(80)]
    sound = played(events, [turn(FREEZE, 127, 9600), turn(FREEZE, 0, 28800)])
    assert strongest(sound[16000:28000]) == pytest.approx(200.0, rel=2e-3)
    assert strongest(sound[34000:]) == pytest.approx(300.0, rel=2e-3)
    steady = np.abs(np.diff(sound[10000:28000].astype(float), 2)).max()
    assert (
        np.abs(np.diff(sound[9000:34000].astype(float), 2)).max() < 4.0 * steady
    )  # 300 Hz bends 2.25 times as much


def test_a_voice_that_begins_under_the_pedal_waits() -> None:
    sound = played([tone(25)], [turn(FREEZE, 127, 1000), turn(FREEZE, 0, 24000)])
    assert rms(sound[:23000]) < 1e-6
    assert rms(sound[30000:]) > 0.01
    assert np.abs(np.diff(sound[:24100])).max() < 0.01


# ---- the keyboard ----


def mute(time: int) -> Event:
    return retarget(time, 1.0, float(np.log(200.0)), np.full(24, -50.0), np.zeros(5))


def bright(time: int) -> Event:
    """A tone whose loudest line is the fifth or so."""
    return tone(time, 150.0, np.where(abs(KNOTS - 2200.0) < 300.0, 0.0, -20.0))


def test_a_key_plays_the_latest_target_at_its_pitch() -> None:
    """The pause after it is no sound to choose."""
    sound = played([tone(0, 150.0, DARK), mute(26)], [press(69, 9600), release(69, 28800)])
    assert rms(sound[7000:9600]) < 1e-6
    assert strongest(sound[12000:28000]) == pytest.approx(440.0, rel=1e-3)
    assert rms(sound[28800 + 14400 :]) < 1e-3 * rms(sound[12000:28000])


@pytest.mark.parametrize("by", [message(Kind.PROGRAM, 9000, value=2), turn(CHOICE, 2, 9000)])
def test_a_sound_before_the_latest_can_be_chosen(by: Messages) -> None:
    """A tone, two groups of a bell, a bright tone: strikes of one time are one sound. No older one: the oldest."""
    events = [tone(0, 150.0, DARK), mute(5), bell(10, t60=0.02), bell(10, 700.0, 0.02), bright(20), mute(26)]
    chosen = played(events, [by, press(69, 9600)])[14400:]
    latest = played(events, [press(69, 9600)])[14400:]
    struck = played(events, [turn(CHOICE, 1, 9000), press(69, 9600)])[9700:]
    assert strongest(chosen) == pytest.approx(440.0, rel=1e-3)
    assert strongest(latest) == pytest.approx(2200.0, rel=1e-2)
    assert rms(struck[:500]) > 0.01
    assert rms(struck[9600:]) < 1e-6  # rung out
    np.testing.assert_array_equal(chosen, played(events, [turn(CHOICE, 99, 9000), press(69, 9600)])[14400:])


def test_what_can_be_chosen_is_kept_under_the_sostenuto() -> None:
    """Down before the bright tone comes, up after it: it was never a choice; what comes later is."""
    events = [tone(0, 150.0, DARK), mute(5), bright(20), mute(26), bell(170, t60=1.0)]
    kept = [turn(KEEP, 127, 3000), turn(KEEP, 0, 30000)]
    sound = played(events, [*kept, press(69, 9600), release(69, 20000)])
    assert strongest(sound[10000:20000]) == pytest.approx(440.0, rel=1e-3)
    assert strongest(played(events, [press(69, 9600)])[12000:28000]) == pytest.approx(2200.0, rel=1e-2)
    later = played(events, [*kept, press(81, 36000)])[38000:]
    assert strongest(later - played(events, kept)[38000:]) == pytest.approx(880.0, rel=1e-2)


def test_a_key_is_the_damper_of_what_it_strikes() -> None:
    """The event's own damper falls after 20 ms; struck by a key it rings until that is let go."""
    damped = strike(0, -1.5, [[np.log(440.0), np.log(3.0), 0.0]], NO_BURST, damped=(0.02, np.log(0.02)))
    sound = played([damped], [press(69, 9600), release(69, 28800)])
    assert rms(sound[4800:9600]) < 1e-6
    assert rms(sound[19200:28800]) > 0.05
    assert rms(sound[38400:]) < 1e-3 * rms(sound[19200:28800])


def test_velocity_is_a_gain_and_keys_add_up() -> None:
    events = [tone(0, 150.0, DARK), mute(1)]
    loud, soft = (played(events, [press(60, 9600, v)])[12000:] for v in (1.0, 0.5))
    np.testing.assert_allclose(soft, 0.5 * loud, atol=1e-6)
    other = played(events, [press(67, 9600)])[12000:]
    both = played(events, [press(60, 9600), press(67, 9600)])[12000:]
    np.testing.assert_allclose(both, loud + other, atol=1e-5)


def test_a_key_strikes_all_groups_of_a_time_again() -> None:
    """Two groups struck at once, 440 Hz the lowest: key 57 is 220 Hz, an octave below, and both ring."""
    second = strike(0, -1.5, [[np.log(1500.0), np.log(0.5), -0.5]], NO_BURST)
    sound = played([bell(t60=0.5), second], [press(57, 48000)], 1.5)
    found = sound[49000:]
    assert strongest(found) == pytest.approx(220.0, rel=2e-3)
    power = np.abs(np.fft.rfft(found * np.hanning(found.size), RATE)) ** 2
    assert power[745:756].max() > 30 * power[800:1100].max()  # 1500 Hz, an octave lower


def test_a_key_before_any_event_is_silent() -> None:
    assert not played([tone(200)], [press(60, 100), release(60, 9000)], 0.5).any()


def test_more_keys_than_tones_steal_without_a_jump() -> None:
    events = [tone(0, 150.0, LOW - 2.0), mute(1)]
    presses = [press(40 + k, 2000 + 700 * k, 0.2) for k in range(30)]
    sound = played(events, presses)
    assert np.isfinite(sound).all()
    assert np.abs(np.diff(sound.astype(float), 2)).max() < 0.2 * np.abs(sound).max()


def test_all_sound_off_is_silence_until_the_next_event() -> None:
    sound = played([tone(), bell(5), tone(175, 300.0)], [press(60, 9000), turn(120, 0, 24000)])
    assert rms(sound[20000:24000]) > 0.01
    assert not sound[24064:33600].any()
    assert rms(sound[36000:]) > 0.01
    assert np.abs(np.diff(sound[23900:24100])).max() < 1.5 * np.abs(np.diff(sound[20000:23900])).max()


def test_a_reset_forgets_everything_but_the_time() -> None:
    rows = [turn(TRANSPOSE, 80), message(Kind.RESET, 24000)]
    sound = played([tone(), tone(175, 300.0, DARK)], rows)
    assert not sound[24000:33600].any()
    assert strongest(sound[36000:]) == pytest.approx(300.0, rel=2e-3)


# ---- the audio thread ----


def busy(folder: Path) -> tuple[Decoder, Messages, int]:
    """A sequence, a queue full of events that come all the while, keys and knobs."""
    source = PushedDecoder(random_events(12), seed=2)
    return source, turned(), 24000


class PushedDecoder(Decoder):
    """One that has events in its queue when it begins to play."""

    def prepare(self, sample_rate: float, max_block: int = 0) -> None:
        super().prepare(sample_rate, max_block)
        many = np.concatenate([random_events(seed) for seed in range(20)])
        self.push(np.sort(many, order="time", kind="stable"))


@pytest.mark.skipif(build.COMPILER is None, reason="no C compiler for the hooks")
def test_it_never_waits(tmp_path: Path) -> None:
    """No allocation, lock or system call in 50 000 blocks; that the hooks see them: tests/engine/test_realtime.py."""
    compile_proof(tmp_path)
    proof = prove_in_subprocess(f"{__name__}:busy", tmp_path, blocks=50_000)
    if proof.system_calls < 0:
        pytest.skip("this kernel has no seccomp filters")
    assert proof.holds, proof
    assert proof.peak > 0.1
    assert proof.nan_samples == 0
