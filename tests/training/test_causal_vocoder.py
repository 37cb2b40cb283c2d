"""The causal vocoder: step and whole, torch and NumPy, what waits for what, proper losses, training, export."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")
pytest.importorskip("onnxruntime", reason="running networks needs onnxruntime")
soundfile = pytest.importorskip("soundfile")

from rtsynth.errors import InputError, ThresholdError  # noqa: E402
from rtsynth.training import causal_export  # noqa: E402
from rtsynth.training.causal_corpus import Take, draw, stretch, take, takes  # noqa: E402
from rtsynth.training.causal_export import card, export_vocoder, held_out, sound_of  # noqa: E402
from rtsynth.training.causal_losses import energy_distance, pitch_loss  # noqa: E402
from rtsynth.training.causal_sound import Mel, filtered, sources  # noqa: E402
from rtsynth.training.causal_training import Recipe, Training, read_checkpoint, train  # noqa: E402
from rtsynth.training.causal_vocoder import CANDIDATES, CausalVocoder  # noqa: E402
from rtsynth.vocoder.excitation import HOP, RATE  # noqa: E402
from rtsynth.vocoder.inverse_stft import FIELDS, SourceFilter  # noqa: E402
from rtsynth.vocoder.mel import SILENT, mel_frames  # noqa: E402
from rtsynth.vocoder.stream import load_vocoder  # noqa: E402

SMALL = Recipe(
    width=16,
    blocks=2,
    pitch_width=16,
    pitch_blocks=1,
    pitch_updates=3,
    sound_updates=3,
    pitch_streams=2,
    pitch_frames=24,
    sound_streams=2,
    sound_frames=24,
    unheard=6,
)


def hum(seconds: float = 0.8, f0: float = 180.0) -> np.ndarray:
    """A voice that glides an octave, (n,) float32."""
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2.0 * np.pi * np.cumsum(f0 * 2.0 ** (t / seconds)) / RATE
    return (0.1 * sum(np.cos(h * phase) / h for h in range(1, 12))).astype(np.float32)


def recording(tmp_path: Path, name: str = "hum.wav", rate: int = 22050) -> Path:
    soundfile.write(tmp_path / name, hum(), rate)
    return tmp_path / name


@pytest.fixture(scope="module")
def network() -> CausalVocoder:
    torch.manual_seed(2)
    return SMALL.network().eval()


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    return mel_frames(hum(), RATE)


@pytest.fixture
def one() -> Take:
    samples = hum()[: 60 * HOP]
    ln_f0 = np.log(180.0 * 2.0 ** ((np.arange(60) + 1) * HOP / RATE / 0.8))
    return Take("hum", samples, ln_f0.astype(np.float32), np.ones(60, np.float32), RATE / 2, 1.0)


@torch.no_grad()
def test_frame_by_frame_it_says_what_it_says_at_once(network: CausalVocoder, spoken: np.ndarray) -> None:
    mel = torch.from_numpy(spoken)[None]
    whole, states, parts = network.whole(mel), network.initial_states(), []
    for first, last in ((0, 1), (1, 2), (2, 9), (9, 30), (30, mel.shape[2])):
        part, *states = network(mel[..., first:last], *states)
        parts.append(part)
    assert torch.cat(parts, dim=2).shape == (1, FIELDS, mel.shape[2])
    torch.testing.assert_close(torch.cat(parts, dim=2), whole, atol=1e-5, rtol=1e-5)


def test_no_sample_waits_for_more_than_256_samples_of_frames(
    network: CausalVocoder, spoken: np.ndarray
) -> None:
    before = sound_of(network, spoken)
    for frame in (5, 20, 41):
        changed = spoken.copy()
        changed[:, frame] += 1.0
        moved = np.flatnonzero(sound_of(network, changed) != before)
        # the window of frame k begins at sample 256 (k - 1), with the weight 0
        assert HOP * (frame - 1) < moved[0] <= HOP * (frame - 1) + 8
        assert moved[0] > HOP * frame - SourceFilter.latency


def test_the_sound_to_train_on_is_the_sound_that_is_played(
    network: CausalVocoder, spoken: np.ndarray
) -> None:
    with torch.no_grad():
        said = network.whole(torch.from_numpy(spoken)[None])
        f0 = said[:, 0].exp()
        noise = np.random.Generator(np.random.Philox(0)).standard_normal(f0.shape[1] * HOP)
        heard = sources(f0, f0[:, 0], torch.zeros(1).double(), torch.from_numpy(noise)[None].float())
        sound = filtered(said[:, 1:], heard)[0].numpy()
    played = SourceFilter(0).step(said.numpy())
    assert np.abs(played).max() > 0.1
    np.testing.assert_allclose(
        sound, played, atol=2e-3 * np.abs(played).max()
    )  # f0 in float32: its phase adds up


def test_mel_frames_in_torch_are_those_of_the_vocoder() -> None:
    samples = hum()[: 40 * HOP]
    padded = torch.from_numpy(np.pad(samples, 384, mode="reflect"))[None]
    np.testing.assert_allclose(Mel()(padded)[0].numpy(), mel_frames(samples, RATE), atol=1e-3)


def test_an_untrained_network_is_a_channel_vocoder(network: CausalVocoder, spoken: np.ndarray) -> None:
    """The level of the sound is there before anything is learned, and silence is silent whatever is learned."""
    said = mel_frames(sound_of(network, spoken), RATE)
    assert abs(float(np.mean(said[:, 2:-2] - spoken[:, 2:-2]))) < 1.5
    with torch.no_grad():
        loudest = network.whole(torch.full((1, 80, 4), SILENT))[0, 1:]
    assert float(loudest[:257].max()) < SILENT + 6.3


@torch.no_grad()
def test_without_a_voice_the_pulses_become_noise_of_their_power(
    network: CausalVocoder, spoken: np.ndarray
) -> None:
    network = copy.deepcopy(network)
    network.filters.embed.weight[:, -1] = 0.0  # so that voicing is heard by the gate alone
    mel = torch.from_numpy(spoken)[None]
    ln_f0 = torch.full((1, 1, mel.shape[2]), math.log(200.0))

    def powers(voiced: float) -> torch.Tensor:
        said = network.filtering(lambda layer, x: layer.whole(x), mel, ln_f0, torch.full_like(ln_f0, voiced))
        level, _, steady, beside = said.split(257, dim=1)
        return torch.stack([(2.0 * gain).exp().sum() for gain in (level, steady, beside)])

    voice, none = powers(1.0), powers(0.0)
    assert float(voice.sum()) == pytest.approx(float(none.sum()), rel=1e-4)
    assert float(none[0]) < 1e-3 * float(voice[0])
    assert float(none[2]) < 1e-3 * float(voice[2])


def test_the_likeliest_fundamental_is_the_mean_around_the_peak(network: CausalVocoder) -> None:
    logits = torch.full((1, CANDIDATES, 2), -9.0)
    logits[0, 40, 0] = logits[0, 41, 0] = 9.0  # between two neighbours
    logits[0, 100, 1], logits[0, 20, 1] = 9.0, 8.5  # and not between two octaves
    found = network.likeliest(logits)[0, 0]
    assert float(found[0]) == pytest.approx(float(network.grid[40:42].mean()), abs=1e-4)
    assert float(found[1]) == pytest.approx(float(network.grid[100]), abs=1e-4)


def test_the_fundamental_costs_least_where_it_is(network: CausalVocoder) -> None:
    ln_f0, voiced = torch.full((1, 3), math.log(200.0)), torch.tensor([[1.0, 1.0, 0.0]])
    costs = []
    for f0 in (190.0, 200.0, 210.0, 400.0):
        logits = -0.5 * ((network.grid - math.log(f0)) / 0.02).square().expand(CANDIDATES, 3)
        said = torch.cat([logits, torch.zeros(1, 3)])[None]
        costs.append(float(pitch_loss(said, network.grid, ln_f0, voiced)[0]))
    assert np.argmin(costs) == 1
    # a frame without voice does not count
    moved = said.clone()
    moved[:, :CANDIDATES, 2] = 3.0
    assert float(pitch_loss(moved, network.grid, ln_f0, voiced)[0]) == pytest.approx(costs[-1])


@pytest.mark.parametrize(("repulsion", "proper"), [(1.0, True), (0.0, False)])
def test_the_energy_distance_is_least_for_the_right_noise(repulsion: float, proper: bool) -> None:
    """A tone in noise: without the distance of two draws, less noise than there is seems best. Fixed seeds."""
    shares = (0.8, 0.9, 1.0, 1.1)
    generator, costs = torch.Generator().manual_seed(1), []
    tone = 0.05 * torch.cos(2.0 * torch.pi * 1000.0 / RATE * torch.arange(12 * HOP))

    def drawn(share: float) -> torch.Tensor:
        return tone + share * 0.05 * torch.randn(24, 12 * HOP, generator=generator)

    top = torch.full((24,), RATE)
    for share in shares:
        costs.append(float(energy_distance(drawn(share), drawn(share), drawn(1.0), top, repulsion)))
    assert (shares[int(np.argmin(costs))] == 1.0) is proper


def test_what_a_recording_cannot_hold_does_not_count() -> None:
    generator = torch.Generator().manual_seed(1)
    low, high = (
        0.1 * torch.cos(f / RATE * 2.0 * torch.pi * torch.arange(16 * HOP))[None] for f in (300.0, 9000.0)
    )
    hiss = low + high + 1e-9 * torch.randn(1, 16 * HOP, generator=generator)
    quiet = energy_distance(hiss, hiss, low, torch.tensor([6000.0]))
    heard = energy_distance(hiss, hiss, low, torch.tensor([RATE / 2]))
    assert float(quiet) < 0.2 * float(heard)


def test_a_take_knows_its_fundamental(tmp_path: Path) -> None:
    one = take(recording(tmp_path))
    true = np.log(180.0 * 2.0 ** ((np.arange(one.frames) + 1) * HOP / RATE / 0.8))
    inner = slice(6, -8)
    assert one.voiced[inner].all()
    assert np.abs(one.ln_f0 - true)[inner].max() < 0.02
    assert one.top == RATE / 2
    slow = take(recording(tmp_path, "slow.wav", 16000), speed=0.5)
    assert slow.top == 4000.0


def test_stretches_are_cut_where_they_say(one: Take) -> None:
    batch = stretch(one, 3, 10)
    assert np.array_equal(batch.heard[384:-384].numpy(), one.samples[3 * HOP : 13 * HOP])
    beyond = stretch(one, 55, 10)
    assert not beyond.heard[384 + 5 * HOP :].any()
    assert beyond.voiced.tolist() == [1.0] * 5 + [0.0] * 5
    before = stretch(one, -3, 10)
    assert not before.heard[: 384 + 3 * HOP].any()
    drawn = draw([one], 3, 10, np.random.default_rng(1))
    assert drawn.heard.shape == (3, 768 + 10 * HOP)
    assert drawn.wanted.shape == (3, 10 * HOP)


def test_training_goes_on_where_it_was(tmp_path: Path, one: Take) -> None:
    through = Training(SMALL)
    train(through, [one])
    broken = Training(SMALL)
    for _ in range(4):
        broken.step([one])
    broken.save(tmp_path / "v.pt")
    resumed = Training.resume(tmp_path / "v.pt")
    train(resumed, [one], checkpoint=tmp_path / "v.pt")
    for (name, a), b in zip(
        through.averaged.state_dict().items(), resumed.averaged.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    assert read_checkpoint(tmp_path / "v.pt")["update"] == SMALL.updates


def test_each_part_trains_its_own_weights(one: Take) -> None:
    training = Training(SMALL)
    begun = {name: value.clone() for name, value in training.network.state_dict().items()}

    def moved() -> set[str]:
        now = training.network.state_dict()
        return {name.partition(".")[0] for name in now if not torch.equal(now[name], begun[name])}

    for _ in range(SMALL.pitch_updates):
        training.step([one])
    assert moved() == {"pitch"}
    begun = {name: value.clone() for name, value in training.network.state_dict().items()}
    training.step([one])
    assert moved() == {"filters"}


def test_the_sound_gets_nearer(one: Take) -> None:
    training = Training(replace(SMALL, pitch_updates=1, sound_updates=30, average=0.8))
    losses = [training.step([one])["total"] for _ in range(31)][1:]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


def test_a_short_recipe_keeps_its_proportions() -> None:
    assert Recipe.of(None, 3) == Recipe(seed=3)
    short = Recipe.of(12, 1)
    assert (short.updates, short.pitch_updates) == (12, 4)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "v.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"no checkpoint"):
        Training.resume(path)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    training = Training(SMALL)
    training.save(tmp_path / "v.pt")
    state = torch.load(tmp_path / "v.pt", weights_only=True)
    torch.save(state | {"recipe": asdict(replace(SMALL, width=24))}, tmp_path / "v.pt")
    with pytest.raises(InputError, match="no checkpoint of a causal vocoder"):
        Training.resume(tmp_path / "v.pt")


def test_the_file_is_the_network(tmp_path: Path, network: CausalVocoder, spoken: np.ndarray) -> None:
    written = export_vocoder(network, tmp_path / "v.onnx", card="made for a test", runs=2)
    assert written.error <= 1e-5
    vocoder = load_vocoder(tmp_path / "v.onnx")
    assert (vocoder.latency, vocoder.frames_per_step, vocoder.sample_rate) == (256, 1, 22050.0)
    assert vocoder.card == "made for a test"
    whole = vocoder.vocode(spoken)
    assert whole.size == HOP * spoken.shape[1]
    parts = [vocoder.push(part) for part in np.split(spoken, (0, 1, 7, 7, 30), axis=1)]
    assert sum(part.size for part in parts) == whole.size - vocoder.latency
    assert np.array_equal(np.concatenate([*parts, vocoder.finish()]), whole)


def test_a_file_that_is_not_the_network_is_not_written(
    tmp_path: Path, network: CausalVocoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causal_export.SourceFilter, "latency", HOP - 1)  # a sample too early
    with pytest.raises(ThresholdError, match="was not written"):
        export_vocoder(network, tmp_path / "v.onnx", runs=1)
    assert not (tmp_path / "v.onnx").exists()


def test_figures_and_card(tmp_path: Path) -> None:
    training = Training(SMALL)
    found = held_out(training.averaged, [recording(tmp_path)])
    assert 0.0 < found.mel_l1 < 3.0
    assert found.cents > 0.0
    text = card(training, ["ours"], found)
    assert "- ours" in text
    assert f"mel L1 {found.mel_l1:.3f}" in text


def test_takes_are_weighted_by_where_they_are_from(tmp_path: Path) -> None:
    found = takes([recording(tmp_path)], [recording(tmp_path, "other.wav")])
    named = {one.name: one.weight for one in found}
    assert named["hum@1"] > named["other@1"] > 0.0
    assert len(found) == 8
