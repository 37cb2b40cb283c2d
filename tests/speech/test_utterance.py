"""The utterance as a source: blocks, takes, keeping, messages, other rates, and the audio thread's rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtsynth.engine import Engine
from rtsynth.errors import InputError, UsageError
from rtsynth.messages import Kind, Messages, message, sort_by_time
from rtsynth.speech.kept import kept_sound
from rtsynth.speech.model import SILENT
from rtsynth.speech.utterance import Utterance, frame_tables
from tests.engine import build
from tests.engine.realtime_proof import compile_proof, prove_in_subprocess
from tests.speech.recordings import RATE, SAY, said, small, voice


def busy() -> Messages:
    """Said again before it has ended, the variance turned, stopped and said again; nothing on a grid."""
    rows = [
        message(Kind.NOTE_ON, 100, number=60, value=1.0),
        message(Kind.CONTROL, 1501, number=1, value=20),
        message(Kind.NOTE_ON, 3017, number=62, value=0.4),
        message(Kind.CONTROL, 4111, number=1, value=127),
        message(Kind.NOTE_OFF, 4200, number=62),
        message(Kind.CONTROL, 5003, number=123),
        message(Kind.NOTE_ON, 6001, number=60, value=0.7),
    ]
    return sort_by_time(np.concatenate(rows))


@pytest.mark.parametrize("block", [1, 7, 64, 333])
def test_the_hosts_block_does_not_show(block: int) -> None:
    whole = said(small(), messages=busy(), block=9600, keep=0.5)
    assert np.abs(whole).max() > 0.01
    assert said(small(), messages=busy(), block=block, keep=0.5).tobytes() == whole.tobytes()


def test_a_seed_is_a_take_and_so_is_each_note_on() -> None:
    assert said(small()).tobytes() == said(small()).tobytes()
    assert said(small()).tobytes() != said(small(), seed=2).tobytes()
    twice = np.concatenate([SAY, message(Kind.NOTE_ON, 12000, number=60, value=1.0)])
    both = said(small(), messages=twice, seconds=1.35)
    assert not np.array_equal(both[12000:21000], both[:9000])
    assert both[: small().samples].tobytes() == said(small()).tobytes()


def test_keep_1_is_what_was_kept() -> None:
    sound = said(small(), keep=1.0)[:, 0]
    np.testing.assert_allclose(sound, kept_sound(small()), atol=1e-6)


def test_keep_mixes_in_the_stated_shares() -> None:
    drawn, recording = said(small())[:, 0], kept_sound(small())
    np.testing.assert_allclose(said(small(), keep=0.6)[:, 0], 0.8 * drawn + 0.6 * recording, atol=1e-6)


def test_controller_1_is_the_variance_and_glides() -> None:
    """From a free draw to the recording: 99 % of the way in 44 segments, without a step."""
    turned = np.concatenate([SAY, message(Kind.CONTROL, 1000, number=1, value=0)])
    sound = said(small(), messages=sort_by_time(turned))[:, 0].astype(float)
    drawn, recording = said(small())[:, 0].astype(float), kept_sound(small())
    np.testing.assert_array_equal(sound[:992], drawn[:992])
    np.testing.assert_allclose(sound[8000:], recording[8000:], atol=2e-3)
    mixture = np.abs(np.diff(sound[990:1100])).max()
    assert mixture < 2 * max(
        np.abs(np.diff(drawn[990:1100])).max(), np.abs(np.diff(recording[990:1100])).max()
    )


def test_velocity_is_a_gain_and_a_note_off_is_not_heard() -> None:
    soft = np.concatenate(
        [message(Kind.NOTE_ON, number=60, value=0.5), message(Kind.NOTE_OFF, 500, number=60)]
    )
    np.testing.assert_array_equal(said(small(), messages=soft), np.float32(0.5) * said(small()))


def test_stopping_and_saying_again_leave_no_step() -> None:
    """A recording of a constant: every sample of difference is the fade's, 1/32 a sample."""
    flat = replace(small(), level=np.full_like(small().level, SILENT))
    utterance = Utterance(flat, keep=1.0)
    utterance.prepare(RATE)
    utterance._keeping[3][:] = 1.0
    out = np.zeros((2, 400), np.float32)
    for at, due in ((0, SAY), (150, SAY), (270, message(Kind.CONTROL, number=120))):
        end = {0: 150, 150: 270, 270: 400}[at]
        utterance._library.rt_utterance_loop(
            utterance.loop.state,
            due.ctypes.data,
            1,
            out[0, at:end].ctypes.data,
            out[1, at:end].ctypes.data,
            end - at,
        )
    assert out[0, 100] == 1.0
    assert np.abs(np.diff(out[0, 271:])).max() <= 1 / 32 + 1e-6
    assert out[0, -1] == 0.0
    assert utterance.active_voices == 0
    np.testing.assert_array_equal(out[0], out[1])


def test_it_ends_in_exact_silence() -> None:
    utterance = Utterance(small())
    with Engine([utterance], RATE) as engine:
        engine.send(SAY)
        out = np.empty((utterance.tail + 500, 2), np.float32)
        engine.process(out[:100])
        assert utterance.active_voices == 1
        engine.process(out[100:])
        assert utterance.active_voices == 0
        assert not out[utterance.tail :].any()
        assert out[utterance.tail - 200 : utterance.tail].any()


def test_reset_silences_and_the_next_take_is_the_first() -> None:
    with Engine([utterance := Utterance(small())], RATE) as engine:
        first, again = np.empty((2, 1000, 2), np.float32)
        engine.send(SAY)
        engine.process(first)
        utterance.reset()
        rest = np.empty((200, 2), np.float32)
        engine.process(rest)
        assert not rest.any()
        later = SAY.copy()
        later["time"] = engine.time
        engine.send(later)
        engine.process(again)
    assert again.tobytes() == first.tobytes()


@pytest.mark.parametrize("rate", [8000.0, 48000.0])
def test_at_another_rate_it_is_the_same_sound(rate: float) -> None:
    """The recording resampled; a draw of the same level: 4 draws within 3 dB."""
    kept = said(small(), keep=1.0, rate=rate)[:, 0]
    assert kept.size == round(small().seconds * rate)
    tone = np.abs(np.fft.rfft(kept[: kept.size // 2] * np.hanning(kept.size // 2)))
    same = np.abs(np.fft.rfft(voice()[: voice().size // 2] * np.hanning(voice().size // 2)))
    hertz, true = tone.argmax() * rate / (kept.size // 2), same.argmax() * RATE / (voice().size // 2)
    assert abs(hertz - true) < 5
    level = np.mean([np.mean(said(small(), seed=seed, rate=rate) ** 2) for seed in range(4)])
    stated = np.mean([np.mean(said(small(), seed=seed) ** 2) for seed in range(4)])
    assert abs(10 * np.log10(level / stated)) < 3


def test_rows_above_half_the_rate_are_silent() -> None:
    power, cycles, _ = frame_tables(small(), 4000.0)
    assert (power[cycles > 0.49] == 0.0).all()
    assert cycles.max() <= 0.5


@pytest.mark.parametrize("keep", [-0.1, 1.1, float("nan")])
def test_keep_out_of_range(keep: float) -> None:
    with pytest.raises(UsageError, match="--keep"):
        Utterance(small(), keep=keep)


def test_nothing_kept_nothing_to_keep() -> None:
    forgetful = replace(small(), kept=None)
    with pytest.raises(InputError, match="fit"):
        Utterance(forgetful, keep=0.5)
    np.testing.assert_array_equal(said(forgetful), said(small()))


def test_unprepared() -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        _ = Utterance(small()).loop


def speaking(folder: Path) -> tuple[Utterance, Messages, int]:
    return Utterance(small(), keep=0.3), busy(), 9000


@pytest.mark.skipif(build.COMPILER is None, reason="no C compiler for the hooks")
def test_it_never_waits(tmp_path: Path) -> None:
    """No allocation, lock or system call in 10 000 blocks; that the hooks see them: tests/engine/test_realtime.py."""
    compile_proof(tmp_path)
    proof = prove_in_subprocess(f"{__name__}:speaking", tmp_path, blocks=10_000)
    if proof.system_calls < 0:
        pytest.skip("this kernel has no seccomp filters")
    assert proof.holds, proof
    assert proof.peak > 0.01
    assert proof.nan_samples == 0
