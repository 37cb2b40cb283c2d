"""The joint head: quick over notes, held against key after key."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch")

import torch

from rtsynth.training.music_heads import MOST_NOTES, Independent, Joint, sounding_keys

KEYS = 88


def joint(loud: float = 0.0) -> Joint:
    torch.manual_seed(1)
    head = Joint(5, 7).double().eval()
    with torch.no_grad():
        for value in head.parameters():
            value.add_(0.4 * torch.randn_like(value))
        head.out.bias.add_(loud)
        head.below.weight[KEYS] = 0.0  # no note
    return head


def conditionals(head: Joint, features: torch.Tensor, decide) -> np.ndarray:
    """P of every key, from the lowest up, `decide(key, P)` saying whether it sounds: the slow, obvious way."""
    a = head.condition.weight @ features + head.condition.bias
    found = []
    for key in range(KEYS):
        hidden = torch.tanh(a)
        hidden = hidden + torch.relu(head.deeper.weight @ hidden + head.deeper.bias)
        logit = head.out.weight[key] @ hidden + head.out.bias[key] + head.bias.weight[key] @ features
        found.append(1.0 / (1.0 + math.exp(-float(logit))))
        if decide(key, found[-1]):
            a = a + head.below.weight[key]
    return np.array(found)


@torch.no_grad()
def test_the_loss_is_that_of_88_conditionals() -> None:
    head, features = joint(), torch.randn(6, 5, dtype=torch.float64)
    notes = (torch.rand(6, KEYS) < torch.tensor([0.0, 0.02, 0.05, 0.2, 0.5, 1.0])[:, None]).double()
    said = head.nll(features, notes)
    for row in range(6):
        p = conditionals(head, features[row], lambda key, _, row=row: notes[row, key] > 0.5)
        y = notes[row].numpy()
        wanted = -(y * np.log(p) + (1 - y) * np.log1p(-p)).sum()
        assert said[row] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("loud", [-0.5, 1.5])
@torch.no_grad()
def test_a_draw_is_that_of_88_conditionals(loud: float) -> None:
    """Until MOST_NOTES sound; the louder head gets there."""
    head = joint(loud)
    features, draws = torch.randn(8, 5, dtype=torch.float64), torch.rand(8, KEYS, dtype=torch.float64)
    said = head.draw(features, draws, torch.ones(8, 1, dtype=torch.float64))
    for row in range(8):
        sounding: list[int] = []

        def decide(key: int, chance: float, row: int = row, sounding: list[int] = sounding) -> bool:
            hit = bool(draws[row, key] < chance) and len(sounding) < MOST_NOTES
            sounding += [key] if hit else []
            return hit

        conditionals(head, features[row], decide)
        assert torch.nonzero(said[row])[:, 0].tolist() == sounding
    full = int((said.sum(1) == MOST_NOTES).sum())
    assert full == (8 if loud > 0 else 0)


@torch.no_grad()
def test_two_keys_sum_to_one() -> None:
    """Over all notes of the two highest keys, the 86 below them given: exp(-nll) sums to their probability."""
    head, features = joint(), torch.randn(1, 5, dtype=torch.float64)
    notes = torch.zeros(4, KEYS, dtype=torch.float64)
    notes[:, [20, 33]] = 1.0
    notes[:, 86:] = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    p = conditionals(head, features[0], lambda key, _: key in (20, 33))[:86]
    y = notes[0, :86].numpy()
    below = np.exp((y * np.log(p) + (1 - y) * np.log1p(-p)).sum())
    total = torch.exp(-head.nll(features.expand(4, -1), notes)).sum()
    assert float(total) == pytest.approx(below, rel=1e-12)


@pytest.mark.parametrize("kind", [Joint, Independent])
@torch.no_grad()
def test_a_low_temperature_dares_nothing(kind: type) -> None:
    """Only keys of P > 1/2 are left, whatever is drawn."""
    torch.manual_seed(2)
    head = Joint(5, 7).eval() if kind is Joint else Independent(5)
    draws = torch.rand(50, KEYS).clamp(0.01, 0.99)
    said = head.draw(torch.randn(1, 5).expand(50, -1), draws, torch.full((50, 1), 0.01))
    assert (said == said[0]).all()
    warm = head.draw(torch.randn(1, 5).expand(50, -1), draws, torch.full((50, 1), 3.0))
    assert not (warm == warm[0]).all()


def test_keys_that_sound_are_listed_from_the_lowest_up() -> None:
    notes = torch.zeros(2, KEYS)
    notes[0, [3, 80, 40]] = 1.0
    listed, below = sounding_keys(notes)
    assert listed.tolist() == [[3, 40, 80], [KEYS] * 3]
    assert below[0, [0, 3, 4, 40, 41, 80, 81]].tolist() == [0, 0, 1, 1, 2, 2, 3]
    assert below[1].sum() == 0


@torch.no_grad()
def test_independent_keys_are_logistic() -> None:
    head, features = Independent(5).double(), torch.randn(3, 5, dtype=torch.float64)
    notes = (torch.rand(3, KEYS) < 0.3).double()
    p = 1.0 / (1.0 + np.exp(-(features @ head.out.weight.T + head.out.bias).numpy()))
    wanted = -(notes.numpy() * np.log(p) + (1 - notes.numpy()) * np.log1p(-p)).sum(1)
    np.testing.assert_allclose(head.nll(features, notes).numpy(), wanted, rtol=1e-12)
