"""Small networks to test with: ONNX files made on the spot, and models that are none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.inference.schema import Manifest

Port = tuple[str, Sequence[int | str | None]]  # name, shape
FLOAT = 1  # onnx.TensorProto.FLOAT


class DelayLine:
    """A model that is none: sound comes out `latency` samples late, in `channels` (the second turned over)."""

    def __init__(self, frame: int, *, sample_rate: float = 0.0, latency: int = 0, channels: int = 1) -> None:
        self.frame, self.sample_rate, self.latency, self.channels = frame, sample_rate, latency, channels
        self.manifest = Manifest(schema=1, name="delay", frame=frame, latency=latency)
        self.not_finite = 0
        self.states: dict[str, NDArray] = {}
        self.reset()

    def step(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        line = np.concatenate((self._line, frame))
        self._line = line[self.frame :]
        out = line[: self.frame]
        return np.stack([out, -out][: self.channels], axis=1)

    def reset(self) -> None:
        self._line = np.zeros(self.latency, np.float32)

    def clear_edges(self) -> None:
        pass


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """An ONNX node; names separated by spaces, "-" for one left out."""
    onnx = pytest.importorskip("onnx", reason="making networks needs the package onnx")
    names = [["" if name == "-" else name for name in text.split()] for text in (inputs, outputs)]
    return onnx.helper.make_node(kind, *names, **attributes)


def save(
    path: Path,
    nodes: Iterable,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    weights: dict[str, NDArray] | None = None,
    *,
    dtype: int | dict[str, int] = FLOAT,
    opset: int = 17,
    metadata: dict[str, str] | None = None,
) -> Path:
    """An ONNX file; `dtype` of all ports, or by name where it is not float."""
    onnx = pytest.importorskip("onnx", reason="making networks needs the package onnx")

    def port(name: str, shape: Sequence[int | str | None]) -> Any:
        kind = dtype.get(name, FLOAT) if isinstance(dtype, dict) else dtype
        return onnx.helper.make_tensor_value_info(name, kind, shape)

    graph = onnx.helper.make_graph(
        list(nodes),
        "network",
        [port(*one) for one in inputs],
        [port(*one) for one in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    imports = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=8)
    onnx.helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


def identity(path: Path, shape: Sequence[int | str | None] = (1, 64), **options: Any) -> Path:
    return save(path, [node("Identity", "x", "y")], [("x", shape)], [("y", shape)], **options)


def one_pole(path: Path, frame: int = 64, pole: float = 0.9, **options: Any) -> Path:
    """y[n] = x[n] + pole y[n - 1]: its state is its last sample."""
    lags = np.subtract.outer(np.arange(frame), np.arange(frame))
    kernel = np.where(lags >= 0, pole ** np.maximum(lags, 0.0), 0.0).T.astype(np.float32)
    decay = (pole ** np.arange(1, frame + 1))[None].astype(np.float32)
    last = np.array([frame - 1])
    nodes = [
        node("MatMul", "x kernel", "forced"),
        node("Mul", "h decay", "free"),
        node("Add", "forced free", "y"),
        node("Gather", "y last", "hn", axis=1),
    ]
    weights = {"kernel": kernel, "decay": decay, "last": last}
    ports = [("x", (1, frame)), ("h", (1, 1))], [("y", (1, frame)), ("hn", (1, 1))]
    return save(path, nodes, *ports, weights, **options)


def gru(path: Path, frame: int = 64, hidden: int = 16, seed: int = 3, **options: Any) -> Path:
    """A GRU on single samples, its output without a bias; silence in, and it comes to rest."""
    rng = np.random.default_rng(seed)
    weights: dict[str, NDArray] = {
        "W": rng.normal(0, 0.5, (1, 3 * hidden, 1)).astype(np.float32),
        "R": rng.normal(0, 0.6 / np.sqrt(hidden), (1, 3 * hidden, hidden)).astype(np.float32),
        "V": rng.normal(0, 0.5, (hidden, 1)).astype(np.float32),
        "steps": np.array([frame, 1, 1]),
        "flat": np.array([1, frame]),
        "middle": np.array([1]),
    }
    nodes = [
        node("Reshape", "x steps", "sequence"),
        node("GRU", "sequence W R - - h", "all hn", hidden_size=hidden),
        node("Squeeze", "all middle", "rows"),
        node("MatMul", "rows V", "column"),
        node("Reshape", "column flat", "y"),
    ]
    ports = [("x", (1, frame)), ("h", (1, 1, hidden))], [("y", (1, frame)), ("hn", (1, 1, hidden))]
    return save(path, nodes, *ports, weights, **options)


def fussy(path: Path, frame: int = 64) -> Path:
    """y = x + h, but NaN from a sample above 0.5 on: the state is poisoned too."""
    nodes = [
        node("Sub", "limit x", "room"),
        node("Log", "room", "log"),
        node("Mul", "log nothing", "maybe"),
        node("Add", "x maybe", "sum"),
        node("Add", "sum h", "y"),
        node("Mul", "y nothing", "hn"),
    ]
    weights = {"limit": np.array([0.5], np.float32), "nothing": np.array([0.0], np.float32)}
    ports = [("x", (1, frame)), ("h", (1, frame))], [("y", (1, frame)), ("hn", (1, frame))]
    return save(path, nodes, *ports, weights)


def write_manifest(path: Path, **fields: Any) -> Path:
    """A TOML file of these fields; schema and name are there unless stated."""
    whole = {"schema": 1, "name": "test", **fields}
    path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in whole.items()))
    return path


def toml(value: Any) -> str:
    """A value as TOML writes it, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def pieces_of(samples: NDArray[np.float32], lengths: Iterable[int]) -> Iterable[NDArray[np.float32]]:
    """Cut, in turn as long as `lengths` say, the last one as long as it takes."""
    at = 0
    for length in lengths:
        if at >= len(samples):
            return
        yield samples[at : at + length]
        at += length
    if at < len(samples):
        yield samples[at:]
