"""The soft window: its law in NumPy, and the torch version against it."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.sequence.window import FORMS, Form, SoftWindow, is_past

HIDDEN, COMPONENTS, CHARACTERS = 7, 3, 5


def made(form: Form, seed: int = 1) -> SoftWindow:
    rng = np.random.default_rng(seed)
    return SoftWindow(rng.normal(size=(3 * COMPONENTS, HIDDEN)), rng.normal(size=3 * COMPONENTS) - 1.0, form)


def one_hot(length: int, seed: int = 2) -> np.ndarray:
    return np.eye(CHARACTERS)[np.random.default_rng(seed).integers(CHARACTERS, size=length)]


@pytest.mark.parametrize("form", FORMS)
def test_kappa_never_decreases(form: Form) -> None:
    """Whatever the states say, however wild."""
    window, rng = made(form), np.random.default_rng(3)
    kappa, codes = window.initial(), one_hot(6)
    for _ in range(500):
        after = window.step(rng.normal(size=HIDDEN) * rng.choice([0.1, 1.0, 10.0]), kappa, codes).kappa
        assert (after >= kappa).all()
        kappa = after


@pytest.mark.parametrize("form", FORMS)
def test_a_window_of_one_narrow_bump_reads_one_character(form: Form) -> None:
    width, pace = {"graves": (np.log(50.0), 0.0), "v2": (np.log(np.expm1(0.1)), np.log(np.expm1(1.0)))}[form]
    weight, alpha = np.zeros((3, HIDDEN)), 0.0
    window = SoftWindow(weight, np.array([alpha, width, pace]), form)
    kappa, codes = window.initial(), one_hot(4)
    height = {"graves": 1.0, "v2": 1.0 / (np.sqrt(2 * np.pi) * 0.1)}[form]
    for place in range(4):
        seen = window.step(np.zeros(HIDDEN), kappa, codes)
        np.testing.assert_allclose(seen.context, height * codes[place], atol=1e-12 * height)
        assert not is_past(seen.phi)
        kappa = seen.kappa
    assert is_past(window.step(np.zeros(HIDDEN), kappa, codes).phi)  # it stands after the last character


def test_the_weights_of_v2_sum_to_one() -> None:
    window = SoftWindow(np.zeros((9, HIDDEN)), np.r_[0.3, -1.0, 2.0, 1.0, 2.0, 3.0, 20.0, 25.0, 30.0], "v2")
    phi = window.step(np.zeros(HIDDEN), window.initial(), one_hot(80)).phi
    assert phi.sum() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_a_piece_of_the_text_is_seen_as_in_the_whole(form: Form) -> None:
    window, codes, h = made(form), one_hot(30), np.random.default_rng(4).normal(size=HIDDEN)
    kappa = np.array([11.0, 12.0, 13.0])
    whole, piece = window.step(h, kappa, codes), window.step(h, kappa, codes[5:25], first=5)
    np.testing.assert_array_equal(piece.phi, whole.phi[5:26])


def test_an_empty_text_is_past_at_once() -> None:
    window = made("graves")
    assert is_past(window.step(np.zeros(HIDDEN), window.initial(), np.zeros((0, CHARACTERS))).phi)


@pytest.mark.parametrize("form", FORMS)
def test_torch_is_the_same_step(form: Form) -> None:
    """200 steps, three texts of different lengths in one batch, to 1e-6."""
    torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")
    from rtsynth.training import window as learned

    torch.manual_seed(5)
    layer = learned.SoftWindow(HIDDEN, COMPONENTS, form, pace=0.05).double()
    torch.nn.init.normal_(layer.project.weight, std=0.3)
    window = SoftWindow(**learned.weights_of(layer))
    texts = [one_hot(length, length) for length in (3, 8, 12)]
    codes = torch.zeros(3, 12, CHARACTERS, dtype=torch.float64)
    for row, text in zip(codes, texts, strict=True):
        row[: len(text)] = torch.from_numpy(text)
    kappa, one_by_one = layer.initial(3), [window.initial() for _ in texts]
    for h in torch.randn(200, 3, HIDDEN, dtype=torch.float64):
        with torch.no_grad():
            context, kappa, phi = layer(h, kappa, codes)
        for n, text in enumerate(texts):
            seen = window.step(h[n].numpy(), one_by_one[n], text)
            one_by_one[n] = seen.kappa
            np.testing.assert_allclose(context[n], seen.context, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(kappa[n], seen.kappa, rtol=1e-9)
            np.testing.assert_allclose(phi[n, : len(text) + 1], seen.phi, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_it_starts_at_the_pace_it_was_given(form: Form) -> None:
    torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")
    from rtsynth.training import window as learned

    layer = learned.SoftWindow(HIDDEN, COMPONENTS, form, pace=0.25)
    _, kappa, _ = layer(torch.zeros(1, HIDDEN), layer.initial(1), torch.zeros(1, 4, CHARACTERS))
    torch.testing.assert_close(kappa, torch.full((1, COMPONENTS), 0.25))
