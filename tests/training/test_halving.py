"""Weights that float16 holds exactly are stored so: half the file, the same numbers out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: docs/export.md")
onnxruntime = pytest.importorskip("onnxruntime", reason="running networks needs onnxruntime")

import onnx  # noqa: E402

from rtsynth.training.halving import halve  # noqa: E402
from tests.inference.networks import node, save  # noqa: E402


@pytest.mark.parametrize(("rounded", "halved"), [(True, ["w"]), (False, [])])
def test_only_what_is_exact_is_halved(tmp_path: Path, rounded: bool, halved: list[str]) -> None:
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((64, 64)).astype(np.float32)
    if rounded:
        weights = weights.astype(np.float16).astype(np.float32)
    small = np.ones((1, 64), np.float32)  # exact, and not worth it
    nodes = [node("MatMul", "x w", "m"), node("Mul", "m s", "y")]
    path = save(tmp_path / "m.onnx", nodes, [("x", (1, 64))], [("y", (1, 64))], {"w": weights, "s": small})
    graph = onnx.load(str(path))
    before = len(graph.SerializeToString())
    halve(graph)
    onnx.checker.check_model(graph, full_check=True)
    assert [cast.output[0] for cast in graph.graph.node if cast.op_type == "Cast"] == halved
    assert (len(graph.SerializeToString()) < 0.6 * before) == rounded
    x = rng.standard_normal((1, 64)).astype(np.float32)
    said = [
        onnxruntime.InferenceSession(model).run(None, {"x": x})[0]
        for model in (path.read_bytes(), graph.SerializeToString())
    ]
    np.testing.assert_array_equal(said[0], said[1])


def test_numbers_beyond_its_range_stay_as_they_are(tmp_path: Path) -> None:
    weights = np.full((64, 64), 1e6, np.float32)
    path = save(
        tmp_path / "m.onnx", [node("MatMul", "x w", "y")], [("x", (1, 64))], [("y", (1, 64))], {"w": weights}
    )
    graph = onnx.load(str(path))
    halve(graph)
    assert [tensor.name for tensor in graph.graph.initializer] == ["w"]
