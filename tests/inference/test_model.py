"""One frame in, one out: states carried, forgotten, watched; two channels; what is not finite; devices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from rtsynth.errors import DeviceError, InputError, RtsynthError
from rtsynth.inference import cuda
from rtsynth.inference.manifest import load_manifest
from rtsynth.inference.model import StreamingModel
from rtsynth.inference.pipeline import Pipeline
from rtsynth.inference.steppers import CpuStepper, PlainStepper
from tests.inference import networks
from tests.inference.networks import node, save, write_manifest

ROOT = Path(__file__).parents[2]

pytest.importorskip("onnxruntime", reason="running networks needs onnxruntime")


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.2, count).astype(np.float32)


def frames_of(samples: np.ndarray, frame: int) -> np.ndarray:
    return samples.reshape(-1, frame)


def test_states_are_carried_from_frame_to_frame(tmp_path: Path) -> None:
    """A one-pole filter in frames of 64 is the one-pole filter."""
    model = StreamingModel(load_manifest(networks.one_pole(tmp_path / "m.onnx", pole=0.95)))
    x = noise(64 * 20)
    y = np.concatenate([model.step(frame) for frame in frames_of(x, 64)])
    assert y.shape == (len(x), 1)
    np.testing.assert_allclose(y[:, 0], lfilter([1], [1, -0.95], x), atol=1e-5)
    np.testing.assert_array_equal(model.states["h"], y[-1:])


def test_reset_forgets(tmp_path: Path) -> None:
    model = StreamingModel(load_manifest(networks.gru(tmp_path / "m.onnx")))
    x = frames_of(noise(640), 64)
    first = [model.step(frame) for frame in x]
    assert np.abs(model.states["h"]).max() > 0
    model.reset()
    assert np.abs(model.states["h"]).max() == 0
    np.testing.assert_array_equal([model.step(frame) for frame in x], first)


@pytest.mark.parametrize("shape", [(1, 2, 64), (1, 64, 2)])
def test_two_channels(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """Left and right, whichever axis is first; a pipeline keeps them apart."""
    axis = shape.index(2)
    nodes = [
        node("Neg", "x", "n"),
        node("Reshape", "x one", "a"),
        node("Reshape", "n one", "b"),
        node("Concat", "a b", "y", axis=axis),
    ]
    one = np.array([1 if i == axis else size for i, size in enumerate(shape)])
    path = save(tmp_path / "m.onnx", nodes, [("x", (1, 64))], [("y", shape)], {"one": one})
    model = StreamingModel(load_manifest(path))
    x = noise(640)
    y = Pipeline(model, 48000).push(x)
    np.testing.assert_array_equal(y, np.stack([x, -x], axis=1))


def test_types_and_shapes_of_states_are_the_networks(tmp_path: Path) -> None:
    """float64, int64, bool, a scalar and an empty one."""
    kinds = {
        "d": (11, np.float64, (2,)),
        "i": (7, np.int64, ()),
        "b": (9, np.bool_, (3,)),
        "e": (1, np.float32, (0,)),
    }
    nodes = [node("Identity", "x", "y"), *(node("Identity", name, f"{name}_out") for name in kinds)]
    shapes = {name: shape for name, (_, _, shape) in kinds.items()}
    path = save(
        tmp_path / "m.onnx",
        nodes,
        [("x", (1, 8)), *shapes.items()],
        [("y", (1, 8)), *((f"{name}_out", shape) for name, shape in shapes.items())],
        dtype={name + mark: number for name, (number, _, _) in kinds.items() for mark in ("", "_out")},
    )
    model = StreamingModel(load_manifest(path))
    for name, (_, dtype, shape) in kinds.items():
        assert (model.states[name].dtype, model.states[name].shape) == (dtype, shape)
    pipeline = Pipeline(model, 48000)
    pipeline.push(np.zeros(48_000, np.float32))
    assert pipeline.rested > 0


def test_what_is_not_finite_comes_out_as_zeros(tmp_path: Path) -> None:
    """The frame that does it is silent and counted, and its poisoned state is gone: the next frame is whole again."""
    model = StreamingModel(load_manifest(networks.fussy(tmp_path / "m.onnx")))
    x = np.full((5, 64), 0.25, np.float32)
    x[2, 10] = 0.75
    y = np.stack([model.step(frame)[:, 0] for frame in x])
    expected = np.where(np.arange(5)[:, None] == 2, np.float32(0), x)
    np.testing.assert_array_equal(y, expected)
    assert model.not_finite == 64
    assert np.isfinite(model.states["h"]).all()


def test_output_and_states_are_probed(tmp_path: Path) -> None:
    """What the graph leaves open, and what it says wrongly, is found before it plays."""
    x = [("x", (1, 8))]
    odd = save(tmp_path / "odd.onnx", [node("Concat", "x x", "y", axis=1)], x, [("y", (1, "T"))])
    with pytest.raises(InputError, match=r"y comes out as float32 \(1, 16\); 8 float32 numbers are needed"):
        StreamingModel(load_manifest(odd, write_manifest(tmp_path / "mono.toml", channels=1)))
    nodes = [node("Identity", "x", "y"), node("Concat", "h h", "hn", axis=0)]
    grows = save(tmp_path / "grows.onnx", nodes, [*x, ("h", (2,))], [("y", (1, 8)), ("hn", ("n",))])
    with pytest.raises(InputError, match=r"state h \(2,\) comes out as hn \(4,\)"):
        StreamingModel(load_manifest(grows))
    nodes = [node("Reshape", "x wrong", "y")]
    fails = save(tmp_path / "fails.onnx", nodes, x, [("y", ("T",))], {"wrong": np.array([7])})
    with pytest.raises(InputError, match=r"fails\.onnx") as caught:
        StreamingModel(load_manifest(fails))
    assert "\n" not in str(caught.value)


def test_bound_tensors_are_what_plain_runs_give(tmp_path: Path) -> None:
    """Bit for bit, over resets, whatever is kept of it."""
    manifest = load_manifest(networks.gru(tmp_path / "m.onnx"))
    plain, bound = PlainStepper(manifest), CpuStepper(manifest)
    kept = []
    for turn, frame in enumerate(frames_of(noise(64 * 11), 64)):
        if turn in (4, 7):
            plain.reset()
            bound.reset()
        kept.append((plain.step(frame[None]), bound.step(frame[None])))
        np.testing.assert_array_equal(bound.states()[0], plain.states()[0])
    for wanted, found in kept:
        np.testing.assert_array_equal(found, wanted)


# --- devices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repair", ["", "pip install something"])
def test_no_gpu_is_said_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repair: str
) -> None:
    manifest = load_manifest(networks.identity(tmp_path / "m.onnx"))
    missing = cuda.Installation("onnxruntime 1.31", "", "no driver", repair)
    monkeypatch.setattr(cuda, "installation", lambda: missing)
    with pytest.raises(DeviceError) as caught:
        StreamingModel(manifest, device="cuda")
    assert str(caught.value) == ("no driver. Next: pip install something" if repair else "no driver")
    assert caught.value.exit_code == 3
    assert StreamingModel(manifest, device="auto").provider == "CPU"
    with pytest.raises(DeviceError, match="cpu, cuda and auto"):
        StreamingModel(manifest, device="tpu")


def test_no_onnxruntime_is_said_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = load_manifest(networks.identity(tmp_path / "m.onnx"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RtsynthError, match=r"pip install 'rtsynth\[models\]'"):
        StreamingModel(manifest)


def test_it_computes_on_one_thread_and_says_nothing(tmp_path: Path) -> None:
    """No session starts a thread, and a model that the runtime dislikes leaves stderr empty."""
    good, bad = networks.gru(tmp_path / "m.onnx"), tmp_path / "bad.onnx"
    save(bad, [node("Nonsense", "x", "y")], [("x", (1, 8))], [("y", (1, 8))])
    code = (
        "import os, sys, numpy as np; from rtsynth.inference.manifest import load_manifest; "
        "from rtsynth.inference.model import StreamingModel; from rtsynth.errors import InputError; "
        "import onnxruntime; before = os.listdir('/proc/self/task'); "
        f"model = StreamingModel(load_manifest({str(good)!r})); model.step(np.zeros(64, np.float32)); "
        "print(len(os.listdir('/proc/self/task')) - len(before))\n"
        f"try: StreamingModel(load_manifest({str(bad)!r}))\n"
        "except InputError as error: print(error)\n"
    )
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": ""}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment
    )
    assert run.stderr == ""
    assert run.stdout.splitlines() == [
        "0",
        f"{bad} cannot be loaded: it uses Nonsense, and there is no such operator",
    ]


def test_the_thread_that_opens_a_session_keeps_its_denormals() -> None:
    """They are zero in the worker, which asks for it (see test_process.py), and nowhere else."""
    model = StreamingModel(load_manifest("drive"))
    model.step(np.zeros(model.frame, np.float32))
    assert np.float32(1e-38) * np.float32(1e-3) > 0
