"""The live codec: records through the link, events in the callback, as late as it says; outages; wet and dry."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.codec.decoder import Decoder
from rtsynth.codec.event import LN_F0, RAMP, SHARES, Events, Kind, check_events
from rtsynth.codec.live import MARK, NUMBERS, PATIENCE_SECONDS, STEPS, LiveCodec, encode_live, events_of
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

    def __init__(self, rate: float = RATE, wet: float = 1.0) -> None:
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
        self.source = LiveCodec(model, Decoder(seed=3), wet=wet)
        self.engine = Engine([self.source], rate, heard=np.zeros(1 << 20, np.float32))

    def say(self, position: int, numbers: Floats, hop: int = HOP) -> None:
        """One frame of the worker's answer."""
        answer = np.zeros((hop, 1), np.float32)
        answer[:NUMBERS, 0] = numbers
        self.link.write(position, answer)

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
    assert live.source.counts == (6, 0, 1)
    ahead = live.remote.link.needed // HOP + 2
    for k in range(ahead, ahead + 8):
        live.say(k * HOP, record())
    back = live.play(10 * HOP)
    assert np.abs(back[-HOP:]).max() > 0.01
    assert live.source.counts.events > 10
    assert live.source.counts.outages == 1


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


def test_the_shipped_model_follows_a_voice() -> None:
    """Without torch: pitch to half a semitone, level to 3 dB of 12, silence far below, all events playable."""
    pytest.importorskip("onnxruntime", reason="models need onnxruntime")
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
    model = StreamingModel(manifest)
    t = np.arange(16000) / 16000
    voice = sum(np.cos(2 * np.pi * 200.0 * h * t) / h for h in range(1, 25)) * 0.05
    voice[:4000] = 0.0
    loud, quiet = (check_events(encode_live(model, gain * voice)) for gain in (1.0, 0.25))
    steady = slice(20, 38)
    assert abs(np.median(loud["vector"][steady, LN_F0]) - np.log(200.0)) < np.log(2.0) / 24
    assert abs(8.69 * np.median(loud["gain"][steady] - quiet["gain"][steady]) - 12.0) < 3.0
    assert np.median(loud["gain"][2:8]) < np.median(loud["gain"][steady]) - 3.0
