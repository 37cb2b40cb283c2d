"""The character network: what it learns, that it can be taken up, its file, and learning on from a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: docs/export.md")
pytest.importorskip("onnxruntime", reason="models need onnxruntime")

import torch

from rtsynth.errors import InputError
from rtsynth.sequence.text import TextNetwork, bits
from rtsynth.training.checkpoints import write_checkpoint
from rtsynth.training.dynamic import Pace, dynamic_bits
from rtsynth.training.text import Recipe, Training, read_text, split, static_bits, train
from rtsynth.training.text_export import card, export_text, read_network

SMALL = Recipe(hidden=24, embedding=8, updates=60, streams=4, chunk=24, rate=2e-2)
TEXT = "abcabd" * 200


@pytest.fixture(scope="module")
def trained() -> Training:
    training = Training(SMALL, TEXT)
    train(training, None)
    return training


def test_it_learns_what_can_be_known_and_no_more(trained: Training) -> None:
    """abcabd: nothing is left to chance but where it begins."""
    assert trained.curve[0][1] > 0.2
    assert static_bits(trained.network, trained.unseen) < 0.1
    coin = "".join(np.random.default_rng(1).choice(list("ab"), size=1200))
    tossed = Training(SMALL, coin)
    train(tossed, None)
    assert 0.97 < static_bits(tossed.network, tossed.unseen) < 1.6  # a coin is a bit; over-learning costs
    learning = dynamic_bits(tossed.network, tossed.learned, tossed.unseen, Pace(rate=3e-2, chunk=12))
    assert learning > 0.97  # nor is anything learned from before it has been said


def test_the_last_tenth_is_never_seen() -> None:
    characters, learned, unseen = split("ab" * 45 + "cccccccccc")
    assert characters == "abc"
    assert (len(learned), len(unseen)) == (90, 10)
    assert set(learned) == {0, 1}
    assert set(unseen) == {2}


def test_a_text_in_pieces_is_scored_as_a_whole(trained: Training) -> None:
    whole = static_bits(trained.network, trained.unseen, chunk=10_000)
    assert static_bits(trained.network, trained.unseen, chunk=7) == pytest.approx(whole, rel=1e-5)


def test_a_training_that_is_taken_up_ends_with_the_same_weights(tmp_path: Path) -> None:
    recipe = Recipe(
        hidden=8, embedding=4, updates=24, streams=4, chunk=24
    )  # more than a lap through the text
    through, part = Training(recipe, TEXT), Training(recipe, TEXT)
    train(through, None)
    for _ in range(13):
        part.step()
    part.save(tmp_path / "text.pt")
    after = Training.resume(tmp_path / "text.pt", TEXT)
    train(after, None)
    for a, b in zip(through.network.parameters(), after.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_of_another_text_or_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.pt"
    Training(Recipe(hidden=4, embedding=4, streams=4, chunk=24), TEXT).save(path)
    with pytest.raises(InputError, match="other characters"):
        Training.resume(path, TEXT.replace("c", "x"))
    write_checkpoint(path, "pen", {})
    with pytest.raises(InputError, match="no checkpoint of kind 'text'"):
        Training.resume(path, TEXT)
    for state in (
        {},
        {"recipe": {"nonsense": 1}},
        {"recipe": {"hidden": 4, "streams": 4}, "characters": "abcd", "weights": {}},
    ):
        write_checkpoint(path, "text", state)
        with pytest.raises(InputError, match="does not fit"):
            Training.resume(path, TEXT)
    path.write_bytes(b"\x80\x02c")
    with pytest.raises(InputError, match="no checkpoint that can be read"):
        Training.resume(path, TEXT)


def test_a_pickle_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"format": 1, "kind": "text", "weights": Bomb()}, tmp_path / "text.pt")
    with pytest.raises(InputError, match="no checkpoint that can be read"):
        Training.resume(tmp_path / "text.pt", TEXT)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["", "a", "abc" * 30])
def test_a_text_too_short_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="too short"):
        Training(SMALL, text)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ab\xff")
    with pytest.raises(InputError, match="byte 2"):
        read_text(tmp_path / "a")
    with pytest.raises(InputError, match="cannot read"):
        read_text(tmp_path / "none")


@pytest.mark.parametrize("layers", [1, 2])
def test_the_file_says_what_the_network_says(tmp_path: Path, layers: int) -> None:
    """Halved weights and all: bits per character to 1e-5."""
    recipe = Recipe(hidden=40, embedding=32, layers=layers, updates=3, streams=4, chunk=24)
    training = Training(recipe, TEXT)
    train(training, None)
    path = tmp_path / "text.onnx"
    assert export_text(training, path, card(training, {"static": 1.0}, "x")) < 1e-5
    network = TextNetwork(path)
    assert bits(network, TEXT[-120:]) == pytest.approx(
        static_bits(training.network, split(TEXT)[2]), abs=1e-5
    )
    weights = sum(weight.numel() for weight in training.network.parameters())
    assert path.stat().st_size < 2.6 * weights + 12_000
    assert "rtsynth train text" in network.network.card
    for name, weight in read_network(path).state_dict().items():
        assert torch.equal(weight, training.network.state_dict()[name]), name


def test_learning_on_helps_where_the_text_has_changed(trained: Training) -> None:
    """Trained on abcabd, tested on acbacb: the dynamic score falls below the static one; the network stays as it is."""
    before = [weight.clone() for weight in trained.network.parameters()]
    _, other, _ = split("acbadb" * 100)
    static = static_bits(trained.network, other)
    dynamic = dynamic_bits(trained.network, trained.learned, other, Pace(rate=1e-2, chunk=12))
    assert dynamic < 0.7 * static
    still = dynamic_bits(trained.network, trained.learned, other, Pace(rate=0.0, chunk=12))
    assert still == pytest.approx(static, rel=1e-4)  # at rate 0 it is the static score
    for a, b in zip(before, trained.network.parameters(), strict=True):
        assert torch.equal(a, b)
