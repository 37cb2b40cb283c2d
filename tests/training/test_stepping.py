"""A step as an ONNX file: the module unrolled, or no file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch")
pytest.importorskip("onnx", reason="exporting needs onnx")
pytest.importorskip("onnxruntime", reason="models need onnxruntime")

import torch
from torch import Tensor, nn

from rtsynth.errors import InputError, ThresholdError
from rtsynth.sequence.network import load
from rtsynth.training.cells import CELLS
from rtsynth.training.stepping import export_step


class Answers(nn.Module):
    """A cell and a line that reads it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.cell, self.out = CELLS[name](6, 9), nn.Linear(9, 2)

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        after = self.cell.step(x, states)
        return self.out(after[0]), *after

    def whole(self, inputs: list[Tensor]) -> tuple[Tensor]:
        return (self.out(self.cell(inputs[0])[0]),)


def states(model: Answers) -> dict[str, tuple[int, int]]:
    return dict.fromkeys(("h", "c")[: model.cell.states], (1, 9))


@pytest.mark.parametrize("name", CELLS)
def test_the_file_is_the_module_unrolled(name: str, tmp_path: Path) -> None:
    model, path = Answers(name), tmp_path / "step.onnx"
    error = export_step(
        model, path, {"x": (1, 6)}, states(model), "music", {"a": [1, 2]}, "card", whole=model.whole
    )
    assert error <= 1e-5
    network = load(path, "music")
    assert (network.settings, network.card) == ({"a": [1, 2]}, "card")
    x = torch.randn(150, 1, 6)
    with torch.no_grad():
        (wanted,) = model.whole([x])
    said = np.stack([network.step(x=frame.numpy())["out"] for frame in x])
    np.testing.assert_allclose(said, wanted.numpy(), rtol=0, atol=1e-5)


def test_one_that_differs_is_not_written(tmp_path: Path) -> None:
    """whole with a weight changed a little: 1e-4, found."""
    model, path = Answers("gru"), tmp_path / "step.onnx"

    def another(inputs: list[Tensor]) -> tuple[Tensor]:
        return (model.whole(inputs)[0] * 1.0001,)

    with pytest.raises(ThresholdError, match="was not written"):
        export_step(model, path, {"x": (1, 6)}, states(model), "music", {}, "", whole=another)
    assert list(tmp_path.iterdir()) == []


def test_chance_in_the_graph_is_refused(tmp_path: Path) -> None:
    class Random(nn.Module):
        def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
            return x + torch.rand_like(x), h + x

    with pytest.raises(ThresholdError, match="Random"):
        export_step(Random(), tmp_path / "a.onnx", {"x": (1, 2)}, {"h": (1, 2)}, "music", {}, "")
    assert list(tmp_path.iterdir()) == []


def test_a_module_that_cannot_be_converted_is_one_line(tmp_path: Path) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
            raise RuntimeError("no\nsense")

    with pytest.raises(InputError, match="cannot be converted") as found:
        export_step(Broken(), tmp_path / "a.onnx", {"x": (1, 2)}, {"h": (1, 2)}, "music", {}, "")
    assert "\n" not in str(found.value)


def test_an_example_gives_its_type(tmp_path: Path) -> None:
    class Look(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(7, 3)

        def forward(self, key: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
            after = h + self.table(key)
            return after * 2.0, after

    path = tmp_path / "look.onnx"
    key = torch.zeros(1, dtype=torch.int64)
    export_step(
        Look(),
        path,
        {"key": key},
        {"h": (1, 3)},
        "text",
        {},
        "",
        feed=lambda rng: {"key": rng.integers(0, 7, 1)},
    )
    network = load(path, "text")
    assert network.step(key=4)["out"].shape == (1, 3)
