"""Files that are no models, or models that will not do: one line each, exit code 5."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.inference.graph import read_graph
from rtsynth.inference.manifest import load_manifest
from rtsynth.inference.model import StreamingModel
from tests.inference import networks
from tests.inference.networks import node, save

onnx = pytest.importorskip("onnx", reason="making networks needs the package onnx")
pytest.importorskip("onnxruntime", reason="running networks needs onnxruntime")

MUTATIONS = 400


def refusal(path: Path) -> str:
    """The one line with which a model is refused."""
    with pytest.raises(InputError) as caught:
        StreamingModel(load_manifest(path))
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert len(message) < 500
    assert caught.value.exit_code == 5
    return message


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ((1, 1, 64, 1), "has rank 4"),
        ((), "has rank 0"),
        ((1, "T"), "x (1, T) has an open dimension. Fix it in a manifest"),
        ((1, None), "x (1, ?) has an open dimension"),
        ((2, 64), "takes several channels"),
        ((1, 0), "takes 0 samples"),
    ],
)
def test_shapes(tmp_path: Path, shape: tuple, complaint: str) -> None:
    assert complaint in refusal(networks.identity(tmp_path / "m.onnx", shape))


@pytest.mark.parametrize(
    ("number", "name"), [(11, "float64"), (10, "float16"), (16, "bfloat16"), (7, "int64")]
)
def test_types(tmp_path: Path, number: int, name: str) -> None:
    assert f"is {name}; sound goes in" in refusal(networks.identity(tmp_path / "m.onnx", dtype=number))


def test_a_state_that_cannot_be_carried(tmp_path: Path) -> None:
    nodes = [node("Identity", "x", "y"), node("Identity", "h", "hn")]
    ports = [("x", (1, 8)), ("h", (2,))], [("y", (1, 8)), ("hn", (2,))]
    path = save(tmp_path / "m.onnx", nodes, *ports, dtype={"h": 8, "hn": 8})  # strings
    assert "state h (2) is string, and cannot be carried" in refusal(path)


@pytest.mark.parametrize(
    ("inputs", "outputs", "complaint"),
    [
        ([("h", (2, 8))], [], "state h (2, 8) comes in and does not go out"),
        ([("h", (2, 8))], [("hn", (2, 9))], "state h (2, 8) comes out as hn (2, 9)"),
        ([("a", (2,)), ("b", (2,))], [("c", (2,)), ("d", (2,))], "cannot tell where the sound goes in"),
        ([], [("z", (1, 64))], "cannot tell where the sound comes out"),
    ],
)
def test_states_that_do_not_pair(tmp_path: Path, inputs: list, outputs: list, complaint: str) -> None:
    sound = ("s1", "s2") if len(inputs) == 2 or (outputs and not inputs) else ("x", "y")
    nodes = [node("Identity", *sound)]
    nodes += [node("ConstantOfShape", "shape", name) for name, _ in outputs]
    path = save(
        tmp_path / "m.onnx",
        nodes,
        [(sound[0], (1, 64)), *inputs],
        [(sound[1], (1, 64)), *outputs],
        {"shape": np.array([1])},
    )
    assert complaint in refusal(path)


def test_no_sound_goes_in(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [node("Constant", "", "y", value_floats=[0.0])], [], [("y", (1,))])
    assert "cannot tell where the sound goes in, among: nothing" in refusal(path)


# --- what only the runtime can know -----------------------------------------------------------------------------------


def changed(path: Path, change: Any) -> Path:
    model = onnx.load(networks.identity(path))
    change(model)
    onnx.save(model, path)
    return path


def test_newer_than_the_runtime(tmp_path: Path) -> None:
    def opset(model: Any) -> None:
        model.opset_import[0].version = 99

    def version(model: Any) -> None:
        model.ir_version = 99

    assert "opset 99 is newer than this onnxruntime's" in refusal(changed(tmp_path / "a.onnx", opset))
    assert "format 99 is newer than" in refusal(changed(tmp_path / "b.onnx", version))


def test_operators_of_its_own(tmp_path: Path) -> None:
    def own(model: Any) -> None:
        model.graph.node[0].domain = "my.ops"
        model.graph.node[0].op_type = "Wobble"
        model.opset_import.append(onnx.helper.make_opsetid("my.ops", 1))

    assert "it uses my.ops:Wobble, an operator that is not ONNX's own" in refusal(
        changed(tmp_path / "a.onnx", own)
    )


def test_a_cycle(tmp_path: Path) -> None:
    nodes = [node("Add", "x b", "a"), node("Identity", "a", "b"), node("Identity", "a", "y")]
    refusal(save(tmp_path / "m.onnx", nodes, [("x", (1, 8))], [("y", (1, 8))]))


# --- what is no file of the kind --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is empty"),
        (b"no model at all\n" * 20, "is not an ONNX model, or it is cut off or damaged"),
        (b"\x00" * 100, "is not an ONNX model"),
        (b"\xff" * 100, "is not an ONNX model"),
        (b"\x08\x08", "is not an ONNX model"),  # a message, but without a graph
        (b"PK\x03\x04 a zip, such as a torch checkpoint is", "is not an ONNX model"),
    ],
)
def test_what_is_no_model(tmp_path: Path, data: bytes, complaint: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    assert complaint in refusal(path)


def test_a_folder_and_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "d.onnx").mkdir()
    assert "no model file" in refusal(tmp_path / "d.onnx")
    if os.getuid():  # root reads everything
        path = networks.identity(tmp_path / "m.onnx")
        path.chmod(0)
        assert "cannot read" in refusal(path)


def test_cut_anywhere_it_is_refused(tmp_path: Path) -> None:
    """At every byte: never another error, and never taken for whole while its graph is cut."""
    whole = networks.gru(tmp_path / "whole.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        try:
            graph = read_graph(path)
        except InputError:
            continue
        assert len(graph.outputs) == 2, length  # the graph ends before the file does


def test_damaged_anywhere_it_is_read_or_refused(tmp_path: Path) -> None:
    """Single bytes changed at random (seeded): a manifest, or InputError; never another exception."""
    whole = bytearray(networks.gru(tmp_path / "whole.onnx").read_bytes())
    path, rng = tmp_path / "damaged.onnx", np.random.default_rng(11)
    read = 0
    for _ in range(MUTATIONS):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            load_manifest(path)
            read += 1
    assert 0 < read < MUTATIONS


def test_nested_without_end(tmp_path: Path) -> None:
    """A graph in a node in a graph in …: refused, not a stack that overflows."""
    graph = b""
    for _ in range(2000):
        for number in (6, 5, 1):  # graph of an attribute of a node of a graph
            graph = field(number, graph)
    path = tmp_path / "m.onnx"
    path.write_bytes(field(7, graph))
    assert "is not an ONNX model" in refusal(path)


def field(number: int, body: bytes) -> bytes:
    """A length-delimited protobuf field."""
    size, length = b"", len(body)
    while True:
        size += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
        length >>= 7
        if not length:
            return bytes([number << 3 | 2]) + size + body


# --- weights outside the file -----------------------------------------------------------------------------------------


def with_external(path: Path, location: str, *, in_constant: bool = False) -> Path:
    """y = x w, with w (1, 64) kept in another file."""
    weights = onnx.numpy_helper.from_array(np.ones((1, 64), np.float32), "w")
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "256")):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    nodes = [node("Mul", "x w", "y")]
    if in_constant:
        nodes.insert(0, onnx.helper.make_node("Constant", [], ["w"], value=weights))
    save(path, nodes, [("x", (1, 64))], [("y", (1, 64))])
    if not in_constant:
        model = onnx.load(path, load_external_data=False)
        model.graph.initializer.append(weights)
        path.write_bytes(model.SerializeToString())
    return path


def test_weights_beside_it_are_read(tmp_path: Path) -> None:
    np.full((1, 64), 3, np.float32).tofile(tmp_path / "w.bin")
    model = StreamingModel(load_manifest(with_external(tmp_path / "m.onnx", "w.bin")))
    np.testing.assert_array_equal(model.step(np.ones(64, np.float32)), np.full((64, 1), 3, np.float32))


@pytest.mark.parametrize("in_constant", [False, True])
@pytest.mark.parametrize("kind", ["above", "absolute", "through a link", "dots within", "backslashes"])
def test_weights_outside_its_folder_are_not_opened(tmp_path: Path, kind: str, in_constant: bool) -> None:
    """Refused by what the file says, without a runtime that might open them."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    outside = tmp_path / "secret.bin"
    np.ones((1, 64), np.float32).tofile(outside)
    (folder / "link.bin").symlink_to(outside)
    location = {
        "above": "../secret.bin",
        "absolute": str(outside),
        "through a link": "link.bin",
        "dots within": "sub/../../secret.bin",
        "backslashes": "..\\secret.bin",
    }[kind]
    path = with_external(folder / "m.onnx", location, in_constant=in_constant)
    with pytest.raises(InputError, match="outside its folder; such a model is not loaded") as caught:
        load_manifest(path)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    assert "there is no such file beside it" in refusal(with_external(tmp_path / "m.onnx", "gone.bin"))
