"""The audio thread's side of a live model: delay right to the sample for every block and frame; wet, dry, reset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtsynth.engine import Engine
from rtsynth.errors import RateError, UsageError
from rtsynth.inference.link import Link
from rtsynth.inference.remote import Remote
from rtsynth.messages import Kind, message
from tests.inference.identity import Identity, IdentityThread, RemoteSource, noise

RATE = 48000.0
FADE = 300
CAPACITY = 1 << 17


class Live:
    """An engine with one remote on a host with a deadline, and a worker that answers between two blocks."""

    def __init__(self, frame: int, channels: int = 1, **parameters: Any) -> None:
        self.link = Link.create(CAPACITY, channels)
        self.worker = Identity(self.link, frame)
        settings: dict[str, Any] = {"framing": frame - 1, "hop": frame} | parameters
        self.remote = Remote(self.link, RATE, **settings)
        self.engine = Engine([RemoteSource(self.remote)], RATE)
        self.engine.begin_stream(2, inputs=1)
        self._callback, self._user_data = self.engine.portaudio_callback

    def play(self, samples: NDArray[np.float32], *, answered: bool = True) -> NDArray[np.float32]:
        """One host block: (n,) -> (n, 2)."""
        out = np.zeros((len(samples), 2), np.float32)
        samples = np.ascontiguousarray(samples)
        call = self.engine._library.rt_portaudio_callback
        call(samples.ctypes.data, out.ctypes.data, len(samples), None, 0, self._user_data)
        if answered:
            self.worker.work()
        return out

    def play_all(self, samples: NDArray[np.float32], block: int) -> NDArray[np.float32]:
        blocks = [self.play(samples[at : at + block]) for at in range(0, len(samples), block)]
        return np.concatenate(blocks)


def delayed(samples: NDArray[np.float32], delay: int) -> NDArray[np.float32]:
    """The specification: (n,) -> (n,)."""
    return np.concatenate([np.zeros(delay, np.float32), samples])[: len(samples)]


BLOCKS = st.one_of(st.sampled_from([16, 64, 127, 128, 256, 441, 480, 512, 1024, 2048]), st.integers(16, 2048))
FRAMES = st.one_of(st.sampled_from([1, 2, 128, 256, 480, 960, 1024]), st.integers(1, 1024))


@settings(max_examples=60, deadline=None)
@given(block=BLOCKS, frame=FRAMES, compute=st.sampled_from([0, 1, 100, 3000]))
@example(block=17, frame=1024, compute=0)
@example(block=2048, frame=1, compute=2049)
def test_with_equal_blocks_the_latency_is_exact_and_the_least(block: int, frame: int, compute: int) -> None:
    heard = noise(block * max(4, 2 + -(-(3 * frame + compute) // block)))
    live = Live(frame, compute=compute)
    played = live.play_all(heard, block)
    ahead = block * -(-max(block, compute) // block)
    assert live.remote.latency == frame - np.gcd(block, frame) + ahead
    assert np.array_equal(played[:, 0], delayed(heard, live.remote.latency))
    assert np.array_equal(played[:, 1], played[:, 0])
    assert live.remote.counts == (0, 0, 0, 0, True)
    # One sample less is too little, where the worker has one block; seen when blocks have met frames at every phase:
    turn = int(np.lcm(block, frame))
    if compute <= block and frame > 1 and turn < 50_000:
        hasty = Live(frame, compute=compute, framing=frame - 2)
        hasty.play_all(noise(turn + 3 * max(block, frame)), block)
        counts = hasty.remote.counts
        assert counts.episodes + counts.hurried > 0 or not counts.begun


@settings(max_examples=60, deadline=None)
@given(blocks=st.lists(BLOCKS, min_size=2, max_size=12), frame=FRAMES, compute=st.sampled_from([0, 500]))
@example(blocks=[64, 128, 64], frame=48, compute=0)
@example(blocks=[2048, 16, 16, 2048], frame=1024, compute=500)
def test_with_changing_blocks_it_grows_in_one_cross_fade_each(
    blocks: list[int], frame: int, compute: int
) -> None:
    live = Live(frame, compute=compute)
    heard = noise(sum(blocks) + 3 * 2048)
    lengths = [*blocks, 1024, 1024, 1024, 1024, 1024, 1024]
    at, latency, changes, settled = 0, 0, 0, 0
    for length in lengths:
        played = live.play(heard[at : at + length])
        if live.remote.latency != latency:
            assert live.remote.latency > latency
            latency = live.remote.latency
            changes += at > 0
            settled = at + FADE if at > 0 else 0
        wanted = delayed(heard, latency)[at : at + length]
        exact = slice(max(0, settled - at), None)
        assert np.array_equal(played[exact, 0], wanted[exact])
        assert live.remote.counts.delay_changes == changes
        at += length
    assert live.remote.counts[:3] == (0, 0, 0)
    assert live.engine.report().late_worker == 0


def test_a_delay_wrong_by_one_sample_is_seen() -> None:
    live = Live(128)
    heard = noise(4096)
    played = live.play_all(heard, 64)[:, 0]
    for wrong in (-1, 1):
        assert not np.array_equal(played, delayed(heard, live.remote.latency + wrong))


def test_a_longest_block_that_was_declared_fixes_the_delay() -> None:
    live = Live(100, host_block=512, compute=30)
    assert live.remote.latency == 99 + 512 + 30
    heard = noise(6000)
    blocks = [16, 512, 1, 77, 512, 300, 512, 512, 512, 512, 512]
    ends = np.cumsum(blocks)
    played = np.concatenate([live.play(heard[e - b : e]) for b, e in zip(blocks, ends, strict=True)])
    assert np.array_equal(played[:, 0], delayed(heard, live.remote.latency)[: len(played)])
    assert live.remote.counts == (0, 0, 0, 0, True)


def test_a_growing_delay_makes_no_step() -> None:
    """A sine across the change: no sample further from the one before than the sine ever is, by -40 dB of it."""
    t = np.arange(20000)
    sine = (0.5 * np.sin(2 * np.pi * 441 / RATE * t)).astype(np.float32)
    live = Live(128)
    played = [live.play(sine[at : at + 64]) for at in range(0, 6400, 64)]
    played += [live.play(sine[at : at + 512]) for at in range(6400, 16640, 512)]
    steps = np.abs(np.diff(np.concatenate(played)[3000:, 0]))
    assert live.remote.counts == (0, 0, 0, 1, True)
    assert steps.max() <= np.abs(np.diff(sine)).max() + 0.01 * 0.5


# ---- offline ----


def offline(
    heard: NDArray[np.float32], blocks: list[int], frame: int, channels: int = 1, **parameters: Any
) -> tuple[NDArray[np.float32], Remote]:
    link = Link.create(CAPACITY, channels)
    remote = Remote(link, RATE, framing=frame - 1, hop=frame, compute=2000, **parameters)
    with Engine([RemoteSource(remote)], RATE, heard=heard) as engine, IdentityThread(link, frame):
        played = []
        for block in blocks:
            played.append(np.empty((block, 2), np.float32))
            engine.process(played[-1])
        assert engine.report().late_worker == 0
    return np.concatenate(played), remote


@settings(max_examples=25, deadline=None)
@given(blocks=st.lists(st.integers(1, 3000), min_size=1, max_size=8), frame=FRAMES)
def test_offline_the_latency_is_the_framing_and_blocks_change_nothing(blocks: list[int], frame: int) -> None:
    heard = noise(sum(blocks))
    played, remote = offline(heard, blocks, frame)
    assert remote.latency == frame - 1
    assert np.array_equal(played[:, 0], delayed(heard, frame - 1))
    assert remote.counts[:4] == (0, 0, 0, 0)


def test_two_channels_go_left_and_right() -> None:
    heard = noise(2000)
    played, remote = offline(heard, [500] * 4, 128, channels=2)
    wanted = delayed(heard, remote.latency)
    assert np.array_equal(played, np.stack([wanted, -wanted], axis=1))


def test_offline_without_a_worker_it_goes_on_after_its_patience() -> None:
    link = Link.create(CAPACITY)
    remote = Remote(link, RATE, framing=63, hop=64, patience=0.02)
    heard = noise(2000)
    with Engine([RemoteSource(remote)], RATE, heard=heard) as engine:
        out = np.empty((2000, 2), np.float32)
        engine.process(out)
    assert np.array_equal(out[:, 0], delayed(heard, 63))  # the dry signal stands in
    assert remote.counts == (0, 0, 0, 0, False)


def test_offline_a_worker_that_ends_is_one_episode() -> None:
    link = Link.create(CAPACITY)
    remote = Remote(link, RATE, framing=63, hop=64, patience=60.0, policy="silence")
    heard = noise(6000)
    out = np.empty((3, 2000, 2), np.float32)
    with Engine([RemoteSource(remote)], RATE, heard=heard) as engine:
        with IdentityThread(link, 64):
            engine.process(out[0])
        engine.process(out[1])  # the link is closing: no waiting
        link.begin_worker()
        engine.process(out[2])  # nor once it was in vain
        assert remote.counts == (1, 0, 4000 - 47, 0, True)
        assert engine.report().late_worker == 1
    assert np.array_equal(out[0, :, 0], delayed(heard, 63)[:2000])
    assert out[1, :47].any()
    assert not out[1, 47 + FADE :].any()
    assert not out[2].any()


# ---- wet and dry ----


def test_wet_zero_is_the_dry_delayed_and_in_between_is_linear() -> None:
    heard = noise(3000)
    parts = {wet: offline(heard, [750] * 4, 128, channels=2, wet=wet)[0] for wet in (0.0, 0.25, 1.0)}
    dry = delayed(heard, 127)
    assert np.array_equal(parts[0.0], np.stack([dry, dry], axis=1))
    assert np.array_equal(parts[1.0], np.stack([dry, -dry], axis=1))
    between = np.float32(0.25) * parts[1.0] + np.float32(0.75) * parts[0.0]
    assert np.array_equal(parts[0.25], between)


@pytest.mark.parametrize("block", [64, 1000, 37])
def test_the_controller_glides_over_20_ms_whatever_the_blocks(block: int) -> None:
    link = Link.create(CAPACITY, 2)
    remote = Remote(link, RATE, framing=0)
    constant = np.full(4000, 0.25, np.float32)
    with Engine([RemoteSource(remote)], RATE, heard=constant) as engine, IdentityThread(link, 1):
        for time, value in [(1000, 0.0), (1480, 127.0), (3000, 63.5), (3100, 500.0), (3200, np.nan)]:
            engine.send(message(Kind.CONTROL, time, number=91, value=value))
        out = np.empty((4000, 2), np.float32)
        for at in range(0, 4000, block):
            piece = np.empty((min(block, 4000 - at), 2), np.float32)
            engine.process(piece)
            out[at : at + len(piece)] = piece
    steps = np.arange(1, 961) / 960
    wet = np.ones(4000)
    wet[1000:1480] = 1 - steps[:480]
    wet[1480:2440] = 0.5 + 0.5 * steps
    wet[3000:3960] = 1 - 0.5 * steps
    wet[3960:] = 0.5
    assert out[:, 1] == pytest.approx(0.25 * (1 - 2 * wet), abs=1e-6)
    assert np.array_equal(out[:, 0], constant)  # where wet and dry are the same


def test_wet_zero_is_not_disturbed_by_a_worker_that_is_gone() -> None:
    heard = noise(8000)
    live = Live(128, wet=0.0)
    parts = [live.play(heard[at : at + 64], answered=at < 3000) for at in range(0, 8000, 64)]
    assert np.array_equal(np.concatenate(parts)[:, 0], delayed(heard, live.remote.latency))
    assert live.remote.counts.episodes + live.remote.counts.hurried == 1  # no clock paces these blocks


# ---- reset, starting late, activity ----


def test_a_reset_message_forgets_what_was_heard_and_positions_go_on() -> None:
    heard = noise(6400)
    live = Live(128, wet=0.5)
    before = live.play_all(heard[:3200], 64)
    live.engine.send(message(Kind.CONTROL, -1, number=91, value=0.0))
    live.engine.send(message(Kind.RESET, -1))
    after = live.play_all(heard[3200:], 64)
    latency = live.remote.latency
    assert np.array_equal(before[:, 0], delayed(heard[:3200], latency))
    assert np.array_equal(after[:, 0], delayed(heard[3200:], latency))
    assert live.link.reset_at == 3200
    assert live.link.needed == 6400 - latency
    assert live.remote.counts == (0, 0, 0, 0, True)


def test_a_reset_inside_a_block_takes_effect_at_its_end_and_leaves_the_delay() -> None:
    heard = noise(6400)
    live = Live(128)
    before = live.play_all(heard[:3200], 64)
    latency = live.remote.latency
    live.engine.send(message(Kind.RESET, 3217))
    after = live.play_all(heard[3200:], 64)
    wanted = delayed(heard, latency)
    wanted[3217 : 3264 + latency] = 0
    assert np.array_equal(np.concatenate([before, after])[:, 0], wanted)
    assert live.link.reset_at == 3264
    assert live.remote.latency == latency
    assert live.remote.counts == (0, 0, 0, 0, True)


def test_offline_a_reset_takes_effect_at_its_sample_whatever_the_blocks() -> None:
    heard = noise(3000)
    wanted = delayed(heard, 127)
    wanted[1234 : 1234 + 127] = 0
    for block in (3000, 500, 77):
        link = Link.create(CAPACITY)
        remote = Remote(link, RATE, framing=127, hop=128)
        with Engine([RemoteSource(remote)], RATE, heard=heard) as engine, IdentityThread(link, 128):
            engine.send(message(Kind.RESET, 1234))
            played = np.empty((3000, 2), np.float32)
            for at in range(0, 3000, block):
                engine.process(played[at : at + block])
        assert np.array_equal(played[:, 0], wanted)


def test_resetting_the_source_forgets_the_blocks_too() -> None:
    heard = noise(3000 + 90 * 64)
    live = Live(128)
    live.play_all(heard[:3000], 500)
    live.remote.reset()
    after = live.play_all(heard[3000:], 64)
    assert live.remote.latency == 127 - 63 + 64
    assert np.array_equal(after[:, 0], delayed(heard[3000:], live.remote.latency))
    assert live.remote.counts == (0, 0, 0, 0, True)


@pytest.mark.parametrize("policy", ["dry", "silence", "hold"])
def test_before_the_first_answer_nothing_is_missing(policy: Any) -> None:
    heard = noise(6400)
    live = Live(128, policy=policy, channels=2)
    parts = [live.play(heard[at : at + 64], answered=at >= 3200) for at in range(0, 6400, 64)]
    played, dry = np.concatenate(parts), delayed(heard, live.remote.latency)
    stand_in = dry if policy == "dry" else np.zeros_like(dry)
    assert np.array_equal(played[:3264], np.stack([stand_in, stand_in], axis=1)[:3264])
    assert np.array_equal(played[3264 + FADE :], np.stack([dry, -dry], axis=1)[3264 + FADE :])
    assert live.remote.counts == (0, 0, 0, 0, True)
    assert live.engine.report().late_worker == 0


def test_a_worker_that_is_never_in_time_is_late_once_it_has_answered_for_a_second() -> None:
    live = Live(2, framing=0)
    live.play_all(noise(47_968 + 32), 16)
    assert live.remote.counts == (0, 0, 0, 0, False)
    live.play_all(noise(480), 16)
    counts = live.remote.counts
    assert counts.begun
    assert counts.episodes + counts.hurried == 1
    assert 0 < counts.concealed <= 480


def test_a_return_that_is_broken_off_belongs_to_the_same_episode() -> None:
    heard = noise(64 * 100)
    live = Live(64)
    parts = []
    for block in range(100):
        parts.append(
            live.play(heard[64 * block : 64 * block + 64], answered=not 20 <= block < 40 or block in (30, 31))
        )
    counts = live.remote.counts
    assert counts.episodes + counts.hurried == 1
    played, wanted = np.concatenate(parts)[:, 0], delayed(heard, live.remote.latency)
    assert np.array_equal(played[: 64 * 21], wanted[: 64 * 21])
    assert np.array_equal(played[64 * 42 + FADE :], wanted[64 * 42 + FADE :])


def test_it_is_active_for_a_second_after_the_last_sound() -> None:
    live = Live(1)
    assert live.remote.active_voices == 0
    live.play(np.full(480, 1e-6, np.float32))
    assert live.remote.active_voices == 0  # below -100 dB
    live.play(noise(480))
    for _ in range(101):  # its delay of 480, and 99 times as long
        assert live.remote.active_voices == 1
        live.play(np.zeros(480, np.float32))
    assert live.remote.active_voices == 0


def _refused() -> Iterator[tuple[dict[str, Any], type[Exception]]]:
    yield {"framing": -1}, UsageError
    yield {"framing": 10, "hop": 0}, UsageError
    yield {"framing": 10, "compute": -1}, UsageError
    yield {"framing": 10, "wet": 1.5}, UsageError
    yield {"framing": 10, "policy": "loud"}, UsageError
    yield {"framing": 10, "host_block": 65537}, UsageError
    yield {"framing": 600}, RateError


@pytest.mark.parametrize(("parameters", "error"), list(_refused()))
def test_what_cannot_be_is_refused(parameters: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Remote(Link.create(1024), RATE, **parameters)
