"""What an ONNX file says of itself, read without onnxruntime: its tensors, metadata, and the files it points to.

A reader of the protobuf wire format (protobuf.dev/programming-guides/encoding) for the few fields of `ModelProto` that
are needed (github.com/onnx/onnx, onnx/onnx.proto); weights are stepped over, not copied. So the process that plays
audio can refuse a bad model in one line without loading a runtime, and a model that names files outside its folder is
refused before a runtime would open them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from rtsynth.errors import InputError

DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
}  # TensorProto.DataType, as numpy calls them
OTHERS = {8: "string", 12: "uint32", 13: "uint64", 16: "bfloat16"}

_DEEPEST = 32  # subgraphs within subgraphs
_LARGEST = 1 << 31  # bytes: protobuf's own limit


@dataclass(frozen=True)
class Tensor:
    """An input or output. A dimension that the file leaves open is its name (or "?"); shape None: not stated."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        dimensions = "unknown shape" if self.shape is None else f"({', '.join(map(str, self.shape))})"
        return f"{self.name} {dimensions}"


@dataclass
class Graph:
    """A model file: what goes in, what comes out, what it carries."""

    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    opset: int = 0  # of the standard operators
    external: set[str] = field(default_factory=set)  # locations of weights outside the file
    initialisers: set[str] = field(default_factory=set)
    nodes: int = 0


def read_graph(path: Path) -> Graph:
    """Raises InputError, in one line, where the file cannot be a model or points outside its folder."""
    try:
        if path.stat().st_size >= _LARGEST:
            raise InputError(f"{path} has 2 GB or more: not an ONNX model")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if not data:
        raise InputError(f"{path} is empty")
    try:
        graph = _model(memoryview(data))
    except (ValueError, IndexError):  # a text that is not UTF-8 is a ValueError
        graph = Graph()
    if not graph.nodes or not graph.outputs:
        raise InputError(f"{path} is not an ONNX model, or it is cut off or damaged")
    graph.inputs = [tensor for tensor in graph.inputs if tensor.name not in graph.initialisers]
    for location in sorted(graph.external):
        _check_external(path, location)
    return graph


def _check_external(path: Path, location: str) -> None:
    """Weights outside the file lie beside it or below its folder, links followed, or the model is refused."""
    folder = path.parent.resolve()
    inside = PurePosixPath(location)
    target = (folder / location).resolve()
    escapes = (
        inside.is_absolute() or ".." in inside.parts or "\\" in location or not target.is_relative_to(folder)
    )
    if escapes or "\0" in location:
        raise InputError(
            f"{path} keeps weights in {location!r}, outside its folder; such a model is not loaded. "
            "Save it again with its weights inside, or beside it"
        )
    if not target.is_file():
        raise InputError(f"{path} keeps weights in {location!r}, and there is no such file beside it")


# --- protobuf ---------------------------------------------------------------------------------------------------------


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("varint")


def _fields(view: memoryview) -> Iterator[tuple[int, Any]]:
    """(number, value) of a message: an int for a varint, bytes as a view, None for fixed-width fields."""
    at, end = 0, len(view)
    while at < end:
        key, at = _varint(view, at)
        kind = key & 7
        value: Any = None
        if kind == 0:
            value, at = _varint(view, at)
        elif kind == 2:
            length, at = _varint(view, at)
            value, at = view[at : at + length], at + length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError("wire type")
        if at > end or key >> 3 == 0:
            raise ValueError("cut off")
        yield key >> 3, value


def _bytes(value: Any) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError("a message was expected")
    return value


def _text(value: Any) -> str:
    return bytes(_bytes(value)).decode()


def _number(value: Any) -> int:
    """An int64 on the wire."""
    if not isinstance(value, int):
        raise ValueError("a number was expected")
    return value - (1 << 64) if value >> 63 else value


def _pair(view: memoryview) -> tuple[str, str]:
    """StringStringEntryProto, or OperatorSetIdProto with its version as text."""
    entry = dict(_fields(view))
    second = entry.get(2)
    value = str(_number(second)) if isinstance(second, int) else _text(second) if second is not None else ""
    return _text(entry[1]) if 1 in entry else "", value


def _model(view: memoryview) -> Graph:
    graph = Graph()
    for number, value in _fields(view):
        if number == 7:
            _graph(_bytes(value), graph, 0)
        elif number == 8:
            domain, version = _pair(_bytes(value))
            if domain in ("", "ai.onnx"):
                graph.opset = int(version)
        elif number == 14:
            key, text = _pair(_bytes(value))
            graph.metadata[key] = text
        elif number == 25:  # functions of the model's own
            for inner, node in _fields(_bytes(value)):
                if inner == 7:
                    _node(_bytes(node), graph, 1)
    return graph


def _graph(view: memoryview, graph: Graph, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    for number, value in _fields(view):
        if number == 1:
            graph.nodes += depth == 0
            _node(_bytes(value), graph, depth)
        elif number == 5:
            name = _weights(_bytes(value), graph)
            if depth == 0:
                graph.initialisers.add(name)
        elif number == 15:  # sparse: values, indices
            for inner, tensor in _fields(_bytes(value)):
                if inner in (1, 2):
                    _weights(_bytes(tensor), graph)
        elif number == 11 and depth == 0:
            graph.inputs.append(_tensor(_bytes(value)))
        elif number == 12 and depth == 0:
            graph.outputs.append(_tensor(_bytes(value)))


def _node(view: memoryview, graph: Graph, depth: int) -> None:
    """Constants and subgraphs may carry weights too."""
    for number, attribute in _fields(view):
        if number != 5:
            continue
        for inner, value in _fields(_bytes(attribute)):
            if inner in (5, 10):
                _weights(_bytes(value), graph)
            elif inner in (6, 11):
                _graph(_bytes(value), graph, depth + 1)
            elif inner in (22, 23):
                for part, tensor in _fields(_bytes(value)):
                    if part in (1, 2):
                        _weights(_bytes(tensor), graph)


def _weights(view: memoryview, graph: Graph) -> str:
    name = ""
    for number, value in _fields(view):
        if number == 8:
            name = _text(value)
        elif number == 13:
            key, text = _pair(_bytes(value))
            if key == "location":
                graph.external.add(text)
    return name


def _tensor(view: memoryview) -> Tensor:
    name, dtype, shape = "", "not a tensor", None
    for number, value in _fields(view):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for kind, body in _fields(_bytes(value)):
                if kind == 1:
                    dtype, shape = _tensor_type(_bytes(body))
    return Tensor(name, dtype, shape)


def _tensor_type(view: memoryview) -> tuple[str, tuple[int | str, ...] | None]:
    dtype, shape = "unknown", None
    for number, value in _fields(view):
        if number == 1:
            dtype = {**DTYPES, **OTHERS}.get(_number(value), "of an unknown type")
        elif number == 2:
            shape = tuple(_dimension(_bytes(body)) for inner, body in _fields(_bytes(value)) if inner == 1)
    return dtype, shape


def _dimension(view: memoryview) -> int | str:
    found: int | str = "?"
    for number, value in _fields(view):
        if number == 1:
            found = _number(value)
        elif number == 2:
            found = _text(value) or "?"
    return found
