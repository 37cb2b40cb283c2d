"""HiFi-GAN's networks, losses and training against the paper, the original's names, and an obvious version of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.nn import functional  # noqa: E402

from rtsynth.errors import InputError, UsageError  # noqa: E402
from rtsynth.training.hifigan import Generator, folded  # noqa: E402
from rtsynth.training.hifigan_corpus import Clip, draw, load, read_mel  # noqa: E402
from rtsynth.training.hifigan_discriminators import PERIODS, MultiPeriod, MultiScale, Opinion  # noqa: E402
from rtsynth.training.hifigan_files import load_official, official_state  # noqa: E402
from rtsynth.training.hifigan_losses import (  # noqa: E402
    FEATURES,
    MEL,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
)
from rtsynth.training.hifigan_training import Training, held_out_error, train  # noqa: E402
from rtsynth.vocoder.checkpoint import generator_weights, read_checkpoint  # noqa: E402
from rtsynth.vocoder.hifigan import V1, V2, V3, Config  # noqa: E402

torch.set_num_threads(1)

SMALL = msgspec.structs.replace(V2, upsample_initial_channel=16)
TINY = Config(
    resblock="2",
    upsample_rates=(4, 4),
    upsample_kernel_sizes=(8, 8),
    upsample_initial_channel=8,
    resblock_kernel_sizes=(3,),
    resblock_dilation_sizes=((1, 2),),
    num_mels=8,
    n_fft=64,
    hop_size=16,
    win_size=64,
    sampling_rate=8000.0,
    fmax=4000.0,
    segment_size=512,
    batch_size=2,
    seed=3,
)


def count(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("config", "plain", "normed"),
    [(V1, 13_926_017, 13_936_130), (V2, 925_985, 928_514), (V3, 1_462_273, 1_464_322)],
)
def test_generators_have_the_published_sizes(config: Config, plain: int, normed: int) -> None:
    with torch.device("meta"):
        assert count(Generator(config, normed=False)) == plain
    assert count(Generator(config)) == normed


def test_discriminators_have_the_published_sizes() -> None:
    assert count(MultiPeriod()) == 41_105_770
    assert count(MultiScale()) == 29_618_821


def obvious_generator(weights: dict[str, Any], config: Config, mel: Any) -> Any:
    """The paper's figure 1, layer by layer, from weights by name."""

    def conv(x: Any, name: str, dilation: int = 1) -> Any:
        weight, bias = (torch.from_numpy(weights[f"{name}.{kind}"].copy()) for kind in ("weight", "bias"))
        reach = (weight.shape[2] - 1) // 2 * dilation
        return functional.conv1d(functional.pad(x, (reach, reach)), weight, bias, dilation=dilation)

    x, block = conv(mel, "conv_pre"), 0
    for stage, (rate, taps) in enumerate(
        zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True)
    ):
        weight = torch.from_numpy(weights[f"ups.{stage}.weight"].copy())
        x = functional.conv_transpose1d(torch.where(x > 0, x, 0.1 * x), weight, stride=rate)
        cut = (taps - rate) // 2
        x = x[..., cut : x.shape[-1] - cut] + torch.from_numpy(weights[f"ups.{stage}.bias"].copy())[:, None]
        total = 0.0
        for dilations in config.resblock_dilation_sizes:
            y = x
            for place, dilation in enumerate(dilations):
                z = torch.where(y > 0, y, 0.1 * y)
                if config.resblock == "1":
                    z = conv(z, f"resblocks.{block}.convs1.{place}", dilation)
                    z = conv(torch.where(z > 0, z, 0.1 * z), f"resblocks.{block}.convs2.{place}")
                else:
                    z = conv(z, f"resblocks.{block}.convs.{place}", dilation)
                y = y + z
            total, block = total + y, block + 1
        x = total / len(config.resblock_dilation_sizes)
    return torch.tanh(conv(torch.where(x > 0, x, 0.01 * x), "conv_post"))


@pytest.mark.parametrize("config", [SMALL, msgspec.structs.replace(V3, upsample_initial_channel=16)])
def test_the_generator_is_the_obvious_one(config: Config, tmp_path: Path) -> None:
    torch.manual_seed(1)
    generator = Generator(config)
    mel = torch.randn(1, 80, 6)
    torch.save({"generator": official_state(generator)}, tmp_path / "g")
    weights = generator_weights(tmp_path / "g", config)
    with torch.no_grad():
        said = generator(mel)
        assert said.shape == (1, 1, 6 * 256)
        wanted = obvious_generator(weights, config, mel)
        torch.testing.assert_close(said, wanted, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(folded(weights, config)(mel), wanted, rtol=1e-4, atol=1e-6)


# --- names and order --------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # the original's functions are of old
def test_names_and_order_are_the_originals() -> None:
    """torch's older weight and spectral norm, which the original used, still say how they call things."""
    conv = torch.nn.Conv1d
    for old, new in (
        (torch.nn.utils.weight_norm, torch.nn.utils.parametrizations.weight_norm),
        (torch.nn.utils.spectral_norm, torch.nn.utils.parametrizations.spectral_norm),
    ):
        then, now = (torch.nn.ModuleDict({"convs": norm(conv(3, 4, 5))}) for norm in (old, new))
        assert set(official_state(now)) == set(then.state_dict())
        shapes = [[tuple(p.shape) for p in module.parameters()] for module in (then, now)]
        assert shapes[0] == shapes[1]
        arrays = {name: tensor.numpy() for name, tensor in then.state_dict().items()}
        load_official(now, arrays, "it")
        x = torch.randn(2, 3, 9)
        torch.testing.assert_close(now.eval()["convs"](x), then.eval()["convs"](x))
    names = list(official_state(Generator(SMALL)))
    assert names[:3] == ["conv_pre.bias", "conv_pre.weight_g", "conv_pre.weight_v"]
    assert "resblocks.11.convs2.2.weight_v" in names
    msd = official_state(MultiScale(8))
    assert {"discriminators.0.convs.0.weight_orig", "discriminators.1.conv_post.weight_g"} <= set(msd)


# --- discriminators and losses ----------------------------------------------------------------------------------------


def test_a_period_discriminator_hears_each_phase_for_itself() -> None:
    torch.manual_seed(1)
    sound = torch.randn(1, 1, 2310)  # nothing to be filled by reflection
    for period, judge in zip(PERIODS, MultiPeriod(8).discriminators, strict=True):
        other = sound.clone()
        other[..., 2::period] += 1.0  # one column of the folded sound
        with torch.no_grad():
            apart = (judge(sound).features[0] - judge(other).features[0]).abs().amax(dim=(0, 1, 2))
        changed = torch.zeros(period, dtype=torch.bool)
        changed[2 % period] = True
        assert torch.equal(apart > 1e-6, changed)


def test_scores_are_of_the_right_sizes() -> None:
    sound = torch.randn(2, 1, 1000)
    thinned = {
        period: -(-1000 // period) for period in PERIODS
    }  # rows of the folded sound, then every third ...
    for _ in range(4):
        thinned = {period: -(-rows // 3) for period, rows in thinned.items()}
    shapes = [tuple(opinion.scores.shape) for opinion in MultiPeriod(8)(sound)]
    assert shapes == [(2, rows * period) for period, rows in thinned.items()]
    assert [len(opinion.features) for opinion in MultiPeriod(8)(sound)] == [6] * 5
    scales = MultiScale(8)(sound)
    assert [len(opinion.features) for opinion in scales] == [8] * 3
    assert [opinion.features[0].shape[-1] for opinion in scales] == [1000, 501, 251]


def test_losses_are_those_of_the_paper() -> None:
    def opinion(*scores: float) -> Opinion:
        tensor = torch.tensor([scores])
        return Opinion(tensor, [2.0 * tensor, tensor])

    real, made = [opinion(1.0, 0.5), opinion(0.0, 0.0)], [opinion(0.5, 0.0), opinion(1.0, 1.0)]
    assert float(discriminator_loss(real, made)) == pytest.approx(0.125 + 0.125 + 1.0 + 1.0)
    assert float(adversarial_loss(made)) == pytest.approx((0.25 + 1.0) / 2)
    assert float(feature_loss(real, made)) == pytest.approx(3 * 0.5 + 3 * 1.0)
    assert (FEATURES, MEL) == (2.0, 45.0)


# --- training ---------------------------------------------------------------------------------------------------------


def clips(config: Config = TINY) -> list[Clip]:
    rng = np.random.default_rng(1)
    time = np.arange(4000) / config.sampling_rate
    return [
        Clip(
            str(n),
            (0.4 * np.sin(2 * np.pi * 200 * (n + 1) * time) + 0.01 * rng.normal(size=4000)).astype(
                np.float32
            ),
        )
        for n in range(5)
    ]


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = Training(TINY, thinner=8)
    ends = [whole.step(clips()) for _ in range(3)]
    first = Training(TINY, thinner=8)
    train(first, clips(), 2, tmp_path, every=100)
    second = Training(TINY, thinner=8)
    torch.manual_seed(99)
    second.resume(tmp_path)
    assert (second.steps, second.epoch, second.place) == (2, 0, 2)
    path = train(second, clips(), 3, tmp_path, every=100)
    assert path.name == "g_00000002"
    assert (second.epoch, second.place) == (1, 0)
    for mine, other in (
        (whole.generator, second.generator),
        (whole.msd, second.msd),
        (whole.mpd, second.mpd),
    ):
        for name, tensor in mine.state_dict().items():
            assert torch.equal(tensor, other.state_dict()[name]), name
    assert second.step(clips()) == whole.step(clips())
    assert ends[0].keys() == {"discriminators", "generator", "adversarial", "features", "mel"}
    rest = read_checkpoint(tmp_path / "do_00000002")
    assert set(rest) == {"mpd", "msd", "optim_g", "optim_d", "steps", "epoch", "batch"}
    assert rest["steps"] == 2
    assert rest["optim_g"]["param_groups"][0]["initial_lr"] == 2e-4
    with pytest.raises(UsageError, match="3 steps are done"):
        train(resumed(tmp_path), clips(), 3, tmp_path)


def resumed(folder: Path) -> Training:
    training = Training(TINY, thinner=8)
    training.resume(folder)
    return training


def test_the_generator_learns(tmp_path: Path) -> None:
    training = Training(msgspec.structs.replace(TINY, learning_rate=1e-2), thinner=8)
    before = held_out_error(training.generator, clips()[:1])
    for _ in range(6):
        training.step(clips())
    assert held_out_error(training.generator, clips()[:1]) < 0.7 * before


def test_a_generator_alone_begins_a_fine_tuning(tmp_path: Path) -> None:
    torch.manual_seed(5)
    donor = Generator(TINY)
    torch.save({"generator": official_state(donor)}, tmp_path / "generator_v9")
    training = Training(TINY, thinner=8)
    training.resume(tmp_path / "generator_v9")
    assert training.steps == 0
    for name, tensor in donor.state_dict().items():
        assert torch.equal(training.generator.state_dict()[name], tensor)
    with pytest.raises(InputError, match="no checkpoint g_"):
        training.resume(tmp_path)
    other = Training(msgspec.structs.replace(TINY, upsample_initial_channel=16), thinner=8)
    with pytest.raises(InputError, match=r"conv_pre.bias is \(8,\)"):
        other.resume(tmp_path / "generator_v9")


def test_stretches_and_their_frames_are_of_one_place(tmp_path: Path) -> None:
    from rtsynth.vocoder.mel import mel_frames

    clip = clips()[0]
    whole = mel_frames(clip.samples, TINY.sampling_rate, TINY.mel)
    batch = draw([clip._replace(mel=whole), clip], TINY, np.random.default_rng(2))
    assert batch.mel.shape == (2, 8, 32)
    assert batch.sound.shape == (2, 1, 512)
    (place,) = (
        n for n in range(0, 4000 - 512, 16) if np.array_equal(clip.samples[n : n + 512], batch.sound[0, 0])
    )
    np.testing.assert_array_equal(batch.mel[0], whole[:, place // 16 : place // 16 + 32])
    own = mel_frames(batch.sound[1, 0].numpy(), TINY.sampling_rate, TINY.mel)
    np.testing.assert_array_equal(batch.mel[1], own)
    short = draw([Clip("x", clip.samples[:100])], TINY, np.random.default_rng(2))
    assert not short.sound[0, 0, 100:].any()


def test_recordings_are_levelled_but_not_for_fine_tuning(tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "a.wav"
    soundfile.write(path, 0.2 * np.sin(np.arange(4000)), 8000, subtype="FLOAT")
    assert np.abs(load([path], TINY)[0].samples).max() == pytest.approx(0.95)
    np.save(tmp_path / "a.npy", np.zeros((1, 8, 250), np.float32))
    tuned = load([path], TINY, tmp_path)[0]
    assert np.abs(tuned.samples).max() == pytest.approx(0.2, abs=1e-3)
    assert tuned.mel is not None
    assert tuned.mel.shape == (8, 250)
    np.save(tmp_path / "b.npy", np.zeros((250, 9)))
    for name in ("b", "none"):
        with pytest.raises(InputError):
            read_mel(tmp_path / f"{name}.npy", 8)
