"""A network asked step by step: states carried, given back and set; files that are none of its kind refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="models need onnxruntime")
pytest.importorskip("onnx", reason="the networks of these tests are made with onnx")

import onnx

from rtsynth.errors import InputError
from rtsynth.sequence.network import StepNetwork, load

FLOAT = 1  # TensorProto.FLOAT


def write(path: Path, shape: tuple = (1, 2), out: tuple | None = None, **metadata: str) -> Path:
    """An integrator: sum_out = sum + x, y = gain * sum_out."""
    helper = onnx.helper
    told = {
        "rtsynth_kind": "music",
        "rtsynth_settings": '{"rate": 3}',
        "rtsynth_card": "made here",
    } | metadata
    tensors = [("x", shape), ("gain", (1, 1)), ("sum", (1, 2))]
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["sum", "x"], ["sum_out"]),
            helper.make_node("Mul", ["gain", "sum_out"], ["y"]),
        ],
        "integrator",
        [helper.make_tensor_value_info(name, FLOAT, size) for name, size in tensors],
        [helper.make_tensor_value_info(name, FLOAT, out or (1, 2)) for name in ("y", "sum_out")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {key.replace("_", ".", 1): value for key, value in told.items() if value})
    onnx.save(model, str(path))
    return path


@pytest.fixture
def network(tmp_path: Path) -> StepNetwork:
    return load(write(tmp_path / "integrator.onnx"), "music")


def test_it_says_what_it_is(network: StepNetwork) -> None:
    assert (network.kind, network.settings, network.card) == ("music", {"rate": 3}, "made here")
    assert network.inputs == {"x": (1, 2), "gain": (1, 1)}
    assert network.states == {"sum": (1, 2)}
    assert network.outputs == {"y": (1, 2)}


def test_states_are_carried_and_an_input_left_out_stays(network: StepNetwork) -> None:
    first = network.step(x=[[1.0, 2.0]], gain=10.0)
    second = network.step()
    np.testing.assert_array_equal(first["y"], [[10.0, 20.0]])  # not overwritten by the second
    np.testing.assert_array_equal(second["y"], [[20.0, 40.0]])
    assert set(second) == {"y"}
    network.reset()
    np.testing.assert_array_equal(network.step()["y"], [[10.0, 20.0]])


def test_a_state_is_taken_and_set_again(network: StepNetwork) -> None:
    network.step(x=[1.0, 2.0], gain=1.0)
    kept = network.state()
    branch = [network.step()["y"] for _ in range(3)]
    np.testing.assert_array_equal(kept["sum"], [[1.0, 2.0]])  # a copy
    network.restore(kept)
    for said in branch:
        np.testing.assert_array_equal(network.step()["y"], said)


def test_a_wrong_name_or_shape_is_refused(network: StepNetwork) -> None:
    with pytest.raises(KeyError):
        network.step(sum=1.0)  # a state does not go in by hand
    with pytest.raises(ValueError, match="broadcast"):
        network.step(x=np.zeros(3))


def refused(path: Path | str, kind: str | None = "music") -> str:
    with pytest.raises(InputError) as found:
        load(path, kind)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    good = write(tmp_path / "good.onnx")
    assert "a network for music; one for pen is wanted: rtsynth train pen" in refused(good, "pen")
    assert "does not say what it is for" in refused(write(tmp_path / "none.onnx", rtsynth_kind=""))
    assert "settings" in refused(write(tmp_path / "a.onnx", rtsynth_settings="{"))
    assert "settings" in refused(write(tmp_path / "b.onnx", rtsynth_settings="[1]"))
    assert "open dimension" in refused(write(tmp_path / "c.onnx", shape=("batch", 2)))
    assert "another shape" in refused(write(tmp_path / "d.onnx", out=(1, 3)))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(good.read_bytes()[:100])
    assert "not an ONNX model" in refused(broken)
    assert "no model file" in refused(tmp_path / "absent.onnx")
    assert "no model named 'musik'" in refused("musik")
