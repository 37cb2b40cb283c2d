"""The bank on a GPU: rows that ring and rows with a noise of their own, many voices at once, mixed to stereo there.

What a row is: rtsynth/sampler/bank.py. Segments, keys, counters and the table of normals are the CPU's, so the samples
are too, to the rounding of float32 (tests/sampler/test_cuda.py). Gains are a level a row and side times one course a
voice and side, in straight lines over a segment. Not here: kicked rows, the innovations form, bands in pairs,
cross-over and recorded curves.

A block is: goals up (only when gains move), two kernels, the mix down; recorded as one CUDA graph for each block size,
because launching through Python takes longer than most blocks' kernels.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth import cuda as driver
from rtsynth.errors import DeviceError
from rtsynth.sampler.noise import SEGMENT, WINDOW_ROWS, window_table

LANES = 32  # of a warp: rows of a kind are padded to a multiple
BLOCKS_A_PROCESSOR = 24  # warps that a multiprocessor holds at once, by their shared memory
SILENT = -1  # entry of a voice that does not sound
NEEDS = "pip install 'numba-cuda[cu13]' (or [cu12], by what nvidia-smi calls CUDA Version)"

Array = NDArray[Any]


def simulated() -> bool:
    """Whether numba runs kernels in its simulator, thread by thread in Python."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"


def why_not() -> str | None:
    """One line that says why the bank cannot run on a GPU here, or None: it can."""
    if simulated():
        return None
    try:
        driver.gpu()
    except DeviceError as problem:
        return str(problem)
    if importlib.util.find_spec("numba_cuda") is None:
        return f"no compiler for GPU kernels (numba-cuda). Next: {NEEDS}"
    return None


def _cuda() -> Any:
    """numba's CUDA target; DeviceError where it cannot run."""
    if problem := why_not():
        raise DeviceError(problem)
    from numba import cuda

    return cuda


# ---- the bank ----


class Rows(NamedTuple):
    """How many rows a voice has; those that ring come first."""

    ringing: int
    noisy: int

    @property
    def groups(self) -> tuple[int, int]:
        """Groups of 32 of both kinds, the last ones padded with silence."""
        return -(-self.ringing // LANES), -(-self.noisy // LANES)

    def lay_out(self, values: Array) -> NDArray[np.float32]:
        """values (..., rows) with padding (..., 32 groups)."""
        ringing, noisy = self.groups
        out = np.zeros((*values.shape[:-1], LANES * (ringing + noisy)), np.float32)
        out[..., : self.ringing] = values[..., : self.ringing]
        out[..., LANES * ringing : LANES * ringing + self.noisy] = values[..., self.ringing :]
        return out


class _Parameters(NamedTuple):
    """On the GPU, uploaded once. E entries of motion, R rows with padding."""

    table: Any  # (PERIOD + 64,) normals
    step: Any  # (E, 2, R) λ
    jump: Any  # (E, 2, R) λ^32; of ringing rows


class _State(NamedTuple):
    """On the GPU, carried from block to block. V voices, W windows of 64 noisy rows."""

    entries: Any  # (V,) int32: entry of the motion, or SILENT
    keys: Any  # (V, 2, W) uint32: low and high, of each window's first row
    levels: Any  # (V, 2, R) left, right
    x: Any  # (V, 2, R) re, im; of noisy rows in units of their noise
    ages: Any  # (V,) uint32: segments since the voice's start
    starts: Any  # (V,) int32: samples from the coming block's start to that of the voice's next segment
    course: Any  # (V, 2) left, right: where they are
    rest: Any  # (V, 2, 32): what the last segment adds to the coming block


class _Buffers(NamedTuple):
    """Overwritten by every block."""

    goals: Any  # (segments, V, 2): where the course goes in each segment
    mixes: Any  # (blocks of threads x 2 x frames,)
    out: Any  # (2 x frames,)
    host_goals: Any  # both page-locked
    host_out: Any


def _launch_sizes() -> tuple[int, int]:
    """Thread blocks at most, and parts in which what they leave is added up: as many as the GPU runs side by side."""
    if simulated():
        return 2, 2
    return BLOCKS_A_PROCESSOR * driver.gpu().multiprocessors, 1024 // LANES


def _planes(z: Array) -> Array:
    """(..., 2, rows): re and im."""
    return np.stack([z.real, z.imag], axis=-2)


class CudaBank:
    """V voices of one shape of rows on the GPU. `process` returns when their mix is in host memory. [one thread]"""

    def __init__(self, voices: int, rows: Rows, steps: Array, max_block: int, *, graphs: bool = True) -> None:
        """steps (E, rows) complex: λ a sample; voices choose among the E entries (keys of an instrument, say)."""
        cuda = _cuda()
        from rtsynth.sampler.cuda_loops import advance_loop, mix_loop

        blocks, self._slices = _launch_sizes()
        self._blocks = min(voices, blocks)
        self._advance, self._mix = advance_loop(*rows.groups), mix_loop(self._slices)
        self.voices, self.rows, self.max_block = voices, rows, max_block
        self._graphs: dict[tuple[int, bool, bool], Any] | None = {} if graphs and not simulated() else None
        self._stream = None if simulated() else driver.Stream()
        self._queue = cuda.external_stream(self._stream.address) if self._stream else 0
        self._parameters = _Parameters(
            *(
                cuda.to_device(np.ascontiguousarray(array, np.float32))
                for array in (
                    window_table(),
                    rows.lay_out(_planes(steps)),
                    rows.lay_out(_planes(steps.astype(complex) ** SEGMENT)),
                )
            )
        )
        self._state = self._silence()
        segments = -(-max_block // SEGMENT)
        self._buffers = _Buffers(
            cuda.device_array((segments, voices, 2), np.float32),
            cuda.device_array(self._blocks * 2 * max_block, np.float32),
            cuda.device_array(2 * max_block, np.float32),
            self._host((segments, voices, 2)),
            self._host((2 * max_block,)),
        )
        cuda.synchronize()  # what was uploaded came by another stream
        self._enqueue(
            max_block, moving=False, copies=True
        )  # all voices silent: the kernels are compiled and loaded
        self.wait()

    def _host(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return np.zeros(shape, np.float32) if simulated() else driver.pinned(shape)

    def _silence(self) -> _State:
        cuda, v, windows = _cuda(), self.voices, max(1, -(-self.rows.noisy // WINDOW_ROWS))
        width = LANES * sum(self.rows.groups)
        arrays = (
            np.full(v, SILENT, np.int32),
            np.zeros((v, 2, windows), np.uint32),
            np.zeros((v, 2, width), np.float32),
            np.zeros((v, 2, width), np.float32),
            np.zeros(v, np.uint32),
            np.zeros(v, np.int32),
            np.zeros((v, 2), np.float32),
            np.zeros((v, 2, SEGMENT), np.float32),
        )
        return _State(*(cuda.to_device(array) for array in arrays))

    def start(
        self,
        first: int,
        entries: Array,
        keys: Array,
        levels: Array,
        states: Array,
        course: Array,
        offset: int | Array = 0,
    ) -> None:
        """Start n voices, first…first + n - 1, `offset` samples (one, or one each) into the coming block.

        entries (n,); keys (n, 2, rows) as `noise.row_keys` writes them; levels (n, 2, rows); states (n, rows) complex,
        of noisy rows in units of their noise; course (n, 2): left and right at the first sample.
        """
        n, windows = len(entries), self._state.keys.shape[2]
        kept = np.zeros((n, 2, windows), np.uint32)
        noisy = keys[:, :, self.rows.ringing :: WINDOW_ROWS]
        kept[:, :, : noisy.shape[2]] = noisy
        arrays = (
            np.asarray(entries, np.int32),
            kept,
            self.rows.lay_out(levels),
            self.rows.lay_out(_planes(states)),
            np.zeros(n, np.uint32),
            np.broadcast_to(np.asarray(offset, np.int32), n),
            np.asarray(course, np.float32),
            np.zeros((n, 2, SEGMENT), np.float32),
        )
        self._write(first, n, self._state, arrays)

    def stop(self, first: int, count: int) -> None:
        """Silence voices first…first + count - 1 at the coming block's start, at once."""
        self._write(first, count, self._state[:1], (np.full(count, SILENT, np.int32),))

    def _write(self, first: int, count: int, devices: tuple[Any, ...], arrays: tuple[Array, ...]) -> None:
        if not 0 <= first <= first + count <= self.voices:
            raise ValueError(f"voices {first}…{first + count - 1}: the bank has {self.voices}")
        for device, array in zip(devices, arrays, strict=True):
            device[first : first + count].copy_to_device(np.ascontiguousarray(array), stream=self._queue)
        self.wait()  # the arrays are let go of

    @property
    def stream(self) -> driver.Stream | None:
        """What it runs on; None in the simulator."""
        return self._stream

    def wait(self) -> None:
        """Until the GPU is done."""
        if self._stream:
            self._stream.synchronize()

    @property
    def goals(self) -> NDArray[np.float32]:
        """(segments, V, 2), page-locked, to be written: where left and right of each voice go in each segment.

        Segment n is the n-th that a voice begins in the coming block; it begins at most ceil(frames / 32) of them.
        """
        goals: NDArray[np.float32] = self._buffers.host_goals
        return goals

    def process(self, frames: int, *, moving: bool = False) -> NDArray[np.float32]:
        """The next `frames` samples (2, frames), valid until the next call. moving: gains go to `goals`, else stand."""
        if not 0 < frames <= self.max_block:
            raise ValueError(f"a block of {frames} frames: the bank was made for 1…{self.max_block}")
        self.begin(frames, moving)
        self.wait()
        out: NDArray[np.float32] = self._buffers.host_out[: 2 * frames].reshape(2, frames)
        return out

    def begin(self, frames: int, moving: bool, copies: bool = True) -> None:
        """Begin a block on the GPU; without copies: the kernels alone, to be timed."""
        if self._graphs is None:
            self._enqueue(frames, moving, copies)
            return
        key = (frames, moving, copies)
        if key not in self._graphs:
            assert self._stream is not None
            with _cuda().defer_cleanup(), self._stream.recording() as graphs:
                self._enqueue(frames, moving, copies)
            self._graphs[key] = graphs[0]
        self._graphs[key].launch()

    def _enqueue(self, frames: int, moving: bool, copies: bool) -> None:
        p, s, b = self._parameters, self._state, self._buffers
        mixes = b.mixes[: self._blocks * 2 * frames]
        if moving and copies:
            segments = -(-frames // SEGMENT)
            self._upload(b.goals[:segments], b.host_goals[:segments])
        self._advance[self._blocks, LANES, self._queue](
            *(
                p.table,
                p.step,
                p.jump,
                s.entries,
                s.keys,
                s.levels,
                s.x,
                s.ages,
                s.starts,
                s.course,
                s.rest,
                b.goals,
            ),
            *(moving, np.int32(frames), mixes.reshape(self._blocks, 2, frames)),
        )
        out = b.out[: 2 * frames]
        grid = -(-2 * frames // LANES)
        self._mix[grid, (LANES, self._slices), self._queue](mixes.reshape(self._blocks, 2 * frames), out)
        if copies:
            self._download(b.host_out[: 2 * frames], out)

    def _upload(self, device: Any, host: Array) -> None:
        if self._stream:
            self._stream.upload(_address(device), host)
        else:
            device.copy_to_device(host)

    def _download(self, host: Array, device: Any) -> None:
        if self._stream:
            self._stream.download(host, _address(device))
        else:
            device.copy_to_host(host)


def _address(array: Any) -> int:
    address: int = array.__cuda_array_interface__["data"][0]
    return address
