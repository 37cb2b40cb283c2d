"""A network as a stream: one frame of samples in, one out, its states carried from step to step.

A stepper runs the network on tensors and carries its states; `StreamingModel` puts samples into tensors and takes them
out again, through spectra where the manifest says so. onnxruntime is imported when a model is made, not before.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import DeviceError, InputError
from rtsynth.inference.schema import Manifest
from rtsynth.inference.session import session_options
from rtsynth.inference.spectral import Analysis, Synthesis
from rtsynth.inference.steppers import CpuStepper, Stepper

Samples = NDArray[np.float32]


class FrameModel(Protocol):
    """What a pipeline drives: frames of samples in and out, states that it carries itself."""

    manifest: Manifest
    frame: int  # samples
    sample_rate: float  # hertz; 0: the device's
    channels: int
    latency: int  # samples
    not_finite: int  # samples that came out as NaN or inf, and were made zeros

    @property
    def provider(self) -> str:
        """What computes: "CPU", "CUDA"."""

    @property
    def states(self) -> dict[str, NDArray]:
        """By name, valid until the next step."""

    def step(self, frame: Samples) -> Samples:
        """(frame,) → (frame, channels)."""

    def reset(self) -> None:
        """As if nothing had been heard."""

    def clear_edges(self) -> None:
        """Forget what lies outside the states."""


class StreamingModel:
    """A loaded network and its states; `frame` and `latency` in samples at `sample_rate` (0: the device's)."""

    def __init__(self, manifest: Manifest, *, device: str = "cpu") -> None:
        assert manifest.frame is not None
        assert manifest.channels is not None
        self.manifest = manifest
        self.frame: int = manifest.frame
        self.sample_rate: float = manifest.sample_rate
        self.channels: int = manifest.channels
        self.latency: int = manifest.delay  # the network's own and its spectra's
        self.not_finite = 0  # samples that came out as NaN or inf, and were made zeros
        self._analysis = Analysis(manifest.stft) if manifest.stft else None
        self._synthesis = Synthesis(manifest.stft) if manifest.stft else None
        self._source, self._sink = manifest.ports
        self._stepper = open_stepper(manifest, device)
        self._probe()

    @property
    def provider(self) -> str:
        return self._stepper.provider

    @property
    def states(self) -> dict[str, NDArray]:
        """The states by the names they go in by: the network's own arrays, to look at; valid until the next step."""
        names = [state.input for state in self.manifest.states or ()]
        return dict(zip(names, self._stepper.states(), strict=True))

    def step(self, frame: Samples) -> Samples:
        """(frame,) → (frame, channels). NaN or inf: zeros instead, counted, and the states start again."""
        if self._analysis and self._synthesis:
            return self._synthesis.step(self.step_spectrum(self._analysis.step(frame))).reshape(-1, 1)
        sound = self._run(frame.reshape(self._source.shape))
        if self._sink.layout == "channels time":
            return sound.reshape(2, -1).T
        return sound.reshape(self.frame, -1)

    def step_spectrum(self, spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """(bins,) → (bins,): the network alone, of a model that has spectra at its edges."""
        parts = spectrum.view(np.float32).reshape(-1, 2)
        sound = self._run(
            (parts.T if self._source.layout == "parts bins" else parts).reshape(self._source.shape)
        )
        if self._sink.layout == "parts bins":
            sound = np.ascontiguousarray(sound.reshape(2, -1).T)
        return sound.reshape(-1).view(np.complex64)

    def reset(self) -> None:
        """States to zero, edges too."""
        self._stepper.reset()
        self.clear_edges()

    def clear_edges(self) -> None:
        """Forget the samples that spectra overlap; states are kept."""
        if self._analysis and self._synthesis:
            self._analysis.reset()
            self._synthesis.reset()

    def _run(self, tensor: NDArray) -> NDArray:
        sound = self._stepper.step(tensor)
        if not np.isfinite(sound).all():
            self.not_finite += self.frame
            self._stepper.reset()
            return np.zeros_like(sound)
        return sound

    def _probe(self) -> None:
        """What comes out is as large as what goes in; the graph may have left that open."""
        stft = self.manifest.stft
        sound = self._stepper.step(np.zeros(self._source.shape or (), np.float32))
        wanted = 2 * stft.bins if stft else self.frame * self.channels
        if sound.size != wanted or sound.dtype != np.float32:
            found = f"{self._sink.name} comes out as {sound.dtype} {sound.shape}"
            raise InputError(f"{self.manifest.path}: {found}; {wanted} float32 numbers are needed")
        self._stepper.reset()


def open_stepper(manifest: Manifest, device: str = "cpu") -> Stepper:
    """What computes on the device asked for; DeviceError where it cannot, with what to type."""
    if device not in ("cpu", "cuda", "auto"):
        raise DeviceError(f"no device '{device}'. There are cpu, cuda and auto")
    if device == "cpu":
        return CpuStepper(manifest)
    from rtsynth.inference import cuda

    try:
        if problem := (found := cuda.installation()).problem:
            raise DeviceError(f"{problem}. Next: {found.repair}" if found.repair else problem)
        return cuda.CudaStepper(manifest, session_options())
    except DeviceError:
        if device == "cuda":
            raise
        return CpuStepper(manifest)
