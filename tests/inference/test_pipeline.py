"""Any pieces, any rates: delays to the sample, whole == chunks, and neither rest nor restarts change anything."""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsynth.errors import RateError, UsageError
from rtsynth.inference.manifest import load_manifest
from rtsynth.inference.model import StreamingModel
from rtsynth.inference.offline import run_offline
from rtsynth.inference.pipeline import Pipeline
from tests.inference import networks
from tests.inference.networks import DelayLine, pieces_of, write_manifest

RATES = [
    (48000, 0),
    (48000, 16000),
    (44100, 16000),
    (16000, 44100),
    (48000, 22050),
    (96000, 16000),
    (44100, 48000),
]
FRAMES = [1, 7, 64, 256]  # of which 1 and 7 take Python long: only for counting

rates = st.sampled_from(RATES)
frames = st.sampled_from([16, 64, 257])
latencies = st.sampled_from([0, 1, 63, 64, 300])


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.2, count).astype(np.float32)


def run(pipeline: Pipeline, samples: np.ndarray, lengths: list[int]) -> np.ndarray:
    """(n,) in pieces → (m, channels)."""
    return np.concatenate([pipeline.push(piece) for piece in pieces_of(samples, lengths)])


# --- how late -------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(rate=st.sampled_from(RATES), frame=st.sampled_from(FRAMES), latency=latencies)
def test_framing_is_exact(rate: tuple[int, int], frame: int, latency: int) -> None:
    """Over a whole period: produced(n) ≥ n - framing, with equality somewhere; `wanted` says when an answer comes."""
    pipeline = Pipeline(DelayLine(frame, sample_rate=rate[1], latency=latency), rate[0])
    ratio = Fraction(rate[1] or rate[0], rate[0])
    period = lcm(frame * ratio.denominator, ratio.numerator) // ratio.numerator  # device samples
    silence = np.zeros(2 * pipeline.framing + 16 * frame * max(1, round(1 / ratio)), np.float32)
    taken = produced = worst = 0
    while taken < 2 * pipeline.framing + period:
        wanted = pipeline.wanted
        assert len(pipeline.push(silence[: wanted - 1])) == 0, "an answer before it was due"
        worst = max(worst, taken + wanted - 1 - produced)
        answers = pipeline.push(silence[:1])
        assert len(answers) > 0, "no answer when it was due"
        taken, produced = taken + wanted, produced + len(answers)
        assert produced == pipeline.position
    assert worst == pipeline.framing
    assert sum(pipeline.parts) == pipeline.framing
    assert min(pipeline.parts) >= 0


def test_the_figures_of_a_plain_model() -> None:
    """No resampling: a frame of 64 is 63 samples late, and its delay adds itself."""
    plain = Pipeline(DelayLine(64), 48000)
    assert (plain.framing, plain.hop, plain.parts) == (63, 64, (63, 0, 0))
    delayed = Pipeline(DelayLine(64, latency=10), 44100)
    assert (delayed.framing, delayed.parts) == (73, (63, 0, 10))
    resampled = Pipeline(DelayLine(256, sample_rate=16000), 48000)
    assert resampled.hop == 1
    assert resampled.parts.framing == 767
    assert resampled.parts.resampling / 48 < 7  # ms, there and back


@pytest.mark.parametrize("rate", [(48000, 16000), (44100, 16000), (48000, 22050)])
def test_soxr_is_no_later_than_it_says(rate: tuple[int, int]) -> None:
    pipeline = Pipeline(DelayLine(256, sample_rate=rate[1]), rate[0], resampling="soxr")
    taken = worst = 0
    silence = np.zeros(64, np.float32)
    while taken < 300_000:
        wanted = pipeline.wanted
        worst = max(worst, taken + wanted - 1 - pipeline.position)
        pipeline.push(silence[:wanted])
        taken += wanted
    assert pipeline.framing - 200 < worst <= pipeline.framing


# --- what comes out -------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    frame=st.integers(1, 300),
    latency=latencies,
    channels=st.sampled_from([1, 2]),
    lengths=st.lists(st.integers(0, 2048), min_size=1, max_size=60),
)
def test_a_delay_line_is_undone_to_the_sample(
    frame: int, latency: int, channels: int, lengths: list[int]
) -> None:
    """Output sample p answers input sample p: a model's delay has gone from the front, bit for bit."""
    x = noise(4000)
    y = run(Pipeline(DelayLine(frame, latency=latency, channels=channels), 48000), x, lengths)
    assert len(y) >= len(x) - (frame - 1) - latency
    np.testing.assert_array_equal(y[:, 0], x[: len(y)])
    assert y.shape[1] == channels
    if channels == 2:
        np.testing.assert_array_equal(y[:, 1], -x[: len(y)])


@settings(max_examples=40, deadline=None)
@given(
    rate=rates,
    frame=frames,
    resampling=st.sampled_from(["polyphase", "soxr"]),
    lengths=st.lists(st.integers(0, 2048), min_size=1, max_size=60),
)
def test_pieces_make_no_difference(
    rate: tuple[int, int], frame: int, resampling: str, lengths: list[int]
) -> None:
    """Bit for bit, at every rate."""
    x = noise(12_000)
    whole = Pipeline(DelayLine(frame, sample_rate=rate[1], latency=30), rate[0], resampling=resampling).push(
        x
    )
    pipeline = Pipeline(DelayLine(frame, sample_rate=rate[1], latency=30), rate[0], resampling=resampling)
    np.testing.assert_array_equal(run(pipeline, x, lengths), whole)


@pytest.mark.parametrize("resampling", ["polyphase", "soxr"])
@pytest.mark.parametrize("rate", RATES)
def test_it_is_the_offline_run(rate: tuple[int, int], resampling: str) -> None:
    """To 1e-5 over the whole of it: resampled as a whole by scipy, or by soxr."""
    model = DelayLine(64, sample_rate=rate[1], latency=17)
    x = noise(20_000)
    whole = run_offline(model, x, rate[0], resampling=resampling)
    model.reset()
    pipeline = Pipeline(model, rate[0], resampling=resampling)
    y = run(pipeline, np.append(x, np.zeros(pipeline.framing, np.float32)), [1000, 1, 64, 2047, 333])
    assert whole.shape == (len(x), 1)
    np.testing.assert_allclose(y[: len(x)], whole, atol=1e-5)


def test_a_sine_comes_back_in_phase() -> None:
    """48 → 16 → 48 kHz through a model with a delay: a sine of 1 kHz, 0.3 ‰ of its amplitude away at most."""
    pipeline = Pipeline(DelayLine(256, sample_rate=16000, latency=100), 48000)
    x = np.sin(2 * np.pi * np.arange(24_000) / 48).astype(np.float32)
    y = pipeline.push(x)[:, 0]
    np.testing.assert_allclose(y[2000:], x[2000 : len(y)], atol=3e-4)


# --- restarts and rest ----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(rate=rates, frame=frames, position=st.integers(0, 9000))
def test_restarted_early_enough_nothing_is_missed(rate: tuple[int, int], frame: int, position: int) -> None:
    """From `lookback` after a restart on it is as if never interrupted, bit for bit, where the model keeps no state."""
    x = noise(16_000)
    whole = Pipeline(DelayLine(frame, sample_rate=rate[1]), rate[0]).push(x)
    pipeline = Pipeline(DelayLine(frame, sample_rate=rate[1]), rate[0])
    pipeline.push(noise(5000, 9))
    pipeline.restart(position)
    first = pipeline.position
    assert position <= first <= position + pipeline.lookback
    y = pipeline.push(x[position:])
    clean = position + pipeline.lookback
    np.testing.assert_array_equal(y[clean - first :], whole[clean : first + len(y)])


@pytest.mark.parametrize("rate", [(48000, 16000), (44100, 16000), (16000, 44100)])
def test_soxr_goes_on_where_both_rates_meet(rate: tuple[int, int]) -> None:
    x = noise(40_000)
    whole = Pipeline(DelayLine(64, sample_rate=rate[1]), rate[0], resampling="soxr").push(x)
    pipeline = Pipeline(DelayLine(64, sample_rate=rate[1]), rate[0], resampling="soxr")
    pipeline.push(x[:7000])
    pipeline.restart(5001)
    first = pipeline.position
    assert 5001 <= first <= 5001 + pipeline.lookback
    y = pipeline.push(x[5001:])
    clean, end = 5001 + pipeline.lookback, min(first + len(y), len(whole))  # they come in other blocks
    assert end > clean + 1000
    np.testing.assert_allclose(y[clean - first : end - first], whole[clean:end], atol=1e-5)


def test_the_lookback_of_spectra(tmp_path: Path) -> None:
    """A network that takes magnitudes of parts, so that every answer depends on all of every frame over it."""
    model = spectral(tmp_path, "Abs")
    x = noise(16_000)
    for rate in (16000, 48000):
        model.reset()
        whole = Pipeline(model, rate).push(x)
        pipeline = Pipeline(model, rate)
        pipeline.restart(4321)
        model.reset()
        fresh = pipeline.push(x[4321:])
        pipeline.restart(4321)  # nothing is left of what the spectra overlapped
        first = pipeline.position
        y = pipeline.push(x[4321:])
        np.testing.assert_array_equal(y, fresh)
        clean = 4321 + pipeline.lookback
        np.testing.assert_allclose(y[clean - first :], whole[clean : first + len(y)], atol=1e-6)
        assert np.abs(y[: pipeline.lookback // 4] - whole[first:][: pipeline.lookback // 4]).max() > 1e-3


def spectral(folder: Path, operator: str) -> StreamingModel:
    shape = (1, 129, 1, 2)
    path = networks.save(
        folder / "s.onnx", [networks.node(operator, "x", "y")], [("x", shape)], [("y", shape)]
    )
    stft = {"n_fft": 256, "hop": 64, "window": "hann", "scale": 0.5}
    manifest = write_manifest(folder / "s.toml", sample_rate=16000, stft=stft)
    return StreamingModel(load_manifest(path, manifest))


def test_spectra_at_the_edges_are_seen_through(tmp_path: Path) -> None:
    """An identity on spectra is an identity, 192 + 63 samples late at its own rate."""
    pipeline = Pipeline(spectral(tmp_path, "Identity"), 16000)
    assert pipeline.parts == (63, 0, 192)
    x = noise(5000)
    y = run(pipeline, x, [100, 7, 1, 999])
    np.testing.assert_allclose(y[:, 0], x[: len(y)], atol=1e-6)


@pytest.mark.parametrize("device_rate", [48000, 44100])
def test_asleep_or_computing_all_the_time(tmp_path: Path, device_rate: int) -> None:
    """A GRU: sound, five seconds of silence, sound. It rests, and what comes out is the same to 1e-5."""
    path = networks.gru(tmp_path / "gru.onnx")
    manifest = write_manifest(tmp_path / "gru.toml", sample_rate=48000)
    model = StreamingModel(load_manifest(path, manifest))
    sound = noise(20_000)
    x = np.concatenate((sound, np.zeros(5 * device_rate, np.float32), sound))
    whole = run_offline(model, x, device_rate)
    model.reset()
    pipeline = Pipeline(model, device_rate)
    y = run(pipeline, np.append(x, np.zeros(pipeline.framing, np.float32)), [480] * 1000)[: len(x)]
    frames = len(x) * 48000 / device_rate / 64
    assert 0.5 * frames < pipeline.rested < frames
    assert pipeline.rested + pipeline.computed == pytest.approx(frames, abs=30)
    np.testing.assert_allclose(y, whole, atol=1e-5)


def test_when_it_rests_does_not_depend_on_the_pieces(tmp_path: Path) -> None:
    path = networks.gru(tmp_path / "gru.onnx")
    x = np.concatenate((noise(5000), np.zeros(60_000, np.float32), noise(5000)))
    model = StreamingModel(load_manifest(path))
    whole = Pipeline(model, 48000).push(x)
    model.reset()
    pipeline = Pipeline(model, 48000)
    assert not pipeline.converged
    np.testing.assert_array_equal(run(pipeline, x, [777] * 1000), whole)
    assert pipeline.rested > 100


def counting(folder: Path, **fields: float) -> Pipeline:
    """A network that counts: silence in, silence out, but its state moves."""
    path = networks.save(
        folder / "counts.onnx",
        [networks.node("Identity", "x", "y"), networks.node("Add", "n one", "n_out")],
        [("x", (1, 64)), ("n", (1,))],
        [("y", (1, 64)), ("n_out", (1,))],
        {"one": np.array([1], np.int64)},
        dtype={"n": 7, "n_out": 7},
    )
    return Pipeline(StreamingModel(msgspec.structs.replace(load_manifest(path), **fields)), 48000)


def test_what_never_settles_never_rests(tmp_path: Path) -> None:
    pipeline = counting(tmp_path)
    pipeline.push(np.zeros(96_000, np.float32))
    assert pipeline.rested == 0
    assert pipeline.computed == 1500
    assert not pipeline.converged


def test_it_rests_when_the_manifest_says_so(tmp_path: Path) -> None:
    """After one second of silence, and a sound wakes it."""
    pipeline = counting(tmp_path, rest=1.0)
    pipeline.push(np.zeros(96_000, np.float32))
    assert (pipeline.computed, pipeline.rested) == (750, 750)
    assert pipeline.converged
    sound = np.full(64, 0.5, np.float32)
    np.testing.assert_array_equal(pipeline.push(sound)[:, 0], sound)
    pipeline.push(np.zeros(24_000, np.float32))
    assert (pipeline.computed, pipeline.rested) == (750 + 1 + 375, 750)


def test_what_sounds_by_itself_never_rests(tmp_path: Path) -> None:
    nodes = [networks.node("Add", "x hum", "y")]
    weights = {"hum": np.full((1, 64), 1e-3, np.float32)}
    path = networks.save(tmp_path / "hums.onnx", nodes, [("x", (1, 64))], [("y", (1, 64))], weights)
    y = Pipeline(StreamingModel(load_manifest(path)), 48000).push(np.zeros(96_000, np.float32))
    np.testing.assert_array_equal(y, np.float32(1e-3))


def test_a_rumble_below_hearing_keeps_it_awake() -> None:
    """-119 dB is not silence, -121 dB is."""
    for peak, rests in ((1.1e-6, False), (0.9e-6, True)):
        pipeline = Pipeline(DelayLine(64), 48000)
        pipeline.push(np.full(48_000, peak, np.float32))
        assert (pipeline.rested > 0) is rests


# --- what it refuses ------------------------------------------------------------------------------------------------


def test_what_it_refuses() -> None:
    with pytest.raises(RateError, match="too little in common"):
        Pipeline(DelayLine(64, sample_rate=16000), 44101)
    with pytest.raises(UsageError, match="polyphase and soxr"):
        Pipeline(DelayLine(64), 48000, resampling="linear")
