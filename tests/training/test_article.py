"""The published codec: its shapes and counts, what it hears, its measured defects and their mends, its training."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import hilbert

torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")

from rtsynth.errors import InputError  # noqa: E402
from rtsynth.training.article import (  # noqa: E402
    ARTICLE,
    DIMENSIONS,
    SMALL,
    Encoder,
    Size,
    occupy,
    pick,
    spectrogram,
)
from rtsynth.training.article_corpus import prepared, windows  # noqa: E402
from rtsynth.training.article_fourier import Fast  # noqa: E402
from rtsynth.training.article_generator import Generator, tiled, wavetable  # noqa: E402
from rtsynth.training.article_loss import (  # noqa: E402
    VECTOR_PRICE,
    Adversary,
    article_loss,
    features,
    mended_loss,
    weighted,
)
from rtsynth.training.article_model import Article, Decomposition, delayed, placed  # noqa: E402
from rtsynth.training.article_training import Recipe, Training, as_published, train  # noqa: E402
from tests.training.article_sounds import PUBLISHED, TINY, words  # noqa: E402


def count(module: torch.nn.Module, prefix: str = "") -> int:
    return sum(p.numel() for name, p in module.named_parameters() if name.startswith(prefix))


# ---- the article's figures ----


def test_the_published_size_has_the_published_parameters() -> None:
    """Counted without memory. What the original carries and never uses is not here: 8770 numbers, listed."""
    with torch.device("meta"):
        model, adversary = Article(ARTICLE), Adversary(ARTICLE)
    dead_norms, dead_schedule, dead_head = 8 * 1024, 512, 2 * (DIMENSIONS + 1)
    heads = count(model.encoder, "vectors") + count(model.encoder, "switch")
    assert count(model.encoder) - heads + dead_norms == 9_200_640
    assert heads == 16_929
    assert count(model.generator, "heads.") + dead_head == 566_478
    assert count(model.generator, "tables.") + dead_schedule == 4_444_672
    assert count(model) + dead_norms + dead_schedule + dead_head == 14_228_719
    assert count(adversary) == 428_289


def test_the_published_front_and_features_have_the_published_shapes() -> None:
    sound = torch.zeros(1, ARTICLE.window)
    assert spectrogram(sound, ARTICLE).shape == (1, 1024, 512)
    assert features(sound, ARTICLE).shape == (1, 1_354_664)
    assert ARTICLE.look_ahead == 34_816
    assert ARTICLE.window / ARTICLE.rate == pytest.approx(5.944, abs=1e-3)


def test_the_small_size_is_small() -> None:
    assert count(Article(SMALL)) < 400_000  # two bytes each when exported
    assert SMALL.frames == 256
    assert SMALL.event + SMALL.burst + SMALL.taps == 1 << 14


def test_the_front_is_the_transform_written_out() -> None:
    rng = np.random.default_rng(3)
    sound = rng.standard_normal(TINY.window)
    found = spectrogram(torch.from_numpy(sound), TINY).numpy()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    for frame in (0, 5, 63):
        part = np.concatenate([sound, np.zeros(2048)])[256 * frame : 256 * frame + 2048]
        meant = np.fft.rfft(part * window)[:1024] / math.sqrt(2048)
        np.testing.assert_allclose(found[:, frame], meant, atol=1e-5)
    onset = torch.zeros(TINY.window)
    onset[256 * 20 + 1 :] = 1.0
    heard = spectrogram(onset, TINY).abs().sum(dim=0)
    assert heard[12] == 0.0  # an onset at sample 256 i shows from frame i - 7 on
    assert heard[13] > 0.0


# ---- what the encoder hears ----


def test_the_encoder_hears_128_frames_ahead_and_none_behind() -> None:
    torch.manual_seed(1)
    encoder = Encoder(TINY).double()
    residual = torch.rand(1, TINY.bins, 300, dtype=torch.float64)
    before = encoder(residual)[1][0]
    for changed in (0, 127, 128, 200, 299):
        other = residual.clone()
        other[:, :, changed] += 10.0
        moved = (encoder(other)[1][0] != before).nonzero()
        assert (int(moved[0]), int(moved[-1])) == (max(0, changed - 128), changed)


def test_the_switch_depends_on_the_stated_look_ahead_of_samples() -> None:
    torch.manual_seed(1)
    size = replace(TINY, window=1 << 16)
    encoder = Encoder(size).double()
    sound = torch.rand(1, size.window, dtype=torch.float64)
    frame = 40

    def switch(changed: int) -> float:
        other = sound.clone()
        other[0, changed] += 1e6  # the Hann window's last sample is 2e-6
        return float(encoder(spectrogram(other, size).abs())[1][0, frame].detach())

    first, last = frame * size.hop, frame * size.hop + size.look_ahead - 1
    assert size.look_ahead == 34_816
    assert switch(first + 1) != switch(0) == switch(first - 1)
    assert switch(last) != switch(0) == switch(last + 1)


def test_a_pick_is_the_highest_free_switch() -> None:
    switch = torch.tensor([[0.5, 3.0, 2.0, 9.0, 0.0]])
    vectors = torch.arange(5.0).expand(1, DIMENSIONS, 5)
    free = torch.tensor([[1.0, 1.0, 1.0, 0.0, 1.0]])
    frames, amplitudes, chosen = pick(vectors, switch, free)
    assert (int(frames), float(amplitudes)) == (1, 3.0)
    assert torch.equal(chosen, torch.ones(1, 1, DIMENSIONS))
    assert occupy(free, frames, 1).tolist() == [[0.0, 0.0, 0.0, 0.0, 1.0]]
    assert torch.equal(occupy(free, frames, 0), free)
    assert float(pick(vectors, switch, 0.0 * free)[1]) == 0.0


# ---- the resonances' defect and its mend ----


def steadiness(advance: float, wave_bin: int) -> float:
    """Least over largest envelope of one bin's cosine, of the analytic signal."""
    spectrum = torch.zeros(1025)
    spectrum[wave_bin] = 1.0
    wave = wavetable(Fast(), spectrum, 1 << 16, advance).double().numpy()
    envelope = np.abs(hilbert(wave))[8192:-8192]
    return float(envelope.min() / envelope.max())


@pytest.mark.parametrize(("wave_bin", "measured"), [(21, 0.03), (101, 0.15), (401, 0.58)])
def test_published_resonances_beat_and_mended_ones_do_not(wave_bin: int, measured: float) -> None:
    assert steadiness(math.pi / 1024, wave_bin) == pytest.approx(measured, abs=0.03)
    assert steadiness(math.pi, wave_bin) > 0.99


def test_tiles_are_overlapped_frames_that_turn_by_pi() -> None:
    """The short cut against the long way, beyond the first Hann's rise."""
    spectra = torch.rand(3, 1025)
    slow = wavetable(Fast(), spectra, 12_000, math.pi)
    quick = tiled(Fast(), (spectra, torch.zeros_like(spectra)), 12_000)
    torch.testing.assert_close(quick[:, 1024:], slow[:, 1024:], atol=1e-4, rtol=0.0)


# ---- the generator ----


@pytest.mark.parametrize("size", [TINY, PUBLISHED])
def test_the_generator_is_its_stages_written_out(size: Size) -> None:
    """Every convolution as a sum over time, float64, against the transforms."""
    torch.manual_seed(4)
    generator = Generator(size)
    vector, noise = torch.randn(1, DIMENSIONS), 2.0 * torch.rand(1, size.burst) - 1.0
    with torch.no_grad():
        wave, shift = generator(vector, noise)
        said = {n: h(vector)[0] for n, h in generator.heads.items()}
        ringing = (
            (generator.resonances({n: said[n].reshape(1, 4, -1) for n in said if "reson" in n}))[0]
            .double()
            .numpy()
        )
    t = {name: table.detach().double().numpy() for name, table in generator.tables.items()}
    h = {name: head.double().numpy() for name, head in said.items()}

    def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    def mixed(name: str, table: np.ndarray) -> np.ndarray:
        logits = h[name].reshape(-1, len(table))
        positive = np.maximum(logits, 0.0)
        weights = (
            positive / np.linalg.norm(positive, axis=1, keepdims=True) if size.mended else softmax(logits)
        )
        return weights @ table

    def stretched(x: np.ndarray, samples: int) -> np.ndarray:
        places = (np.arange(samples) + 0.5) * x.shape[-1] / samples - 0.5
        return np.stack([np.interp(places, np.arange(x.shape[-1]), row) for row in x])

    def unit(x: np.ndarray) -> np.ndarray:
        return x / np.linalg.norm(x) if size.mended else x

    burst = (
        0.02 * noise[0].double().numpy() * stretched(mixed("envelopes", t["envelopes"] ** 2), size.burst)[0]
    )
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(size.taps) / size.taps)
    x = np.zeros(size.event)
    moving = [
        stretched(softmax(mixed(n, t[n]).reshape(4, -1), axis=0), size.event)
        for n in ("noise_deformations", "deformations")
    ]
    for f, share in zip(mixed("noise_filters", t["filters"]), moving[0], strict=True):
        coloured = np.convolve(burst, f * hamming)[: size.event]
        x[: coloured.size] += coloured * share[: coloured.size]
    factors = 0.5 + 0.5 / (1.0 + np.exp(-mixed("decays", t["decays"])))
    left = stretched(np.cumprod(factors, axis=-1), size.event)[0]
    y = sum(
        np.convolve(x, r * left)[: size.event] * share for r, share in zip(ringing, moving[1], strict=True)
    )
    dry, wet = softmax(h["mixes"])
    meant = unit(dry * unit(x) + wet * unit(y)) * (1.0 if size.mended else abs(h["amplitudes"][0]))
    np.testing.assert_allclose(wave[0].numpy(), meant, atol=2e-5 * np.abs(meant).max())
    assert float(shift) == pytest.approx(256 * math.tanh(h["fine"][0]), abs=1e-3)


def test_an_event_that_is_delayed_is_the_same_event_later() -> None:
    n = torch.arange(4000.0)
    swell = torch.exp(-(((n - 2000.0) / 300.0) ** 2)) * torch.cos(0.3 * n)
    late = delayed(swell, torch.tensor(100.25), 512)
    at = torch.arange(4512.0) - 100.25
    meant = torch.exp(-(((at - 2000.0) / 300.0) ** 2)) * torch.cos(0.3 * at)
    torch.testing.assert_close(late, meant, atol=1e-4, rtol=0.0)


def test_events_lie_where_their_frames_and_shifts_say() -> None:
    waves = torch.zeros(1, 3, TINY.event)
    waves[..., 0] = 1.0
    frames, shifts = torch.tensor([[0, 7, 63]]), torch.tensor([[3.0, -256.0, 255.0]])
    sounds = placed(waves, frames, shifts, TINY)
    peaks = sounds.abs().amax(dim=-1), sounds.abs().argmax(dim=-1)
    assert peaks[1].tolist() == [[3, 7 * 256 - 256, 63 * 256 + 255]]
    torch.testing.assert_close(peaks[0], torch.ones(1, 3), atol=1e-4, rtol=0.0)
    assert (
        placed(waves[:, :1], frames[:, :1], torch.tensor([[-3.0]]), TINY).abs().max() < 1e-3
    )  # before the window


# ---- losses ----


def decomposed(sounds: torch.Tensor) -> Decomposition:
    """(B, K, n) as a decomposition that says nothing else."""
    ones = torch.ones(sounds.shape[:2])
    return Decomposition(ones.long(), ones, ones, torch.zeros(*ones.shape, DIMENSIONS), sounds, ones)


def test_the_published_loss_telescopes() -> None:
    """Σ (‖r_k‖ - ‖r_{k-1}‖) written out, loudest first, is what is computed at once."""
    torch.manual_seed(2)
    target, sounds = torch.randn(1, TINY.window), 0.3 * torch.randn(1, 4, TINY.window)
    made = [features(sound, TINY) for sound in sounds.unbind(dim=1)]
    made.sort(key=lambda f: -float(f.abs().sum()))
    left, steps = features(weighted(target), TINY), 0.0
    for one in made:
        steps += float((left - one).abs().sum() - left.abs().sum())
        left = left - one
    found = replace(decomposed(sounds), vectors=torch.ones(1, 4, DIMENSIONS))
    assert float(article_loss(found, target, TINY)) == pytest.approx(
        steps + VECTOR_PRICE * 4 * DIMENSIONS, rel=1e-4
    )


def test_antiphase_events_cost_nothing_as_published_and_much_when_mended() -> None:
    """Two halves of which one is upside down are silence, whose magnitudes nevertheless add up to the target's."""
    torch.manual_seed(2)
    target = weighted(torch.randn(1, TINY.window))
    fair = decomposed(torch.stack([target / 2, target / 2], dim=1))
    silent = decomposed(torch.stack([target / 2, -target / 2], dim=1))
    scale = float(features(target, TINY).abs().sum())
    assert abs(float(article_loss(silent, target, TINY) - article_loss(fair, target, TINY))) < 1e-4 * scale
    assert float(mended_loss(silent, target)) > float(mended_loss(fair, target)) + 1.0


# ---- training ----


def brief(size: Size = TINY, **fields: object) -> Recipe:
    return replace(Recipe(size, updates=4, windows=1, together=2, alone=0.5), **fields)


def test_the_energies_are_of_the_residual_of_the_sum() -> None:
    torch.manual_seed(5)
    model, sound = Article(TINY), torch.from_numpy(words(TINY.window))[None]
    with torch.no_grad():
        found = model.decompose(sound, torch.Generator().manual_seed(1))
    target = spectrogram(sound, TINY).abs()
    for events in (0, 3, TINY.steps):
        said = spectrogram(found.sounds[:, :events].sum(dim=1), TINY).abs()
        assert float(found.energies[0, events]) == pytest.approx(
            float((target - said).square().sum()), rel=1e-4
        )


def test_the_same_seed_learns_the_same_and_what_was_broken_off_goes_on(tmp_path: Path) -> None:
    sounds = [words(1 << 15)]
    recipe = brief()
    whole, same = train(Training(recipe), sounds), train(Training(recipe), sounds)
    path = tmp_path / "article.pt"
    half = Training(recipe)
    for _ in range(2):
        half.update(sounds)
    half.save(path)
    resumed = train(Training.load(path), sounds, checkpoint=path)
    assert whole.curve == same.curve == resumed.curve
    for other in (same, resumed, Training.load(path)):
        pairs = zip(whole.model.parameters(), other.model.parameters(), strict=True)
        assert all(a.equal(b) for a, b in pairs)
    assert Training(brief(seed=2)).update(sounds) != whole.curve[0]


@pytest.mark.parametrize("recipe", [brief(), replace(as_published(PUBLISHED), updates=4, windows=1)])
def test_every_part_learns(recipe: Recipe) -> None:
    """No weight is left out of the gradient; the published recipe with its adversary too."""
    training = Training(recipe)
    before = [p.detach().clone() for p in training.model.parameters()]
    for _ in range(3):
        assert math.isfinite(training.update([words(1 << 15)]))
    names = [name for name, _ in training.model.named_parameters()]
    moved = [not torch.equal(a, b) for a, b in zip(before, training.model.parameters(), strict=True)]
    assert [name for name, m in zip(names, moved, strict=True) if not m] == []
    assert (training.adversary is None) == recipe.size.mended


def test_it_gets_nearer_by_learning() -> None:
    """On one window again and again, as it is used: with the switch's own amplitudes."""
    recipe = brief(updates=12, alone=0.0, rate=3e-3)
    sound = words(TINY.window + 1)
    training = Training(recipe)
    target = torch.from_numpy(sound[None, :-1])

    def distance() -> float:
        with torch.no_grad():
            return float(
                mended_loss(training.model.decompose(target, torch.Generator().manual_seed(1)), target)
            )

    before = distance()
    for _ in range(recipe.updates):
        training.update([sound])
    assert distance() < 0.96 * before


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "boom",)

    path = tmp_path / "bad.pt"
    path.write_bytes(pickle.dumps({"recipe": Bomb()}, protocol=2))
    with pytest.raises(InputError, match="no checkpoint") as caught:
        Training.load(path)
    assert "\n" not in str(caught.value)
    torch.save({"recipe": Bomb()}, path)
    with pytest.raises(InputError, match="no checkpoint"):
        Training.load(path)
    assert not (tmp_path / "boom").exists()


def test_silence_around_a_recording_is_cut_and_windows_are_of_what_is_left() -> None:
    speech = 0.1 * words(32_000)
    rate = 16_000
    cut = prepared(np.concatenate([np.zeros(8000, np.float32), speech, np.zeros(9000, np.float32)]), rate)
    assert np.abs(cut).max() == pytest.approx(1.0)
    assert 31_000 < cut.size < 33_000
    assert prepared(np.zeros(500, np.float32), rate).size == 0
    for size in (TINY, PUBLISHED):
        drawn = windows([cut, cut[:100]], size, 3, np.random.default_rng(1))
        assert drawn.shape == (3, size.window)
        assert drawn.dtype == np.float32
