"""The live codec: records through the link, events in the callback, as late as it says; outages; wet and dry."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.codec.decoder import CHOICE, FORMANT, FREEZE, NOISE_SHARE, TRANSPOSE, WET, Decoder, render_events
from rtsynth.codec.event import KNOTS, LN_F0, RAMP, SHAPE, SHARES, Events, Kind, check_events
from rtsynth.codec.live import (
    DENSITY,
    MARK,
    NUMBERS,
    PATIENCE_SECONDS,
    STEPS,
    LiveCodec,
    encode_live,
    events_of,
    thinned,
)
from rtsynth.engine import Engine, render
from rtsynth.errors import InputError, UsageError
from rtsynth.inference.link import Link
from rtsynth.inference.manifest import load_manifest
from rtsynth.inference.model import StreamingModel
from rtsynth.inference.remote import Remote
from rtsynth.messages import Kind as MessageKind
from rtsynth.messages import message

RATE = 48000.0
HOP = 1152  # device samples a record
FRAMING = HOP - 1
Floats = NDArray[np.float32]


def record(gain: float = -3.0, f0: float = 150.0, ramp: float = 6.0) -> Floats:
    """(NUMBERS,)"""
    numbers = np.zeros(NUMBERS, np.float32)
    numbers[0] = numbers[-1] = MARK
    numbers[1] = gain
    numbers[2 + RAMP], numbers[2 + LN_F0] = ramp, np.log(f0)
    numbers[2 + SHARES.start : 2 + SHARES.stop] = -4.0
    return numbers


class Driven:
    """A live codec whose worker is the test: `say` writes a record, `play` has the engine ask for samples."""

    def __init__(self, rate: float = RATE, wet: float = 1.0, density: float = 1.0) -> None:
        self.link = Link.create(1 << 17)
        remote = Remote(self.link, rate, framing=FRAMING, policy="silence", patience=0.0)
        self.remote = remote
        model: Any = SimpleNamespace(
            manifest=SimpleNamespace(answers="records", frame=384, name="driven"),
            prepare=lambda rate, block: None,
            reset=remote.reset,
            close=lambda: None,
            loop=remote.loop,
            latency=remote.latency,
            delays={"framing": FRAMING, "computing": 0},
        )
        self.source = LiveCodec(model, Decoder(seed=3), wet=wet, density=density)
        self.engine = Engine([self.source], rate, heard=np.zeros(1 << 20, np.float32))

    def say(self, position: int, numbers: Floats, hop: int = HOP) -> None:
        """One frame of the worker's answer."""
        answer = np.zeros((hop, 1), np.float32)
        answer[:NUMBERS, 0] = numbers
        self.link.write(position, answer)

    def turn(self, number: int, value: float) -> None:
        self.engine.send(message(MessageKind.CONTROL, self.engine.time, number=number, value=value))

    def play(self, frames: int) -> Floats:
        out = np.empty((frames, 2), np.float32)
        self.engine.process(out)
        return out[:, 0]


def played(events: Events, frames: int, rate: float = RATE) -> Floats:
    """The specification: what a decoder plays of them, (frames,)."""
    return render(
        Decoder(events, seed=3), np.empty(0, message(MessageKind.RESET).dtype), frames, sample_rate=rate
    )[:, 0]


def sequence(records: list[Floats], times: list[int]) -> Events:
    found = events_of(np.stack(records))
    found["time"] = times
    return found


def test_a_record_is_an_event() -> None:
    numbers = record(gain=-2.0, f0=220.0, ramp=5.0)
    event = events_of(numbers[None])[0]
    assert event["kind"] == Kind.RETARGET
    assert event["gain"] == np.float32(-2.0)
    assert event["vector"][RAMP] == 5.0
    assert np.isclose(np.exp(event["vector"][LN_F0]), 220.0)
    assert events_of(np.stack([numbers] * 3))["time"].tolist() == [0, STEPS, 2 * STEPS]


@pytest.mark.parametrize("block", [64, 441, 1000])
def test_events_are_played_where_their_records_end(block: int) -> None:
    """To the bit what a decoder plays of them, from the first record's last number on, whatever the blocks."""
    records = [record(f0=f0) for f0 in (150.0, 180.0, 120.0, 200.0)]
    live = Driven()
    out: list[Floats] = []
    for k, numbers in enumerate(records):
        live.say(k * HOP, numbers)
    left = FRAMING + 4 * HOP
    while left > 0:
        out.append(live.play(min(block, left)))
        left -= block
    whole = np.concatenate(out)
    begin = live.source.latency
    assert begin == FRAMING + NUMBERS - 1
    assert not whole[:begin].any()
    want = played(sequence(records, [0, 6, 12, 18]), len(whole) - begin)
    assert np.abs(want).max() > 0.01
    np.testing.assert_array_equal(whole[begin:], want)
    assert live.source.counts.events == 4


def test_the_voice_falls_silent_where_nothing_comes_and_comes_back() -> None:
    live = Driven()
    for k in range(6):
        live.say(k * HOP, record())
    sounding = live.play(6 * HOP)
    gone = live.play(round(RATE * (PATIENCE_SECONDS + 0.3)))
    assert np.abs(sounding[-HOP:]).max() > 0.01
    assert np.abs(gone[:HOP]).max() > 0.01  # it goes on as it was, at first
    assert np.abs(gone[-HOP:]).max() < 1e-5
    assert live.source.counts == (6, 0, 1, 0)
    ahead = live.remote.link.needed // HOP + 2
    for k in range(ahead, ahead + 8):
        live.say(k * HOP, record())
    back = live.play(10 * HOP)
    assert np.abs(back[-HOP:]).max() > 0.01
    assert live.source.counts.events > 10
    assert live.source.counts.outages == 1


def test_a_peaky_voice_falls_silent_too() -> None:
    """The gain is the mean of the envelope: what falls silent is its loudest knot, 9 nepers above."""
    peaky = record(gain=-12.0)
    peaky[2 + SHAPE.start : 2 + SHAPE.stop] = np.where(np.arange(24) == 5, 9.2, -0.4)
    live = Driven()
    for k in range(3):
        live.say(k * HOP, peaky)
    assert np.abs(live.play(4 * HOP)[-HOP:]).max() > 1e-3
    assert np.abs(live.play(round(RATE * (PATIENCE_SECONDS + 0.3)))[-HOP:]).max() < 1e-6


# ---- density ----


@pytest.mark.parametrize("density", [1.0, 0.7, 0.5, 0.1])
def test_a_share_of_the_events_is_played(density: float) -> None:
    """To the bit what a decoder plays of the specification's events, each where its record ends."""
    records = [record(f0=140.0 + 30.0 * np.sin(k), gain=-3.0 - k % 3) for k in range(24)]
    events = thinned(events_of(np.stack(records)), density)
    assert len(events) == pytest.approx(24 * density, abs=1)
    assert events["time"][0] == 0
    assert np.ptp(np.diff(events["time"])) <= STEPS  # evenly
    live = Driven(density=density)
    for k, numbers in enumerate(records):
        live.say(k * HOP, numbers)
    out = live.play(FRAMING + 24 * HOP)
    begin = live.source.latency
    want = played(events, len(out) - begin)
    assert np.abs(want).max() > 0.01
    np.testing.assert_array_equal(out[begin:], want)
    assert live.source.counts == (len(events), 0, 0, 24 - len(events))


def test_density_is_turned_by_a_controller_and_stays_through_a_reset() -> None:
    live, said, counts = Driven(), 0, [0]
    live.play(HOP)
    for row in (
        message(MessageKind.CONTROL, number=DENSITY, value=127.0),
        message(MessageKind.CONTROL, number=DENSITY, value=63.5),
        message(MessageKind.CONTROL, number=DENSITY, value=np.nan),
        message(MessageKind.RESET),
        message(MessageKind.CONTROL, number=DENSITY, value=0.0),
    ):
        row["time"] = live.engine.time
        live.engine.send(row)
        for _ in range(20):
            live.say(said * HOP, record())
            said += 1
        live.play(20 * HOP)
        counts.append(live.source.counts.events)
    # The first of each, in and after the reset: one more or less, where the records stand in the blocks.
    assert np.diff(counts).tolist() == pytest.approx([20, 10, 10, 10, 2], abs=1)
    assert live.source.counts.outages == 0  # events that are left out have come all the same


# ---- every knob, through the engine ----


def through(number: int, value: float) -> Floats:
    """A steady buzz at 150 Hz, half a second; the second half of it after a controller is turned."""
    live = Driven()
    for k in range(24):
        numbers = record(f0=150.0 if k < 12 else 220.0)
        numbers[2 + SHAPE.start : 2 + SHAPE.stop] = np.linspace(3.0, -3.0, 24)
        live.say(k * HOP, numbers)
    live.play(9 * HOP)
    live.turn(number, value)
    return live.play(14 * HOP)[2 * HOP :]


def pitch(sound: Floats) -> float:
    """Hertz: where the autocorrelation is highest."""
    power = np.abs(np.fft.rfft(sound - sound.mean(), 1 << 16)) ** 2
    return RATE / (100 + int(np.fft.irfft(power)[100:800].argmax()))


def brightness(sound: Floats) -> float:
    """Mean frequency, hertz."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    return float((np.fft.rfftfreq(sound.size, 1 / RATE) * power).sum() / power.sum())


def test_every_controller_does_what_its_row_says() -> None:
    late = slice(6 * HOP, None)
    plain = through(3, 0.0)
    assert pitch(plain[late]) == pytest.approx(220.0, rel=0.01)
    assert pitch(through(TRANSPOSE, 76)[late]) == pytest.approx(440.0, rel=0.01)
    shifted = through(FORMANT, 52)
    assert pitch(shifted[late]) == pytest.approx(220.0, rel=0.01)
    assert brightness(shifted) < 0.9 * brightness(plain)
    noisy = through(NOISE_SHARE, 127)[late]
    period = round(RATE / 220.0)
    assert np.corrcoef(plain[late][period:], plain[late][:-period])[0, 1] > 0.9
    assert abs(np.corrcoef(noisy[period:], noisy[:-period])[0, 1]) < 0.7
    assert pitch(through(FREEZE, 127)[late]) == pytest.approx(150.0, rel=0.01)
    assert np.abs(through(WET, 0)[late]).max() < 1e-5
    sparse = through(DENSITY, 0)
    assert np.abs(sparse - plain).max() > 0.01
    assert np.abs(sparse[late]).max() > 0.01


@pytest.mark.parametrize("choose", [{}, {CHOICE: 127.0}])
def test_a_key_plays_the_latest_or_a_chosen_event_of_the_voice(choose: dict[int, float]) -> None:
    """The first half of the events has its lines below 1 kHz, the second above; then nothing comes, and keys play."""
    live = Driven()
    for k in range(12):
        numbers = record(gain=-6.0)
        numbers[2 + SHAPE.start : 2 + SHAPE.stop] = np.where((KNOTS < 1000.0) == (k < 6), 4.0, -8.0)
        live.say(k * HOP, numbers)
    live.play(14 * HOP + round(RATE * (PATIENCE_SECONDS + 0.2)))
    for number, value in choose.items():
        live.turn(number, value)
    live.engine.send(message(MessageKind.NOTE_ON, live.engine.time, number=57, value=1.0))
    sound = live.play(10 * HOP)[2 * HOP :]
    assert np.abs(sound).max() > 0.01
    assert pitch(sound) == pytest.approx(220.0, rel=0.01)
    assert (brightness(sound) < 1000.0) == bool(choose)


@pytest.mark.parametrize(
    ("place", "value"),
    [(1, np.nan), (1, 100.0), (2, 0.0), (2 + LN_F0, 20.0), (2 + SHARES.start, -np.inf), (10, 1e9)],
)
def test_a_record_that_no_decoder_can_play_is_left_out(place: int, value: float) -> None:
    live = Driven()
    bad = record()
    bad[place] = value
    for k, numbers in enumerate([record(), bad, record()]):
        live.say(k * HOP, numbers)
    assert np.isfinite(live.play(5 * HOP)).all()
    assert live.source.counts[:2] == (2, 1)


def test_a_record_without_its_end_is_none() -> None:
    live = Driven()
    torn = record()
    torn[-1] = 0.999
    for k, numbers in enumerate([torn, record()]):
        live.say(k * HOP, numbers)
    live.play(4 * HOP)
    assert live.source.counts[:2] == (1, 0)


def test_dry_is_what_was_heard_as_late_as_the_answer() -> None:
    """Beside it the decoder's level comes down from 1 in its own 20 ms."""
    live = Driven(wet=0.0)
    heard = np.random.default_rng(1).uniform(-0.5, 0.5, 20 * HOP).astype(np.float32)
    for k in range(18):
        live.say(k * HOP, record())
    with Engine([live.source], RATE, heard=heard) as engine:
        out = np.empty((len(heard), 2), np.float32)
        engine.process(out)
    late = live.source.latency
    np.testing.assert_allclose(out[late:, 0], heard[:-late], atol=0.03)
    np.testing.assert_allclose(out[-4 * HOP :, 0], heard[-late - 4 * HOP : -late], atol=1e-6)
    assert not out[:late].any()


def test_the_wet_share_moves_without_a_step_and_survives_a_reset() -> None:
    live = Driven()
    for k in range(27):
        live.say(k * HOP, record())
    loud = live.play(8 * HOP)
    live.engine.send(message(MessageKind.CONTROL, live.engine.time, number=91, value=0.0))
    quiet = live.play(10 * HOP)
    assert np.abs(loud[-HOP:]).max() > 0.01
    assert np.abs(quiet[-HOP:]).max() < 1e-5
    assert np.abs(np.diff(quiet)).max() <= 1.2 * np.abs(np.diff(loud[-2 * HOP :])).max()
    live.engine.send(message(MessageKind.RESET, live.engine.time))
    assert np.abs(live.play(6 * HOP)[-HOP:]).max() < 1e-5


def test_what_it_refuses() -> None:
    manifest = load_manifest("drive")
    model: Any = SimpleNamespace(manifest=manifest)
    with pytest.raises(InputError, match="does not answer with events"):
        LiveCodec(model, Decoder())
    model = SimpleNamespace(manifest=SimpleNamespace(answers="records", frame=384, name="x"))
    with pytest.raises(UsageError, match="wet share"):
        LiveCodec(model, Decoder(), wet=1.5)
    for density in (0.0, 1.01, float("nan")):
        with pytest.raises(UsageError, match="density"):
            LiveCodec(model, Decoder(), density=density)


# ---- the model that ships ----


@pytest.fixture(scope="module")
def shipped() -> StreamingModel:
    pytest.importorskip("onnxruntime", reason="models need onnxruntime")
    return StreamingModel(load_manifest("codec"))


def buzz(seconds: float) -> NDArray[np.float64]:
    """200 Hz and its harmonics at 16 kHz, (N,)."""
    t = np.arange(round(16000 * seconds)) / 16000
    return 0.05 * sum(np.cos(2 * np.pi * 200.0 * h * t) / h for h in range(1, 25))


def test_the_future_changes_nothing(shipped: StreamingModel) -> None:
    """The shipped network and the decoder, from one sample on noise instead of the voice: the first sample of the
    answer that differs is at most 25 ms earlier, the look-ahead; with 4.2 ms for rates and the record below 30."""
    look_ahead = 400
    for cut in (5000, 5380, 5768, 6001):
        heard = buzz(0.6)
        other = heard.copy()
        other[cut:] = 0.5 * np.random.default_rng(cut).standard_normal(other.size - cut)
        one, two = (render_events(encode_live(shipped, x), 16000.0, 0.6) for x in (heard, other))
        differs = int(np.flatnonzero(one != two)[0])
        assert cut - look_ahead <= differs <= cut + 384


@pytest.mark.parametrize("offset", [0.0, 0.9])
def test_any_sound_is_answered_with_sound(shipped: StreamingModel, offset: float) -> None:
    """Silence, an offset, a square wave at full scale, noise: finite, within full scale behind the limiter; silence is
    below -60 dB, an offset is a hum that stays far below it."""
    rng = np.random.default_rng(4)
    square = np.sign(np.sin(2 * np.pi * 220.3 * np.arange(6000) / 16000))
    parts = [np.zeros(6000), square, np.zeros(12000), rng.uniform(-1, 1, 6000)]
    heard = np.clip(np.concatenate(parts) + offset, -1.0, 1.0)
    events = check_events(encode_live(shipped, heard))
    for rate in (16000.0, 48000.0):
        out = played(events, round(heard.size / 16000 * rate), rate)
        assert np.isfinite(out).all()
        assert np.abs(out).max() <= 1.0
        third = rate / 16000
        quiet = [out[round(a * third) : round(b * third)] for a, b in ((2000, 5000), (18000, 23000))]
        loud = out[round(8000 * third) : round(11000 * third)]
        assert np.std(loud) > 0.02 or offset
        assert all(np.std(q) < (1e-3 if not offset else 0.2) for q in quiet)


def test_the_shipped_model_follows_a_voice(shipped: StreamingModel) -> None:
    """Without torch: pitch to half a semitone, level to 3 dB of 12, silence far below, all events playable."""
    manifest = load_manifest("codec")
    assert Path(manifest.file).stat().st_size < 1_000_000
    assert (manifest.answers, manifest.frame, manifest.sample_rate, manifest.latency) == (
        "records",
        384,
        16000.0,
        16,
    )
    assert manifest.export is not None
    assert manifest.export.error < 1e-5
    voice = buzz(1.0)
    voice[:4000] = 0.0
    loud, quiet = (check_events(encode_live(shipped, gain * voice)) for gain in (1.0, 0.25))
    steady = slice(20, 38)
    assert abs(np.median(loud["vector"][steady, LN_F0]) - np.log(200.0)) < np.log(2.0) / 24
    assert abs(8.69 * np.median(loud["gain"][steady] - quiet["gain"][steady]) - 12.0) < 3.0
    assert np.median(loud["gain"][2:8]) < np.median(loud["gain"][steady]) - 3.0
