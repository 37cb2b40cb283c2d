"""Networks on a GPU: onnxruntime's CUDA provider with everything bound beforehand and the states left on the device.

There are two sets of states and two bindings: one step reads the first set and writes the second, the next one the
other way round. Each binding has its own CUDA graph (`gpu_graph_id`), recorded when the stepper is made and replayed at
the same addresses from then on. States written in place would go wrong while a graph is recorded, because onnxruntime
runs the network more than once for it (microsoft/onnxruntime#32243); copying them back costs as many copies
as there are states in every frame, a second graph only some memory.

A frame goes through page-locked host memory on one stream of our own: copy in, graph, copy out, one wait. TF32 is off:
it would answer 1e-3 apart from the CPU.
"""

from __future__ import annotations

import contextlib
import io
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth import cuda
from rtsynth.errors import DeviceError, InputError
from rtsynth.inference.schema import Manifest
from rtsynth.inference.session import numpy_type, open_session, session_options

if TYPE_CHECKING:
    import onnxruntime

PROVIDER = "CUDAExecutionProvider"
PACKAGES = "onnxruntime", "onnxruntime-gpu"
NO_GRAPH = -1
WARM_UP = (
    3  # runs of each binding: onnxruntime records a graph in the first that it is asked for, or in the third
)
REPAIR = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'onnxruntime-gpu[cuda,cudnn]'"

Tensor = NDArray[Any]


class Installation(NamedTuple):
    """What is installed for networks on a GPU, and what to do about it."""

    onnxruntime: str  # which packages, with versions; "" for none
    gpu: str  # its name and memory; "" for none
    problem: str  # "": networks run on the GPU
    repair: str  # the command to type; "" where none helps


def installation() -> Installation:
    """Look, without opening a session. Never raises."""
    found = {name: _version(name) for name in PACKAGES}
    packages = ", ".join(f"{name} {of}" for name, of in found.items() if of)
    try:
        device = cuda.gpu()
    except DeviceError as error:
        return Installation(packages, "", str(error), "")
    gpu = f"{device.name}, {device.memory / 2**30:.0f} GiB, driver for CUDA {device.driver}"
    if not found["onnxruntime-gpu"]:
        return Installation(packages, gpu, "onnxruntime without CUDA", REPAIR)
    if not _has_provider():
        both = "onnxruntime lies over onnxruntime-gpu: both own the same files"
        return Installation(
            packages, gpu, both if found["onnxruntime"] else "onnxruntime-gpu is broken", REPAIR
        )
    return Installation(packages, gpu, "", "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _has_provider() -> bool:
    try:
        import onnxruntime

        return PROVIDER in onnxruntime.get_available_providers()
    except Exception:  # a broken installation raises whatever it likes
        return False


class CudaStepper:
    """A `Stepper` whose tensors are bound and whose states stay where they are computed. [one thread]

    device "cpu": the same bindings on the CPU, where there is no graph; to test them where no GPU is.
    """

    def __init__(
        self,
        manifest: Manifest,
        options: onnxruntime.SessionOptions | None = None,
        *,
        device: str = "cuda",
        graphs: bool = True,
    ) -> None:
        self.stream = cuda.Stream() if device == "cuda" else None
        self.provider = "CUDA" if self.stream else "CPU"
        self._options = session_options() if options is None else options
        self._session, self.graphs = self._open(manifest, graphs and self.stream is not None)
        sound_in, sound_out, starts = self._look(manifest)
        self._starts = starts
        self._host_in, self._host_out = self._host(sound_in), self._host(sound_out)
        self._in, self._out = self._value(self._host_in), self._value(self._host_out)
        self._states = [[self._value(start.copy()) for start in starts] for _ in range(2)]
        self._turn = 0  # which states the next step reads
        self._bindings = [self._bind(manifest, turn) for turn in range(2)]
        self._runs = [_run_options(turn + 1 if self.graphs else NO_GRAPH, wait=False) for turn in range(2)]
        for _ in range(WARM_UP * len(self._bindings)):  # records both graphs
            self.step(sound_in)
        self.reset()

    def step(self, tensor: Tensor) -> Tensor:
        """Input tensor → output tensor, a copy: whoever gathers frames may keep it."""
        np.copyto(self._host_in, tensor)
        if self.stream:
            self.stream.upload(self._in.data_ptr(), self._host_in)
        self.compute()
        if self.stream:
            self.stream.download(self._host_out, self._out.data_ptr())
            self.stream.synchronize()
        return self._host_out.copy()

    def compute(self) -> None:
        """The network alone, on the frame that lies on the device: begun there, not waited for."""
        self._session.run_with_iobinding(self._bindings[self._turn], self._runs[self._turn])
        self._turn = 1 - self._turn

    def reset(self) -> None:
        for value, start in zip(self._states[self._turn], self._starts, strict=True):
            value.update_inplace(start)
        if self.stream:
            cuda.synchronize()  # that was on another stream

    def states(self) -> list[Tensor]:
        """Copies, fetched from the device."""
        return [value.numpy() for value in self._states[self._turn]]

    def _open(self, manifest: Manifest, graphs: bool) -> tuple[onnxruntime.InferenceSession, bool]:
        """The session, and whether it records graphs: not with control flow, or with nodes that only the CPU has."""
        if self.stream is None:
            return open_session(manifest, self._options), False
        _load_libraries()
        try:
            return self._open_on_gpu(manifest, graphs), graphs
        except InputError:
            if not graphs:
                raise
            return self._open_on_gpu(manifest, False), False

    def _open_on_gpu(self, manifest: Manifest, graphs: bool) -> onnxruntime.InferenceSession:
        assert self.stream is not None
        provider = {
            "device_id": "0",
            "user_compute_stream": str(self.stream.address),
            "enable_cuda_graph": str(int(graphs)),
            "cudnn_conv_algo_search": "HEURISTIC",  # EXHAUSTIVE takes seconds, and may choose otherwise the next time
            "use_tf32": "0",
        }
        with contextlib.redirect_stdout(io.StringIO()):  # where it says that it falls back to the CPU
            session = open_session(manifest, self._options, [(PROVIDER, provider), "CPUExecutionProvider"])
        if PROVIDER not in session.get_providers():
            raise DeviceError(
                f"onnxruntime found no CUDA or cuDNN libraries that it can load. Next: {REPAIR}"
            )
        return session

    def _look(self, manifest: Manifest) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Zeros for input and output, and what the states start as, of the shapes that a plain run shows."""
        source, sink = manifest.ports
        states = manifest.states or ()
        types = {port.name: numpy_type(port.type) for port in self._session.get_inputs()}
        starts = [np.full(state.shape or (), state.start, types[state.input]) for state in states]
        sound = np.zeros(source.shape or (), types[source.name])
        feed = {
            source.name: sound,
            **{state.input: start for state, start in zip(states, starts, strict=True)},
        }
        try:
            out, *others = self._session.run(
                [sink.name, *(state.output for state in states)], feed, _run_options(NO_GRAPH, wait=True)
            )
        except Exception as error:  # onnxruntime's own classes derive from nothing narrower
            raise InputError(f"{manifest.path} does not run: {' '.join(str(error).split())[:300]}") from None
        for state, start, other in zip(states, starts, others, strict=True):
            if other.shape != start.shape or other.dtype != start.dtype:
                raise InputError(
                    f"{manifest.path}: state {state.input} {start.shape} comes out as {state.output} {other.shape}"
                )
        return sound, np.zeros_like(out), starts

    def _host(self, zeros: Tensor) -> Tensor:
        """Memory of the host that a frame goes through."""
        return zeros.copy() if self.stream is None else cuda.pinned(zeros.shape, zeros.dtype)

    def _value(self, array: Tensor) -> onnxruntime.OrtValue:
        """What the session sees: on the CPU the same memory, on the GPU some of its own that begins alike."""
        import onnxruntime

        return onnxruntime.OrtValue.ortvalue_from_numpy(array, "cpu" if self.stream is None else "cuda", 0)

    def _bind(self, manifest: Manifest, turn: int) -> onnxruntime.IOBinding:
        binding = self._session.io_binding()
        source, sink = manifest.ports
        binding.bind_ortvalue_input(source.name, self._in)
        binding.bind_ortvalue_output(sink.name, self._out)
        for state, read, written in zip(
            manifest.states or (), self._states[turn], self._states[1 - turn], strict=True
        ):
            binding.bind_ortvalue_input(state.input, read)
            binding.bind_ortvalue_output(state.output, written)
        return binding


def _run_options(graph: int, wait: bool) -> onnxruntime.RunOptions:
    """The graph of a binding, and whether a run waits for the GPU: a step has one wait, after the copy out."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(graph))
    options.add_run_config_entry("disable_synchronize_execution_providers", str(int(not wait)))
    return options


def _load_libraries() -> None:
    """CUDA and cuDNN from pip's nvidia-* packages, which are on no library path; what is missing shows at opening."""
    import onnxruntime

    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()
