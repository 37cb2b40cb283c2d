"""Networks with bound tensors and states that stay on the device: the same as the plain CPU stepper.

Here on the CPU, which shares all but the copies and the graphs; on the GPU where there is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from rtsynth.errors import DeviceError, InputError  # noqa: E402
from rtsynth.inference import cuda as networks  # noqa: E402
from rtsynth.inference.cuda import CudaStepper, installation  # noqa: E402
from rtsynth.inference.manifest import load_manifest  # noqa: E402
from rtsynth.inference.schema import Manifest  # noqa: E402
from rtsynth.inference.steppers import PlainStepper  # noqa: E402
from tests.data import shared  # noqa: E402

GTCRN = """
schema = 1
name = "gtcrn"
sample_rate = 16000
[stft]
n_fft = 512
hop = 256
window = "sqrt-hann"
[input]
name = "mix"
layout = "bins parts"
[output]
name = "enh"
layout = "bins parts"
"""

without_gpu = pytest.mark.skipif(bool(installation().problem), reason=installation().problem or "a GPU")


def two_states(path: Path) -> Manifest:
    """y = tanh(x + a), a' = 0.5 y + b, b' = -0.9 a: two states, each of which needs the other's last value."""
    names = [("x", "y"), ("a", "a_out"), ("b", "b_out")]
    ports = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in side]
        for side in zip(*names, strict=True)
    ]
    nodes = [
        helper.make_node("Add", ["x", "a"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["y"]),
        helper.make_node("Mul", ["y", "half"], ["halved"]),
        helper.make_node("Add", ["halved", "b"], ["a_out"]),
        helper.make_node("Mul", ["a", "loss"], ["b_out"]),
    ]
    constants = [
        numpy_helper.from_array(np.float32(value), name) for name, value in (("half", 0.5), ("loss", -0.9))
    ]
    graph = helper.make_graph(nodes, "two_states", *ports, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return load_manifest(path)


@pytest.fixture(params=["two states", "gtcrn"])
def manifest(request: pytest.FixtureRequest, tmp_path: Path) -> Manifest:
    if request.param == "two states":
        return two_states(tmp_path / "two_states.onnx")
    described = tmp_path / "gtcrn.toml"
    described.write_text(GTCRN)
    return load_manifest(shared("weights/gtcrn_stream/gtcrn.onnx"), described)


def compare(manifest: Manifest, bound: CudaStepper, tolerance: float) -> None:
    """Frames, an odd number of them, a reset, more frames: outputs and states."""
    plain = PlainStepper(manifest)
    rng = np.random.default_rng(1)
    shape: Any = manifest.ports[0].shape
    kept = []
    for turn in range(12):
        if turn == 7:
            plain.reset()
            bound.reset()
        tensor = rng.standard_normal(shape).astype(np.float32)
        wanted = plain.step(tensor)
        kept.append((wanted, bound.step(tensor)))
        for a, b in zip(plain.states(), bound.states(), strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=tolerance)
    for a, b in kept:  # once all are there: a frame may be kept
        assert np.abs(a).max() > 1e-3
        np.testing.assert_allclose(b, a, rtol=0, atol=tolerance)


def test_bound_on_the_cpu(manifest: Manifest) -> None:
    compare(manifest, CudaStepper(manifest, device="cpu"), 1e-6)


@without_gpu
@pytest.mark.parametrize("graphs", [True, False])
def test_on_the_gpu(manifest: Manifest, graphs: bool) -> None:
    """Other orders of sums: 1e-4 of a tensor of standard normals."""
    compare(manifest, CudaStepper(manifest, graphs=graphs), 1e-4)


@pytest.mark.skipif(bool(installation().gpu), reason="there is a GPU here")
def test_without_a_gpu_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"^no GPU: [^\n]*Next: [^\n]+$"):
        CudaStepper(two_states(tmp_path / "two_states.onnx"))


class _Stream:
    """Enough of a stream to open a session with."""

    address = 4096


class _Session:
    def __init__(self, *providers: str) -> None:
        self._providers = providers

    def get_providers(self) -> list[str]:
        return list(self._providers)


def opened(monkeypatch: pytest.MonkeyPatch, open_session: Any) -> tuple[Any, bool]:
    """What a stepper opens on a GPU where onnxruntime behaves like `open_session(graphs)`."""

    def opening(manifest: Any, options: Any, providers: list[Any]) -> Any:
        (_, settings), fallback = providers
        assert fallback == "CPUExecutionProvider"
        assert settings["use_tf32"] == "0"
        assert settings["user_compute_stream"] == "4096"
        return open_session(settings["enable_cuda_graph"] == "1")

    monkeypatch.setattr(networks, "open_session", opening)
    monkeypatch.setattr(networks, "_load_libraries", lambda: None)
    stepper = CudaStepper.__new__(CudaStepper)
    stepper.stream, stepper._options = _Stream(), None  # type: ignore[assignment]
    return stepper._open(None, graphs=True)  # type: ignore[arg-type]


def test_a_network_that_no_graph_can_hold_runs_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(graphs: bool) -> _Session:
        if graphs:
            raise InputError("x.onnx cannot be loaded: nodes have not been partitioned to CUDA")
        return _Session(networks.PROVIDER, "CPUExecutionProvider")

    session, graphs = opened(monkeypatch, refusing)
    assert not graphs
    assert networks.PROVIDER in session.get_providers()


def test_a_fall_back_to_the_cpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime goes on without CUDA where a library is missing, and says so on stdout only."""
    with pytest.raises(DeviceError, match=r"no CUDA or cuDNN libraries[^\n]*Next: pip"):
        opened(monkeypatch, lambda graphs: _Session("CPUExecutionProvider"))


def test_a_state_that_changes_shape_is_refused(tmp_path: Path) -> None:
    manifest = two_states(tmp_path / "two_states.onnx")
    network = onnx.load(manifest.path)
    network.graph.node.append(helper.make_node("Concat", ["a_out", "a_out"], ["long"], axis=1))
    network.graph.output.append(helper.make_tensor_value_info("long", TensorProto.FLOAT, [1, 16]))
    onnx.save(network, manifest.path)
    first, second = manifest.states or ()
    states = (msgspec.structs.replace(first, output="long"), second)
    with pytest.raises(InputError, match=r"state a \(1, 8\) comes out as long \(1, 16\)"):
        CudaStepper(msgspec.structs.replace(manifest, states=states), device="cpu")


@pytest.mark.parametrize(
    ("packages", "provider", "problem"),
    [
        ({"onnxruntime": "1.31.1"}, False, "onnxruntime without CUDA"),
        ({"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"}, False, "lies over onnxruntime-gpu"),
        ({"onnxruntime-gpu": "1.31.1"}, False, "onnxruntime-gpu is broken"),
        ({"onnxruntime-gpu": "1.31.1"}, True, ""),
    ],
)
def test_what_is_installed(
    monkeypatch: pytest.MonkeyPatch, packages: dict[str, str], provider: bool, problem: str
) -> None:
    device = networks.cuda.Gpu("NVIDIA X", 8 << 30, (9, 0), 132, "13.0")
    monkeypatch.setattr(networks.cuda, "gpu", lambda: device)
    monkeypatch.setattr(networks, "_version", lambda name: packages.get(name, ""))
    monkeypatch.setattr(networks, "_has_provider", lambda: provider)
    found = installation()
    assert found.gpu == "NVIDIA X, 8 GiB, driver for CUDA 13.0"
    assert problem in found.problem
    assert bool(found.problem) == bool(problem)
    assert found.repair == (networks.REPAIR if problem else "")
