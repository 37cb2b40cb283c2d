"""`load_vocoder`: log-mel frames in, sound out, in pieces of any size. Every vocoder has this one interface.

A vocoder is one ONNX file, which takes a few frames a step and carries its states. Its metadata say `rtsynth.kind` =
"vocoder" and, as JSON in `rtsynth.settings`, what `Settings` holds; `rtsynth.card` says how it was made. Tensors:

- `mel` (1, bands + 1, T) in: T frames, and in the last row 1 for a frame and 0 beyond either end of the utterance;
- `sound` (1, 1, T hop) out, or for the form "filters" `filters` (1, fields, T) out, a fundamental and filters, which
  `inverse_stft.py` makes sound of;
- a state NAME in comes out as NAME_out, and begins as zeros.

What a step says lags `latency` samples behind what it is told. `Vocoder` drops that much at the beginning, and at the
end tells the network of frames beyond until all is said: so T frames make T hop samples, each where it belongs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.errors import InputError
from rtsynth.inference.graph import Graph, Tensor, read_graph
from rtsynth.inference.manifest import directory
from rtsynth.inference.model import open_stepper
from rtsynth.inference.schema import Manifest, Port, State
from rtsynth.vocoder.mel import SILENT, Frames, MelSettings, Samples

KIND = "vocoder"
DEFAULT = "vocoder"  # the one that ships
NEXT = "Make one: rtsynth export hifigan CHECKPOINT --config config.json -o hifigan.onnx"

Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in a vocoder's metadata. Lengths in samples."""

    form: Literal["samples", "filters"]
    sample_rate: Annotated[float, msgspec.Meta(gt=0, le=384000)]  # hertz
    hop: Count
    latency: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)]  # of the network, what comes after it apart
    bands: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    n_fft: Count  # of the analysis
    window: Count  # of the analysis
    low: float  # hertz
    high: float | None  # hertz
    name: str = ""

    @property
    def mel(self) -> MelSettings:
        """Of the frames that it takes."""
        return MelSettings(
            self.sample_rate, self.n_fft, self.hop, self.window, self.bands, self.low, self.high
        )


class Synthesis(Protocol):
    """From what a step of the network says to samples."""

    latency: int  # samples

    def step(self, said: NDArray[np.float32]) -> Samples:
        """The network's output → (T hop,)."""

    def reset(self) -> None:
        """As if nothing had been said."""


class Said:
    """Of a network whose output is the sound."""

    latency = 0

    def step(self, said: NDArray[np.float32]) -> Samples:
        return said.reshape(-1)

    def reset(self) -> None:
        pass


class Vocoder:
    """A loaded vocoder and its stream: `vocode` a whole, or `push` … `push`, `finish`."""

    def __init__(self, path: Path, *, device: str = "cpu") -> None:
        self.path = path
        graph = read_graph(path)
        self.settings = read_settings(graph, path)
        self.card = graph.metadata.get("rtsynth.card", "")
        self.name = self.settings.name or path.stem
        self.mel = self.settings.mel
        self.sample_rate: float = self.settings.sample_rate
        self.hop: int = self.settings.hop
        manifest = _manifest(graph, self.settings, path)
        self._source = manifest.ports[0]
        assert self._source.shape is not None
        self.frames_per_step: int = self._source.shape[2]
        self._synthesis = _synthesis(self.settings, path)
        self.latency: int = self.settings.latency + self._synthesis.latency
        self._stepper = open_stepper(manifest, device)
        self.provider = self._stepper.provider
        self._waiting: Frames = np.zeros((self.mel.bands, 0), np.float32)  # that do not fill a step yet
        self._frames = 0  # pushed
        self._probe(path)
        self.reset()

    def vocode(self, mel: ArrayLike) -> Samples:
        """(bands, T) → (T hop,), from silence to silence. InputError for what are no frames."""
        self.reset()
        return np.concatenate((self.push(mel), self.finish()))

    def push(self, mel: ArrayLike) -> Samples:
        """(bands, k), k ≥ 0, → (n,): what can be said by now; what all of them return makes one sound."""
        frames = self._checked(mel)
        self._frames += frames.shape[1]
        self._waiting = np.concatenate((self._waiting, frames), axis=1)
        step = self.frames_per_step
        whole = self._waiting.shape[1] // step * step
        said = [self._trimmed(self.step(self._waiting[:, i : i + step])) for i in range(0, whole, step)]
        self._waiting = self._waiting[:, whole:]
        return np.concatenate([np.zeros(0, np.float32), *said])

    def finish(self) -> Samples:
        """(n,): all that was not said yet. The next `push` begins another utterance."""
        missing = self._frames * self.hop - self._given
        said = np.zeros(0, np.float32)
        while said.size < missing:
            beyond = self.frames_per_step - self._waiting.shape[1]
            last = np.pad(self._waiting, ((0, 0), (0, beyond)), constant_values=np.nan)
            self._waiting = self._waiting[:, :0]
            said = np.concatenate((said, self._trimmed(self.step(last))))
        self.reset()
        return said[:missing]

    def reset(self) -> None:
        """As if nothing had been said."""
        self._stepper.reset()
        self._synthesis.reset()
        self._waiting = self._waiting[:, :0]
        self._frames = 0
        self._given = 0  # samples returned
        self._late = self.latency  # samples of nothing that the network has yet to say

    def step(self, frames: Frames) -> Samples:
        """(bands, frames_per_step) → (frames_per_step · hop,), `latency` samples late; NaN: beyond the utterance."""
        there = np.isfinite(frames[0])
        told = np.empty((1, self.mel.bands + 1, self.frames_per_step), np.float32)
        told[0, :-1] = np.where(there, frames, SILENT)
        told[0, -1] = there
        return self._synthesis.step(self._stepper.step(told))

    def _probe(self, path: Path) -> None:
        """A step makes as many samples as it should."""
        said = self.step(np.full((self.mel.bands, self.frames_per_step), SILENT, np.float32))
        if said.size != self.frames_per_step * self.hop:
            raise InputError(
                f"{path}: {said.size} samples for {self.frames_per_step} frames of {self.hop} samples"
            )

    def _trimmed(self, said: Samples) -> Samples:
        dropped = min(self._late, said.size)
        self._late -= dropped
        self._given += said.size - dropped
        return said[dropped:]

    def _checked(self, mel: ArrayLike) -> Frames:
        frames = np.asarray(mel, np.float32)
        if frames.ndim != 2 or frames.shape[0] != self.mel.bands:
            raise InputError(
                f"mel frames of the shape {frames.shape}: {self.name} takes ({self.mel.bands}, T)"
            )
        if not np.isfinite(frames).all():
            raise InputError("the mel frames hold numbers that are not finite (NaN or infinite)")
        return frames


def load_vocoder(model: str | Path = DEFAULT, *, device: str = "cpu") -> Vocoder:
    """A vocoder by its .onnx file or the name of one that ships. InputError for a file that is none."""
    path = Path(model)
    if not path.suffix and not path.exists() and "/" not in str(model):
        path = directory() / f"{model}.onnx"
        if not path.is_file():
            raise InputError(f"no vocoder named '{model}' is shipped. {NEXT}")
    if not path.is_file():
        raise InputError(f"no vocoder's file {model}. {NEXT}")
    return Vocoder(path, device=device)


def read_settings(graph: Graph, path: Path) -> Settings:
    """What a vocoder's file says of itself. InputError where it is none."""
    kind = graph.metadata.get("rtsynth.kind")
    if kind != KIND:
        other = f"a network of the kind '{kind}'" if kind else "no network that rtsynth has written"
        raise InputError(f"{path} is {other}, not a vocoder. {NEXT}")
    try:
        settings = msgspec.json.decode(graph.metadata.get("rtsynth.settings", ""), type=Settings)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InputError(f"{path}: rtsynth.settings: {error}") from None
    _ = settings.mel  # refuses what is impossible
    return settings


def _synthesis(settings: Settings, path: Path) -> Synthesis:
    if settings.form == "samples":
        return Said()
    from rtsynth.vocoder.excitation import HOP, RATE
    from rtsynth.vocoder.inverse_stft import SourceFilter

    if (settings.hop, settings.sample_rate) != (HOP, RATE):
        raise InputError(
            f"{path}: filters every {settings.hop} samples at {settings.sample_rate:g} Hz; want 256 at 22050"
        )
    return SourceFilter()


def _manifest(graph: Graph, settings: Settings, path: Path) -> Manifest:
    """How its tensors are called and shaped, for a stepper."""
    inputs = {tensor.name: tensor for tensor in graph.inputs}
    outputs = {tensor.name: tensor for tensor in graph.outputs}
    sound = "sound" if settings.form == "samples" else "filters"
    for name, there in (("mel", inputs), (sound, outputs)):
        if name not in there:
            raise InputError(f"{path}: a vocoder without '{name}', only {', '.join(there) or 'nothing'}")
    states = [name for name in inputs if name != "mel"]
    for name in states:
        if f"{name}_out" not in outputs:
            raise InputError(f"{path}: state {inputs[name]} does not come out as {name}_out")
    shape = _shape(inputs["mel"], path)
    if len(shape) != 3 or shape[:2] != (1, settings.bands + 1) or not 0 < shape[2] <= 1 << 12:
        raise InputError(f"{path}: {inputs['mel']}: want (1, {settings.bands + 1}, T)")
    return Manifest(
        schema=1,
        name="vocoder",
        file=str(path),
        sample_rate=settings.sample_rate,
        frame=settings.hop * shape[2],
        channels=1,
        latency=settings.latency,
        input=Port(name="mel", shape=shape),
        output=Port(name=sound),
        states=tuple(
            State(input=name, output=f"{name}_out", shape=_shape(inputs[name], path)) for name in states
        ),
    )


def _shape(tensor: Tensor, path: Path) -> tuple[int, ...]:
    if tensor.shape is None or any(isinstance(n, str) for n in tensor.shape):
        raise InputError(f"{path}: {tensor} leaves a dimension open")
    return tuple(int(n) for n in tensor.shape)
