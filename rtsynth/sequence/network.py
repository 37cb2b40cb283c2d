"""A network that is asked step by step: an ONNX file, its states carried, its settings and card inside it.

An input that comes out again with `_out` after its name is a state; the others are what goes in, what is left what
comes out. States begin as zeros. Written by `rtsynth.training.stepping.export_step`.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.inference.graph import Graph, Tensor, read_graph
from rtsynth.inference.manifest import directory
from rtsynth.inference.session import one_line, runtime, session_options

if TYPE_CHECKING:
    import onnxruntime

Array = NDArray[Any]
KIND, SETTINGS, CARD = "rtsynth.kind", "rtsynth.settings", "rtsynth.card"  # metadata of the file
MARK = "_out"  # of a state that comes out


class StepNetwork:
    """`step(x=…)` -> {name: array}. Raises InputError where the file is none of `kind`."""

    def __init__(self, path: str | Path, kind: str | None = None) -> None:
        self.path = Path(path)
        graph = read_graph(self.path)
        self.kind, self.settings, self.card = _described(graph, self.path, kind)
        entering, leaving = _tensors(graph.inputs, self.path), _tensors(graph.outputs, self.path)
        names = [name for name in entering if name + MARK in leaving]
        for name in names:
            if not _alike(entering[name], leaving[name + MARK]):
                raise InputError(f"{self.path}: state {name} comes out in another shape than it goes in")
        self.states = {name: entering[name].shape for name in names}
        self.inputs = {name: zero.shape for name, zero in entering.items() if name not in names}
        self.outputs = {
            name: zero.shape
            for name, zero in leaving.items()
            if name not in {state + MARK for state in names}
        }
        self._in = {name: entering[name] for name in self.inputs}
        self._out = {name: leaving[name] for name in self.outputs}
        self._states = [{name: np.zeros_like(entering[name]) for name in names} for _ in range(2)]
        self._turn = 0  # which states the next step reads; it writes the others
        self._session = _open(self.path)
        self._bindings = [self._bind(turn) for turn in range(2)]

    def step(self, **inputs: Any) -> dict[str, Array]:
        """What goes in by name, of the shapes in `inputs` or such as spread over them -> what comes out, copies.

        An input left out is what it was at the last step, zeros at first.
        """
        for name, value in inputs.items():
            np.copyto(self._in[name], value)
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn = 1 - self._turn
        return {name: out.copy() for name, out in self._out.items()}

    def reset(self) -> None:
        """States to zero."""
        for state in self._states[self._turn].values():
            state[...] = 0

    def state(self) -> dict[str, Array]:
        """A copy of the states as they stand."""
        return {name: state.copy() for name, state in self._states[self._turn].items()}

    def restore(self, state: dict[str, Array]) -> None:
        """States as `state()` gave them."""
        for name, value in state.items():
            np.copyto(self._states[self._turn][name], value)

    def _bind(self, turn: int) -> onnxruntime.IOBinding:
        """Where the network finds what it reads in this turn, and puts what it writes: our own arrays."""
        binding = self._session.io_binding()
        value = runtime().OrtValue.ortvalue_from_numpy  # shares an array's memory
        for name, array in (self._in | self._states[turn]).items():
            binding.bind_ortvalue_input(name, value(array))
        written = {name + MARK: array for name, array in self._states[1 - turn].items()}
        for name, array in (self._out | written).items():
            binding.bind_ortvalue_output(name, value(array))
        return binding


def load(model: str | Path, kind: str | None = None) -> StepNetwork:
    """A network by its .onnx file, or by the name of a shipped one. Raises InputError."""
    path = Path(model)
    if path.suffix != ".onnx" and path.name == str(model) and not path.exists():
        path = directory() / f"{model}.onnx"
        if not path.is_file():
            shipped = [found.stem for found in sorted(directory().glob("*.onnx"))]
            near = difflib.get_close_matches(str(model), shipped, 1)
            hint = f"Did you mean '{near[0]}'?" if near else "Give the path of an .onnx file"
            raise InputError(f"no model named '{model}'. {hint}")
    if not path.is_file():
        raise InputError(f"no model file {path}")
    return StepNetwork(path, kind)


def _described(graph: Graph, path: Path, wanted: str | None) -> tuple[str, dict[str, Any], str]:
    """Kind, settings, card, out of the file's metadata."""
    kind = graph.metadata.get(KIND, "")
    if not kind:
        raise InputError(f"{path} does not say what it is for: not a network of rtsynth train")
    if wanted is not None and kind != wanted:
        raise InputError(
            f"{path} is a network for {kind}; one for {wanted} is wanted: rtsynth train {wanted}"
        )
    try:
        settings = json.loads(graph.metadata.get(SETTINGS, "{}"))
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise InputError(f"{path}: the settings among its metadata are damaged")
    return kind, settings, graph.metadata.get(CARD, "")


def _tensors(listed: list[Tensor], path: Path) -> dict[str, Array]:
    """Zeros for every tensor; its shape is fixed, or the file is refused."""
    made = {}
    for tensor in listed:
        if tensor.shape is None or not all(isinstance(n, int) and n >= 0 for n in tensor.shape):
            raise InputError(f"{path}: {tensor} has an open dimension")
        try:
            made[tensor.name] = np.zeros([int(n) for n in tensor.shape], tensor.dtype)
        except (TypeError, ValueError, MemoryError):
            raise InputError(f"{path}: {tensor} of {tensor.dtype} cannot be held") from None
    return made


def _alike(one: Array, other: Array) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype


def _open(path: Path) -> onnxruntime.InferenceSession:
    onnxruntime = runtime()
    try:
        return onnxruntime.InferenceSession(str(path), session_options(), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes derive from nothing narrower
        raise InputError(f"{path} cannot be loaded: {one_line(error)}") from None
