"""Networks for music: the loss by hand, learning against what counting alone gives, training broken off and resumed."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch")

import torch

from rtsynth.errors import DeviceError, InputError, UsageError
from rtsynth.training import music
from rtsynth.training.music import Guess, Recipe, Training, evaluate
from rtsynth.training.music_floors import floors
from rtsynth.training.rolls import Rolls, read_rolls
from tests.data import shared

KEYS = 88


def rolls(*lengths: int, share: float = 0.05, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [(rng.random((length, KEYS)) < share).astype(np.uint8) for length in lengths]


def constant(chance: float) -> Guess:
    """Says the same P of every key, whatever it hears."""
    model = Guess("tanh", 4)
    with torch.no_grad():
        for value in model.parameters():
            value.zero_()
        model.head.out.bias.fill_(math.log(chance / (1 - chance)))
    return model


def test_the_loss_of_a_hand_made_case() -> None:
    """Two pieces: 1 and 4 steps to be guessed. Pooled: over the 5 steps; per sequence: the mean of the two means."""
    short, long = np.zeros((2, KEYS), np.uint8), np.zeros((5, KEYS), np.uint8)
    short[1, :3] = 1  # three notes
    long[0, :9] = 1  # the first step is given, not guessed
    long[2, 5] = 1
    silent, note = -math.log(0.75), -math.log(0.25)  # of a key
    first = 85 * silent + 3 * note
    second = [88 * silent, 87 * silent + note, 88 * silent, 88 * silent]
    found = evaluate(constant(0.25), [long, short])
    assert found.pooled == pytest.approx((first + sum(second)) / 5, rel=1e-6)
    assert found.per_sequence == pytest.approx((first + sum(second) / 4) / 2, rel=1e-6)


def test_a_step_is_guessed_from_those_before_it() -> None:
    """A network that says what it heard last: nearly certain of a held chord, and wrong once where it changes."""
    model = constant(0.5)
    model = Guess("tanh", KEYS)
    with torch.no_grad():
        model.cell.W.copy_(20.0 * torch.eye(KEYS))
        model.cell.U.zero_()
        model.head.out.weight.copy_(10.0 * torch.eye(KEYS))
        model.head.out.bias.fill_(-5.0)
    held = np.zeros((30, KEYS), np.uint8)
    held[:, [10, 20]] = 1
    right = KEYS * math.log1p(math.exp(-5.0))
    assert evaluate(model, [held]).pooled == pytest.approx(right, rel=1e-4)
    held[12:, 20] = 0
    wrong = right + 5.0 / 29  # one key once: ln(1 + e^5) - ln(1 + e^-5) = 5
    assert evaluate(model, [held]).pooled == pytest.approx(wrong, rel=1e-4)


@pytest.mark.parametrize("width", [0, 6])
def test_the_loss_does_not_depend_on_how_pieces_are_laid_together(width: int) -> None:
    """Longer than a slab of 256 steps, beside shorter ones: as each alone, step after step, from a state of zeros."""
    torch.manual_seed(1)
    model, some = Guess("lstm", 5, width).eval(), rolls(300, 3, 40)
    with torch.no_grad():
        model.cell.b[5:10] = 9.0  # it forgets nothing, and what it remembers is heard
        for value in model.head.parameters():
            value.mul_(4.0)
    total = 0.0
    with torch.no_grad():
        for roll in some:
            state = model.cell.start()
            for heard, wanted in pairwise(roll):
                state = model.cell.step(torch.tensor(heard, dtype=torch.float32)[None], state)
                total += float(model.head.nll(state[0], torch.tensor(wanted, dtype=torch.float32)[None]))
    assert evaluate(model, some).pooled == pytest.approx(total / 340, rel=3e-6)


@pytest.mark.parametrize("kind", ["gru", "joint"])
def test_it_learns_more_than_can_be_counted(kind: str) -> None:
    """On a third of JSB Chorales, in a second: below the rate of each key and below each key's Markov chain."""
    whole = read_rolls(shared("polymusic/JSB_Chorales.mat"))
    some = Rolls("part", whole.train[::3], whole.valid[::4], whole.test[::2])
    recipe = Recipe(updates=80, rate=1e-2, average=0.9, check=40)
    if kind == "joint":
        recipe = replace(recipe, width=32, updates=36, check=18)
    found = evaluate(Training(recipe, some).run(), some.test)
    counted = floors(some)
    assert counted["markov"].pooled < counted["rate"].pooled - 0.2
    assert found.pooled < counted["markov"].pooled - (0.3 if kind == "gru" else 0.5)
    assert found.per_sequence < counted["markov"].per_sequence


def test_the_floors_are_those_of_the_set() -> None:
    """Measured before this code was written: 11.09 and 10.49 nats a step."""
    counted = floors(read_rolls(shared("polymusic/JSB_Chorales.mat")))
    assert counted["rate"].pooled == pytest.approx(11.09, abs=0.02)
    assert counted["markov"].pooled == pytest.approx(10.49, abs=0.02)


SMALL = Recipe(hidden=6, width=5, dropout=0.2, noise=0.05, transpose=2, lanes=3, steps=8, updates=12, check=3)


@pytest.fixture
def made() -> Rolls:
    return Rolls("made", rolls(20, 9, 31), rolls(12, 13, seed=2), rolls(14, seed=3))


def test_a_training_taken_up_again_ends_where_an_unbroken_one_does(made: Rolls, tmp_path: Path) -> None:
    path = tmp_path / "music.pt"
    whole = Training(SMALL, made)
    whole.run()
    broken = Training(SMALL, made)
    for _ in range(5):
        broken._step(broken.lanes.next())
        if broken.update % SMALL.check == 0:
            broken._look()
    broken.save(path)
    again = Training.resume(path, made)
    again.run()
    assert again.update == whole.update == 12
    for one, other in ((whole.model, again.model), (whole.mean, again.mean)):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name
    assert all(torch.equal(value, again.kept[name]) for name, value in whole.kept.items())
    assert whole.best == again.best


def test_the_same_seed_gives_the_same_weights(made: Rolls) -> None:
    one, same, other = (Training(replace(SMALL, seed=seed), made) for seed in (1, 1, 2))
    kept = [training.run().state_dict() for training in (one, same, other)]
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
    assert not torch.equal(kept[0]["cell.W"], kept[2]["cell.W"])


def test_noise_is_taken_off_again(made: Rolls) -> None:
    training = Training(replace(SMALL, noise=0.5, rate=0.0), made)
    before = training.model.cell.W.detach().clone()
    training._step(training.lanes.next())
    torch.testing.assert_close(training.model.cell.W.detach(), before, atol=1e-6, rtol=0)


def test_what_is_no_checkpoint_is_refused(made: Rolls, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pt"
    for content in (b"", b"nonsense"):
        bad.write_bytes(content)
        with pytest.raises(InputError, match="checkpoint"):
            Training.resume(bad, made)
    torch.save({"recipe": {"cell": "gru"}, "model": {}}, bad)
    with pytest.raises(InputError, match="no checkpoint of train music"):
        Training.resume(bad, made)
    torch.save({"recipe": Path}, bad)  # a class: not loaded
    with pytest.raises(InputError, match="can be read"):
        Training.resume(bad, made)
    with pytest.raises(InputError, match="without --resume"):
        Training.resume(tmp_path / "absent.pt", made)


def test_devices() -> None:
    assert music.checked_device("cpu").type == "cpu"
    with pytest.raises(UsageError):
        music.checked_device("abacus")
    with pytest.raises(DeviceError):
        music.checked_device("cuda:99")
