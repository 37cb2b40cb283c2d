"""The streaming generator against the whole one: any frames a step, any pieces, both edges; and what it exports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'rtsynth[models]'")

from rtsynth.errors import InputError, ThresholdError  # noqa: E402
from rtsynth.training import hifigan_stream  # noqa: E402
from rtsynth.training.hifigan import Generator  # noqa: E402
from rtsynth.training.hifigan_export import compare, export_hifigan, pieces, spoken, told  # noqa: E402
from rtsynth.training.hifigan_files import official_state  # noqa: E402
from rtsynth.training.hifigan_stream import Presence, StreamingGenerator  # noqa: E402
from rtsynth.vocoder.hifigan import V1, V2, V3, Config, read_config  # noqa: E402
from rtsynth.vocoder.mel import mel_frames  # noqa: E402
from rtsynth.vocoder.stream import load_vocoder  # noqa: E402
from tests.data import shared  # noqa: E402

torch.set_num_threads(1)
NARROW = {"v1": 32, "v2": 16, "v3": 16}  # channels; reach and structure are the published ones
ODD = Config(  # kernels twice and three times as long as their rates, a rate of one, one branch
    resblock="1",
    upsample_rates=(2, 1, 3),
    upsample_kernel_sizes=(6, 3, 3),
    upsample_initial_channel=16,
    resblock_kernel_sizes=(5,),
    resblock_dilation_sizes=((2,),),
    num_mels=8,
    n_fft=24,
    hop_size=6,
    win_size=24,
    sampling_rate=600.0,
    fmax=300.0,
)
CONFIGS = {
    name: msgspec.structs.replace(config, upsample_initial_channel=NARROW[name])
    for name, config in (("v1", V1), ("v2", V2), ("v3", V3))
} | {"odd": ODD}


def loud(config: Config, seed: int = 1) -> Generator:
    """Random weights whose sound is heard: biases too, so that an edge without its mask shows."""
    torch.manual_seed(seed)
    generator = Generator(config).eval().requires_grad_(False)
    for name, parameter in generator.named_parameters():
        parameter.mul_(1.6 if name.endswith("original0") else 1.0)
        if name.endswith("bias"):
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    return generator


def streamed(generator: Generator, mel: Any, frames: int) -> np.ndarray:
    """All that the stream says of frames (bands, T) and of what comes beyond, nothing dropped."""
    stream = StreamingGenerator(generator, frames)
    states, said = stream.initial_states(), []
    beyond = (
        frames - mel.shape[1] % frames + -(-generator.config.latency // generator.config.hop_size) + frames
    )
    rows = np.concatenate(
        (told(mel)[0], np.zeros((mel.shape[0] + 1, beyond // frames * frames), np.float32)), axis=1
    )
    for first in range(0, rows.shape[1] - frames + 1, frames):
        sound, *states = stream(torch.from_numpy(rows[None, :, first : first + frames]), *states)
        said.append(sound[0, 0].numpy())
    return np.concatenate(said)


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_after_the_other_is_the_whole_and_as_late_as_is_said(name: str, frames: int) -> None:
    config = CONFIGS[name]
    generator, rng = loud(config), np.random.default_rng(1)
    mel = spoken(config.num_mels, 12, rng)
    whole = generator(torch.from_numpy(mel)[None])[0, 0].numpy()
    assert np.abs(whole).max() > 0.05
    said = streamed(generator, mel, frames)
    late = config.latency
    np.testing.assert_allclose(said[late : late + whole.size], whole, atol=1e-5)
    for wrong in (late - 1, late + 1):
        assert np.abs(said[wrong : wrong + whole.size] - whole).max() > 1e-3


def test_the_published_latencies() -> None:
    assert [config.latency for config in (V1, V2, V3)] == [3258, 3258, 2582]
    assert [CONFIGS[name].latency for name in ("v1", "v2", "v3")] == [3258, 3258, 2582]


def test_without_its_masks_the_edges_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = loud(CONFIGS["v2"])
    mel = spoken(80, 30, np.random.default_rng(1))
    whole = generator(torch.from_numpy(mel)[None])[0, 0].numpy()
    seen = Presence.__call__
    monkeypatch.setattr(
        Presence, "__call__", lambda self, rate, late: torch.ones_like(seen(self, rate, late))
    )
    said = streamed(generator, mel, 3)[3258 : 3258 + whole.size]
    apart = np.abs(said - whole)
    assert apart[:3000].max() > 1e-3
    assert apart[-3000:].max() > 1e-3
    assert apart[3400:-3400].max() < 1e-5  # the interior needs none


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint of a narrow generator."""
    folder = tmp_path_factory.mktemp("generators")

    def write(name: str) -> Path:
        torch.save({"generator": official_state(loud(CONFIGS[name]))}, folder / name)
        return folder / name

    return write


@pytest.mark.parametrize(("name", "frames"), [("v2", 4), ("odd", 1)])
def test_an_exported_vocoder_is_the_generator_in_any_pieces(
    written: Callable[[str], Path], tmp_path: Path, name: str, frames: int
) -> None:
    exported = export_hifigan(written(name), CONFIGS[name], tmp_path / "x.onnx", frames=frames, runs=1)
    assert exported.error <= 1e-4
    assert exported.settings.latency == CONFIGS[name].latency
    vocoder = load_vocoder(exported.path)
    assert (vocoder.latency, vocoder.frames_per_step) == (CONFIGS[name].latency, frames)
    assert compare(vocoder, loud(CONFIGS[name]), runs=5, seed=7) <= 1e-4
    assert "HiFi-GAN" in vocoder.card


def test_what_does_not_stream_is_not_written(
    written: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = hifigan_stream.Lines.extended

    def forgetful(self: Any, x: Any, length: int) -> Any:
        long = seen(self, x, length)
        if length:
            self.after[-1] = torch.zeros_like(self.after[-1])
        return long

    monkeypatch.setattr(hifigan_stream.Lines, "extended", forgetful)
    with pytest.raises(ThresholdError, match="was not written"):
        export_hifigan(written("odd"), ODD, tmp_path / "x.onnx", runs=2)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_config_is_not_exported(
    written: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="does not fit its config"):
        export_hifigan(written("v2"), V2, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_official_v2_says_what_it_is_told(tmp_path: Path) -> None:
    """Copy synthesis, streamed: frames of a recording, and frames of what the stream makes of them."""
    import soundfile

    folder = shared("weights/hifigan_v2")
    out = tmp_path / "x.onnx"
    config = read_config(folder / "config_v2.json")
    exported = export_hifigan(folder / "generator_v2", config, out, frames=16, runs=1)
    assert exported.error <= 1e-4
    sound, rate = soundfile.read(shared("speech_ljspeech/LJ001-0002.wav"))
    mel, vocoder = mel_frames(sound[:22050], rate), load_vocoder(out)
    said = np.concatenate([*map(vocoder.push, pieces(mel, np.random.default_rng(1))), vocoder.finish()])
    assert said.size == mel.shape[1] * 256
    assert (
        np.abs(mel_frames(said, rate) - mel).mean() < 0.4
    )  # of a second; the mean over recordings: bench/vocoder.py
