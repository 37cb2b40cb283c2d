"""The pen: its gradient against autograd, its file against itself, its lines, and that a training can be taken up."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: docs/export.md")
pytest.importorskip("onnxruntime", reason="models need onnxruntime")

import torch
from torch import Tensor

from rtsynth.errors import InputError
from rtsynth.sequence.pen import Pen
from rtsynth.sequence.strokes import CHARACTERS, Strokes, codes_of
from rtsynth.training import hershey, strokes
from rtsynth.training.hershey import Font, Glyph, Hand
from rtsynth.training.pen import Memory, PenNetwork, Recipe, Source, Training, batch_of, losses
from rtsynth.training.pen_export import LETTERS, export_pen
from rtsynth.training.pen_scores import score
from tests.data import shared

SMALL = Recipe(hidden=(12, 14), components=2, bumps=3, updates=6, lines=4, longest=5)


def zigzag(rng: np.random.Generator, longest: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Text of a and b: two points, up and down, or three, down and up; each a little off."""
    text = "".join(rng.choice(["a", "b"], size=longest))
    shapes = {"a": [[1.0, -3.0, 0], [1.0, 3.0, 1]], "b": [[1.0, 3.0, 0], [1.0, -1.0, 0], [1.0, -2.0, 1]]}
    rows = np.array([row for c in text for row in shapes[c]])
    rows[:, :2] += 0.3 * rng.standard_normal((len(rows), 2))
    places = np.array([n for n, c in enumerate(text) for _ in shapes[c]])
    return rows, places, text


SOURCE = Source(zigzag, "made here")


def shaken(recipe: Recipe = SMALL) -> PenNetwork:
    torch.manual_seed(3)
    network = PenNetwork(recipe)
    for weight in network.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    return network


def unrolled(network: PenNetwork, heard: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Step after step, by autograd: the specification."""
    memory = Memory(*(part.to(heard.dtype) for part in network.initial(heard.shape[1])))
    said, phis, kappas = [], [], []
    for x in heard:
        raw, phi, memory = network.step(x, memory, codes)
        said.append(raw)
        phis.append(phi)
        kappas.append(memory.kappa)
    return torch.stack(said), torch.stack(phis), torch.stack(kappas)


def test_a_sequence_is_its_steps_and_has_their_gradient() -> None:
    network = shaken().double()
    heard = torch.randn(9, 2, 4, dtype=torch.float64, requires_grad=True)
    codes = torch.eye(len(CHARACTERS), dtype=torch.float64)[torch.tensor([[5, 9, 5, 70], [8, 9, 1, 2]])]
    codes[1, 2:] = 0.0
    weights = [torch.randn(9, 2, size, dtype=torch.float64) for size in (13, 5)]
    found = []
    for run in (lambda: unrolled(network, heard, codes), lambda: network(heard, codes)):
        said, phi, kappa = run()
        total = (said * weights[0]).sum() + (phi * weights[1]).sum()
        gradients = torch.autograd.grad(total, [heard, *network.parameters()])
        found.append([said.detach(), phi.detach(), kappa.detach(), *gradients])
    for slow, fast in zip(*found, strict=True):
        assert slow.abs().max() > 1e-3
        torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-11)


def test_the_loss_is_that_of_the_points_alone() -> None:
    """Lines of different lengths side by side cost what they cost one by one."""
    network = shaken()
    lines = [zigzag(np.random.default_rng(seed), length) for seed, length in ((1, 2), (2, 5), (3, 4))]
    drawn = iter(lines + lines)
    batch = batch_of(Source(lambda rng, longest: next(drawn), ""), 3, 5, np.random.default_rng(1))
    both = losses(network, batch)
    alone = [
        losses(network, batch_of(Source(lambda *_, line=line: line, ""), 1, 5, np.random.default_rng(1)))  # type: ignore[misc]
        for line in lines
    ]
    points = [len(line[0]) for line in lines]
    for name, steps in (("stroke", points), ("window", [n + 1 for n in points])):
        mean = sum(n * getattr(one, name) for n, one in zip(steps, alone, strict=True)) / sum(steps)
        torch.testing.assert_close(getattr(both, name), mean, rtol=1e-5, atol=1e-6)


def test_a_training_that_is_taken_up_ends_with_the_same_weights(tmp_path: Path) -> None:
    through, part = Training(SMALL, SOURCE), Training(SMALL, SOURCE)
    while not through.done:
        through.step()
    for _ in range(3):
        part.step()
    part.save(tmp_path / "pen.pt")
    after = Training.resume(tmp_path / "pen.pt", SOURCE)
    assert after.update == 3
    while not after.done:
        after.step()
    for a, b in zip(through.network.parameters(), after.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_short_training_learns_to_read(tmp_path: Path) -> None:
    """A hundred updates on two letters; and blind it does worse, having to guess which."""
    recipe = Recipe(
        hidden=(24, 24), components=3, bumps=3, updates=100, lines=12, longest=6, pace=0.4, rate=1e-2, seed=3
    )
    untrained = score(PenNetwork(recipe), SOURCE, 16)
    scores = {}
    for reads in (True, False):
        training = Training(Recipe(**{**vars(recipe), "reads": reads}), SOURCE)
        while not training.done:
            training.step()
        scores[reads] = score(training.network, SOURCE, 16)
    assert scores[True].nats_a_point < scores[False].nats_a_point - 0.1
    assert scores[True].squared_error < 0.5 * scores[False].squared_error
    assert scores[False].nats_a_point < untrained.nats_a_point - 1.0
    assert scores[True].window is not None
    assert scores[True].window > 0.9


def test_the_file_is_the_network_and_a_text_of_any_length_slides_past_it(tmp_path: Path) -> None:
    """Three times what it sees at once, against the network that sees all of it."""
    network = shaken(Recipe(hidden=(12, 14), components=2, bumps=3))
    with torch.no_grad():
        network.window.project.bias[6:] = np.log(0.5)  # two steps a character
        network.window.project.weight *= 0.1
    training = Training(network.recipe, SOURCE)
    training.network = network
    error = export_pen(
        training,
        tmp_path / "pen.onnx",
        "card",
        {"zig": Strokes(zigzag(np.random.default_rng(1), 4)[0], "ab")},
    )
    assert error < 1e-5
    pen, text = Pen(tmp_path / "pen.onnx"), "the quick brown fox jumps, " * 7
    seen: list[np.ndarray] = []
    step = pen.network.step
    pen.network.step = lambda **fed: seen.append(fed["pen"].copy()) or step(**fed)  # type: ignore[method-assign, func-returns-value]
    writing = pen.write(text, bias=0.0, seed=5)
    assert writing.whole
    assert writing.places.max() == len(text.strip()) - 1 > 2 * LETTERS
    kappa = pen.network.state()["kappa"]
    codes = torch.eye(len(CHARACTERS))[torch.from_numpy(codes_of(text.strip()))][None]
    with torch.no_grad():
        _, phi, kappas = unrolled(network, torch.from_numpy(np.stack(seen))[:, None], codes)
    np.testing.assert_allclose(kappa, kappas[-1], rtol=1e-4)
    past = (phi[:, 0, -1] > phi[:, 0, :-1].max(dim=1).values).numpy()
    assert past[-1]
    assert not past[:-1].any()  # the stop rule held at the same step
    np.testing.assert_array_equal(writing.places, phi[:-1, 0].argmax(dim=1))


# --- the lines


def test_a_font_is_read_as_its_notes_say(tmp_path: Path) -> None:
    """The example of hershey-fonts.notes: an H."""
    row = "    8  9MWOMOV RUMUV ROQUQ"
    (tmp_path / "a.jhf").write_text("\n".join([row] * 95))
    glyph = hershey.read_font(tmp_path / "a.jhf").glyphs[40]
    assert glyph.advance == 10.0
    np.testing.assert_array_equal(
        glyph.points - [5.0, -9.0], [[-3, -5], [-3, 4], [3, -5], [3, 4], [-3, -1], [3, -1]]
    )
    np.testing.assert_array_equal(glyph.ends, [0, 1, 0, 1, 0, 1])


@pytest.mark.parametrize("content", ["", "    8  9MW", "abc" * 30, "    8 99MWOM\n" * 95, "\x00\xff"])
def test_what_is_no_font_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.jhf").write_text(content, "latin-1")
    with pytest.raises(InputError, match="font"):
        hershey.read_font(tmp_path / "a.jhf")


def test_a_plain_hand_sets_the_glyphs_as_they_are() -> None:
    bar = Glyph(np.array([[1.0, -21.0], [1.0, 0.0]]), np.array([False, True]), 8.0)
    font = Font("bars", tuple(bar for _ in CHARACTERS), joins=False)
    line = hershey.write_line(font, "il", Hand(), np.random.default_rng(1))
    points = np.cumsum(line.offsets[:, :2], axis=0) * hershey.UNIT
    np.testing.assert_allclose(points, [[x, y] for x in (1, 9) for y in (-21, -14, -7, 0)], atol=1e-9)
    np.testing.assert_array_equal(line.offsets[:, 2], [0, 0, 0, 1] * 2)
    np.testing.assert_array_equal(line.places, [0] * 4 + [1] * 4)


def test_letters_that_touch_are_joined_and_no_point_is_far_from_its_stroke() -> None:
    fonts = shared("strokes/hershey")
    found = strokes.styles(fonts)
    lifts = {name: int(sample.offsets[:, 2].sum()) for name, sample in found.items()}
    assert lifts["script"] < lifts["print"]
    rng, source = np.random.default_rng(1), strokes.written(fonts, None)
    offsets = np.concatenate([source.draw(rng, 24)[0] for _ in range(40)])
    assert 0.8 < np.sqrt(np.mean(offsets[:, :2] ** 2)) < 1.4  # about unit variance


def test_drawings_are_read_as_rows_and_people_are_held_out(tmp_path: Path) -> None:
    path = tmp_path / "strokes.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for person in (1, 20):
            drawing = f"START\n10,-20,0\n40,-20,9\n40,-{20 + 30 * person},15\nBREAK\n"
            archive.writestr(f"small/Greek/character01/0001_{person:02}.txt", drawing)
    for held_out, height in ((False, 2.0), (True, 40.0)):
        offsets, _, text = strokes.drawn(path, held_out).draw(np.random.default_rng(1), 8)
        assert text == ""
        np.testing.assert_allclose(offsets[1:3], [[2.0, 0.0, 0.0], [0.0, height, 1.0]])
        np.testing.assert_allclose(offsets[3, 0], 1.5)  # the next character stands beside it
        assert len(offsets) == 6


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"no")
    with pytest.raises(InputError, match="not Omniglot"):
        strokes.drawn(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.md", "nothing")
    with pytest.raises(InputError, match="no drawings"):
        strokes.drawn(path)
