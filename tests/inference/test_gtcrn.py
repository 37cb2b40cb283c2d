"""A real network, GTCRN: it streams as it runs offline, and it takes noise off speech."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import soxr

from rtsynth.inference.manifest import load_manifest
from rtsynth.inference.model import StreamingModel
from rtsynth.inference.offline import run_offline
from rtsynth.inference.pipeline import Pipeline
from tests.data import shared
from tests.inference.networks import pieces_of

pytest.importorskip("onnxruntime", reason="running networks needs onnxruntime")

NETWORK = shared("weights/gtcrn_stream/gtcrn.onnx")
SPEECH = shared("speech_ljspeech") / "LJ001-0002.wav"
SNR_DB = 5.0
GAIN_DB = 6.0  # that it must bring in SI-SDR; measured: 8.2 to 8.5


@pytest.fixture(scope="module")
def model() -> StreamingModel:
    return StreamingModel(load_manifest(NETWORK, "gtcrn"))


def speech(rate: int, seconds: float = 1.9) -> np.ndarray:
    samples, recorded_at = soundfile.read(SPEECH, dtype="float64")
    return soxr.resample(samples[: round(seconds * recorded_at)], recorded_at, rate)


def noisy(clean: np.ndarray, rate: int) -> np.ndarray:
    """White noise up to 8 kHz at SNR_DB below."""
    noise = soxr.resample(
        np.random.default_rng(3).normal(size=round(len(clean) * 16000 / rate) + 1), 16000, rate
    )
    noise = noise[: len(clean)]
    gain = np.sqrt((clean**2).mean() / (noise**2).mean()) * 10 ** (-SNR_DB / 20)
    return (clean + gain * noise).astype(np.float32)


def si_sdr(estimate: np.ndarray, target: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio, dB (Le Roux et al. 2019)."""
    scaled = target * (estimate @ target) / (target @ target)
    return float(10 * np.log10((scaled @ scaled) / ((estimate - scaled) @ (estimate - scaled))))


def test_the_shipped_manifest_fits_it(model: StreamingModel) -> None:
    assert (model.frame, model.sample_rate, model.channels, model.latency) == (256, 16000, 1, 256)
    assert {name: state.shape for name, state in model.states.items()} == {
        "conv_cache": (2, 1, 16, 16, 33),
        "tra_cache": (2, 3, 1, 1, 16),
        "inter_cache": (2, 1, 33, 16),
    }


@pytest.mark.parametrize("rate", [16000, 48000, 44100])
def test_it_streams_as_it_runs_offline(model: StreamingModel, rate: int) -> None:
    """To 1e-5 of full scale, for three ways of cutting; aligned, so that the speech is where it was."""
    clean = speech(rate)
    x = noisy(clean, rate)
    whole = run_offline(model, x, rate)
    rng = np.random.default_rng(rate)
    for lengths in ([64] * 5000, rng.integers(1, 3000, 1000), [1, 17, 2048, 331, 7] * 500):
        model.reset()
        pipeline = Pipeline(model, rate)
        padded = np.append(x, np.zeros(pipeline.framing, np.float32))
        y = np.concatenate([pipeline.push(piece) for piece in pieces_of(padded, lengths)])
        np.testing.assert_allclose(y[: len(x)], whole, atol=1e-5)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_it_takes_the_noise_off(model: StreamingModel, rate: int) -> None:
    clean = speech(rate)
    x = noisy(clean, rate)
    model.reset()
    pipeline = Pipeline(model, rate)
    y = pipeline.push(np.append(x, np.zeros(pipeline.framing, np.float32)))[: len(x), 0]
    before, after = si_sdr(x.astype(np.float64), clean), si_sdr(y.astype(np.float64), clean)
    assert before == pytest.approx(SNR_DB, abs=0.3)
    assert after > before + GAIN_DB
    for shifted in (-3, 3):  # and nowhere else: it is aligned
        assert si_sdr(np.roll(y, shifted).astype(np.float64), clean) < after


def test_it_does_not_rest_while_its_caches_move(model: StreamingModel) -> None:
    """Speech, five seconds of silence, speech: its caches drift, so it computes, and equals the offline run.

    Had it rested after a quarter of a second of silence, the speech that follows would be 30 dB from that.
    """
    rate = 16000
    said = noisy(speech(rate, 1.0), rate)
    x = np.concatenate((said, np.zeros(5 * rate, np.float32), said))
    whole = run_offline(model, x, rate)
    model.reset()
    pipeline = Pipeline(model, rate)
    y = pipeline.push(np.append(x, np.zeros(pipeline.framing, np.float32)))[: len(x)]
    assert pipeline.rested == 0
    np.testing.assert_allclose(y, whole, atol=1e-5)
