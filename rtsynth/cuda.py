"""The NVIDIA driver by ctypes: is there a GPU, a stream for copies and kernels, page-locked memory, graphs.

numba and onnxruntime each bring some of this and neither all of it: onnxruntime cannot page-lock its host buffers,
numba cannot record a graph. libcuda.so.1 comes with the driver, whatever CUDA wheels are installed, and works on the
primary context that both of them use, so a stream made here can be handed to either.

A graph is a recorded sequence of copies and kernels that one call starts again, at the same addresses.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rtsynth.errors import DeviceError

LIBRARY = "libcuda.so.1"
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: does not wait for the default stream
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may go on allocating
_MAJOR, _MINOR, _MULTIPROCESSORS = 75, 76, 16  # CUdevice_attribute

_SIGNATURES: dict[str, list[Any]] = {
    "cuInit": [c_uint],
    "cuDriverGetVersion": [POINTER(c_int)],
    "cuGetErrorString": [c_int, POINTER(c_char_p)],
    "cuDeviceGetCount": [POINTER(c_int)],
    "cuDeviceGet": [POINTER(c_int), c_int],
    "cuDeviceGetName": [c_char_p, c_int, c_int],
    "cuDeviceGetAttribute": [POINTER(c_int), c_int, c_int],
    "cuDeviceTotalMem_v2": [POINTER(c_size_t), c_int],
    "cuDevicePrimaryCtxRetain": [POINTER(c_void_p), c_int],
    "cuCtxSetCurrent": [c_void_p],
    "cuCtxSynchronize": [],
    "cuMemHostAlloc": [POINTER(c_void_p), c_size_t, c_uint],
    "cuMemFreeHost": [c_void_p],
    "cuMemcpyHtoDAsync_v2": [c_uint64, c_void_p, c_size_t, c_void_p],
    "cuMemcpyDtoHAsync_v2": [c_void_p, c_uint64, c_size_t, c_void_p],
    "cuStreamCreate": [POINTER(c_void_p), c_uint],
    "cuStreamDestroy_v2": [c_void_p],
    "cuStreamSynchronize": [c_void_p],
    "cuStreamBeginCapture_v2": [c_void_p, c_int],
    "cuStreamEndCapture": [c_void_p, POINTER(c_void_p)],
    "cuGraphInstantiateWithFlags": [POINTER(c_void_p), c_void_p, ctypes.c_ulonglong],
    "cuGraphLaunch": [c_void_p, c_void_p],
    "cuGraphDestroy": [c_void_p],
    "cuGraphExecDestroy": [c_void_p],
    "cuEventCreate": [POINTER(c_void_p), c_uint],
    "cuEventDestroy_v2": [c_void_p],
    "cuEventRecord": [c_void_p, c_void_p],
    "cuEventElapsedTime": [POINTER(c_float), c_void_p, c_void_p],
}


class Gpu(NamedTuple):
    """The GPU that is used: the first one that the driver lists (CUDA_VISIBLE_DEVICES chooses it)."""

    name: str
    memory: int  # bytes
    capability: tuple[int, int]
    multiprocessors: int
    driver: str  # the newest CUDA that it runs


class _Driver:
    """The library, initialised, with the primary context of the first GPU."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)  # which lets go of the GIL in every call
        except OSError:
            raise DeviceError(
                f"no GPU: the NVIDIA driver ({LIBRARY}) is not installed here. Next: rtsynth doctor"
            ) from None
        for name, arguments in _SIGNATURES.items():
            function = getattr(self._library, name, None)
            if function is None:
                raise DeviceError(
                    f"no GPU: the NVIDIA driver is too old (no {name}). Next: update the driver"
                )
            function.argtypes, function.restype = arguments, c_int
        self("cuInit", 0)
        if self.number("cuDeviceGetCount") == 0:
            raise DeviceError("no GPU: the NVIDIA driver lists none. Next: nvidia-smi")
        self.device = self.number("cuDeviceGet", 0)
        context = c_void_p()
        self("cuDevicePrimaryCtxRetain", byref(context), self.device)
        self.context = context

    def __call__(self, function: str, *arguments: Any) -> None:
        code = getattr(self._library, function)(*arguments)
        if code:
            text = c_char_p()
            self._library.cuGetErrorString(code, byref(text))
            why = text.value.decode() if text.value else f"error {code}"
            raise DeviceError(f"the GPU refused {function}: {why}. Next: nvidia-smi")

    def number(self, function: str, *arguments: Any) -> int:
        """The int that a call writes through its first argument."""
        value = c_int()
        self(function, byref(value), *arguments)
        return value.value

    def handle(self, function: str, *arguments: Any) -> c_void_p:
        """Likewise a handle."""
        value = c_void_p()
        self(function, byref(value), *arguments)
        return value

    def free_with(self, owner: object, function: str, *arguments: Any) -> None:
        """Free what `owner` holds when it goes; a refusal then is nobody's news. At exit the driver does it."""
        weakref.finalize(owner, getattr(self._library, function), *arguments).atexit = False


@functools.cache
def _driver() -> _Driver:
    return _Driver()


def driver() -> _Driver:
    """The driver, its context made current in the calling thread. DeviceError where there is no GPU."""
    found = _driver()
    found("cuCtxSetCurrent", found.context)
    return found


def gpu() -> Gpu:
    """What GPU there is. DeviceError, in one line, where there is none."""
    cu = driver()
    name, memory = ctypes.create_string_buffer(128), c_size_t()
    cu("cuDeviceGetName", name, len(name), cu.device)
    cu("cuDeviceTotalMem_v2", byref(memory), cu.device)
    major, minor, processors = (
        cu.number("cuDeviceGetAttribute", attribute, cu.device)
        for attribute in (_MAJOR, _MINOR, _MULTIPROCESSORS)
    )
    version = cu.number("cuDriverGetVersion")
    return Gpu(
        name.value.decode(),
        memory.value,
        (major, minor),
        processors,
        f"{version // 1000}.{version % 1000 // 10}",
    )


def synchronize() -> None:
    """Wait for everything on the GPU, whatever stream it was begun on."""
    driver()("cuCtxSynchronize")


def pinned(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Zeros in page-locked host memory, which copies reach without the driver's own buffer between."""
    cu, dtype = driver(), np.dtype(dtype)
    size = max(1, int(np.prod(shape)) * dtype.itemsize)
    address = cu.handle("cuMemHostAlloc", size, 0)
    assert address.value is not None
    memory = (ctypes.c_uint8 * size).from_address(address.value)
    cu.free_with(memory, "cuMemFreeHost", address)  # an array keeps its base alive
    whole = np.ctypeslib.as_array(memory)[: int(np.prod(shape)) * dtype.itemsize]
    out: NDArray[Any] = whole.view(dtype).reshape(shape)
    out[...] = 0
    return out


class Graph:
    """A recorded sequence; `launch` starts it on the stream it was recorded on."""

    def __init__(self, stream: Stream, recorded: c_void_p) -> None:
        cu = driver()
        self._cu, self._stream = cu, stream
        try:
            self._graph = cu.handle("cuGraphInstantiateWithFlags", recorded, 0)
        finally:
            cu("cuGraphDestroy", recorded)
        cu.free_with(self, "cuGraphExecDestroy", self._graph)

    def launch(self) -> None:
        self._cu("cuGraphLaunch", self._graph, self._stream.handle)


class Stream:
    """A stream of its own, which no other work on the GPU's default stream can hold up. [one thread]"""

    def __init__(self) -> None:
        self._cu = driver()
        self.handle = self._cu.handle("cuStreamCreate", _NON_BLOCKING)
        self._cu.free_with(self, "cuStreamDestroy_v2", self.handle)

    @property
    def address(self) -> int:
        """What numba's `external_stream` and onnxruntime's `user_compute_stream` want."""
        assert self.handle.value is not None
        return self.handle.value

    def upload(self, device: int, host: NDArray[Any]) -> None:
        """Begin to copy a pinned array to a device address."""
        self._cu("cuMemcpyHtoDAsync_v2", device, host.ctypes.data, host.nbytes, self.handle)

    def download(self, host: NDArray[Any], device: int) -> None:
        """Begin to copy from a device address to a pinned array."""
        self._cu("cuMemcpyDtoHAsync_v2", host.ctypes.data, device, host.nbytes, self.handle)

    def synchronize(self) -> None:
        """Wait until all that was begun is done. Other Python threads run meanwhile."""
        self._cu("cuStreamSynchronize", self.handle)

    @contextmanager
    def recording(self) -> Iterator[list[Graph]]:
        """Record what is begun on this stream inside, without doing it; the graph is in the list afterwards."""
        graphs: list[Graph] = []
        self._cu("cuStreamBeginCapture_v2", self.handle, _THREAD_LOCAL)
        try:
            yield graphs
        except BaseException:  # leave capture mode, drop what was recorded, and say what went wrong
            self._drop_recording()
            raise
        graphs.append(Graph(self, self._recorded()))

    def _recorded(self) -> c_void_p:
        """End the recording."""
        graph = c_void_p()
        self._cu("cuStreamEndCapture", self.handle, byref(graph))
        return graph

    def _drop_recording(self) -> None:
        try:
            recorded = self._recorded()
        except DeviceError:
            return
        if recorded:
            self._cu("cuGraphDestroy", recorded)


class Stopwatch:
    """Time on the GPU between two points of a stream, by events."""

    def __init__(self, stream: Stream) -> None:
        self._cu, self._stream = driver(), stream
        self._events = [self._cu.handle("cuEventCreate", 0) for _ in range(2)]
        for event in self._events:
            self._cu.free_with(self, "cuEventDestroy_v2", event)

    def start(self) -> None:
        self._cu("cuEventRecord", self._events[0], self._stream.handle)

    def stop(self) -> None:
        self._cu("cuEventRecord", self._events[1], self._stream.handle)

    def nanoseconds(self) -> int:
        """After `synchronize`: from start to stop; the events tick every half microsecond or so."""
        milliseconds = c_float()
        self._cu("cuEventElapsedTime", byref(milliseconds), *self._events)
        return round(1e6 * milliseconds.value)
