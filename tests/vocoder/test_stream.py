"""The interface of every vocoder, on one whose network is a few operators made by hand: sound n frames late."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'rtsynth[models]'")

from rtsynth.errors import InputError, UsageError
from rtsynth.inference.manifest import load_manifest
from rtsynth.vocoder.live import Hearing, LiveVocoder
from rtsynth.vocoder.mel import SILENT, log_mel
from rtsynth.vocoder.stream import Vocoder, load_vocoder
from tests.inference.networks import node, save

HOP, BANDS, LATE, T = 8, 4, 3, 2  # samples, -, frames, frames a step
SETTINGS: dict[str, Any] = {
    "form": "samples", "sample_rate": 8000.0, "hop": HOP, "latency": LATE * HOP, "bands": BANDS,
    "n_fft": 32, "window": 32, "low": 0.0, "high": 4000.0, "name": "echo",
}  # fmt: skip


def write(path: Path, settings: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Sample n of a frame is n + its first band where the frame is there, and 0 where not; LATE frames late."""
    nodes = [
        node("Gather", "mel first", "bands", axis=1),
        node("Gather", "mel last", "there", axis=1),
        node("Concat", "line bands", "all", axis=2),
        node("Concat", "seen there", "shown", axis=2),
        node("Slice", "all from late two", "line_out"),
        node("Slice", "shown from late two", "seen_out"),
        node("Slice", "all zero steps two", "now"),
        node("Slice", "shown zero steps two", "is"),
        node("Transpose", "now", "tall", perm=[0, 2, 1]),
        node("Transpose", "is", "mask", perm=[0, 2, 1]),
        node("Add", "tall ramp", "sums"),
        node("Mul", "sums mask", "masked"),
        node("Reshape", "masked shape", "sound"),
    ]
    weights = {
        "first": np.array([0]), "last": np.array([BANDS]), "from": np.array([T]), "late": np.array([LATE + T]),
        "two": np.array([2]), "zero": np.array([0]), "steps": np.array([T]),
        "ramp": np.arange(HOP, dtype=np.float32)[None, None], "shape": np.array([1, 1, T * HOP]),
    }  # fmt: skip
    metadata = {
        "rtsynth.kind": "vocoder",
        "rtsynth.settings": json.dumps({**SETTINGS, **(settings or {})}),
        "rtsynth.card": "by hand",
    } | changes.pop("metadata", {})
    lines = [("line", (1, 1, LATE)), ("seen", (1, 1, LATE))]
    entering = changes.pop("inputs", [("mel", (1, BANDS + 1, T)), *lines])
    leaving = [("sound", (1, 1, T * HOP)), *((f"{name}_out", shape) for name, shape in lines)]
    return save(path, nodes, entering, leaving, weights, metadata=metadata)


@pytest.fixture
def echo(tmp_path: Path) -> Vocoder:
    return load_vocoder(write(tmp_path / "echo.onnx"))


def frames(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(BANDS, count)).astype(np.float32)


def meant(mel: np.ndarray) -> np.ndarray:
    return (mel[0][:, None] + np.arange(HOP)).ravel().astype(np.float32)


def test_what_it_says_of_itself(echo: Vocoder) -> None:
    assert (echo.hop, echo.latency, echo.frames_per_step, echo.sample_rate) == (HOP, LATE * HOP, T, 8000.0)
    assert (echo.name, echo.card, echo.provider) == ("echo", "by hand", "CPU")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 11])
def test_frames_come_out_where_they_belong(echo: Vocoder, count: int) -> None:
    mel = frames(count)
    np.testing.assert_array_equal(echo.vocode(mel), meant(mel))
    np.testing.assert_array_equal(echo.vocode(mel), meant(mel))  # nothing is left of the first time


@pytest.mark.parametrize("seed", range(5))
def test_pieces_of_any_size_make_one_sound(echo: Vocoder, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for utterance in range(2):
        mel, said, at = frames(int(rng.integers(0, 30)), utterance), [], 0
        while at < mel.shape[1]:
            size = int(rng.integers(0, 6))
            said.append(echo.push(mel[:, at : at + size]))
            at += size
        so_far = sum(map(len, said))
        assert so_far == max(0, mel.shape[1] // T * T - LATE) * HOP
        said.append(echo.finish())
        np.testing.assert_array_equal(np.concatenate(said), meant(mel))


def test_reset_forgets(echo: Vocoder) -> None:
    echo.push(frames(7))
    echo.reset()
    np.testing.assert_array_equal(np.concatenate((echo.push(frames(4)), echo.finish())), meant(frames(4)))


@pytest.mark.parametrize(
    "bad", [np.zeros((3, 5)), np.zeros(5), np.full((BANDS, 2), np.nan), np.zeros((1, BANDS, 2))]
)
def test_what_are_no_frames_is_refused(echo: Vocoder, bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="mel frames"):
        echo.push(bad)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"metadata": {"rtsynth.kind": "music"}}, "of the kind 'music', not a vocoder"),
        ({"metadata": {"rtsynth.kind": ""}}, "no network that rtsynth has written"),
        ({"metadata": {"rtsynth.settings": "{"}}, "rtsynth.settings"),
        ({"settings": {"hop": 0}}, "hop"),
        ({"settings": {"form": "pictures"}}, "form"),
        ({"settings": {"bands": 5}}, "want \\(1, 6, T\\)"),
        ({"settings": {"form": "filters"}}, "without 'filters'"),
        ({"settings": {"hop": 16}}, "16 samples for 2 frames of 16"),
        ({"settings": {"high": 9000.0}}, "9000 Hz"),
        (
            {"inputs": [("mel", (1, 5, "T")), ("line", (1, 1, 3)), ("seen", (1, 1, 3))]},
            "leaves a dimension open",
        ),
    ],
)
def test_files_that_are_no_vocoder(tmp_path: Path, changes: dict, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as refusal:
        load_vocoder(write(tmp_path / "x.onnx", **changes))
    assert "\n" not in str(refusal.value)


def test_names_that_are_no_vocoder(tmp_path: Path) -> None:
    for name, complaint in (("none", "no vocoder named 'none'"), ("none.onnx", "no vocoder's file")):
        with pytest.raises(InputError, match=complaint):
            load_vocoder(name)
    (tmp_path / "x.onnx").write_bytes(b"hello")
    with pytest.raises(InputError, match="not an ONNX model"):
        load_vocoder(tmp_path / "x.onnx")


def test_live_it_is_no_model_of_sound(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rtsynth live vocoder --model"):
        load_manifest(write(tmp_path / "x.onnx"))


# --- heard live -------------------------------------------------------------------------------------------------------


def test_what_is_heard_is_answered_so_late_as_is_said(echo: Vocoder) -> None:
    """The answer to a frame of sound is what the network says of the log-mel frame in whose middle its hop lies."""
    hearing, pad = Hearing(echo), echo.mel.pad
    assert hearing.latency == LATE * HOP + pad == 24 + 12
    sound = np.random.default_rng(1).normal(size=40 * HOP).astype(np.float32)
    said = np.concatenate([hearing.step(sound[at : at + 16])[:, 0] for at in range(0, sound.size, 16)])
    for hop in range(5, 20):
        start = hop * HOP + 4  # live, hops begin half of pad's odd part off the file's grid
        window = sound[start - pad : start - pad + 32]
        answer = said[start + hearing.latency :][:HOP]
        np.testing.assert_allclose(answer, log_mel(window[None], echo.mel)[0, 0] + np.arange(HOP), atol=1e-5)


def test_noise_that_is_none_is_silenced_and_counted(echo: Vocoder) -> None:
    hearing = Hearing(echo)
    assert not hearing.step(np.full(16, np.nan, np.float32)).any()
    assert hearing.not_finite == 16
    hearing.reset()
    assert np.isfinite(hearing.step(np.zeros(16, np.float32))).all()


def test_a_live_vocoder_describes_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "x.onnx")
    manifest = LiveVocoder(path).manifest
    assert (manifest.frame, manifest.latency, manifest.sample_rate) == (16, 36, 8000.0)
    with pytest.raises(UsageError, match="describes itself"):
        LiveVocoder(path, manifest="drive")
    assert SILENT < -11.5
