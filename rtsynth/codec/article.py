"""The published codec, run: its two exported networks, sound to events and back (training/article.py says what it is).

A model is two files, `x.onnx`, which hears and picks, and `x.generator.onnx`, which makes an event's sound. What else
must be known stands in the first one's metadata, with the hash of the second. Events are of the kind CODE, at the
scheme's frames; a generator of another model would make something else of them.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.article_windows import HalfWindows, Magnitudes, Networks, Scheme, Sound, player
from rtsynth.codec.event import EVENT, Events, Kind
from rtsynth.errors import InputError, RateError
from rtsynth.inference.graph import Graph, read_graph
from rtsynth.inference.manifest import directory
from rtsynth.inference.session import one_line, runtime, session_options

METADATA = "rtsynth-article"  # key of the scheme, JSON
GENERATOR = ".generator.onnx"
SILENT = 1e-6  # peak, -120 dB, below which there is nothing to encode
CHUNK = 1 << 16  # samples at once: hours of sound are never held twice


def shipped() -> Path:
    """The encoder of the small mended model that ships: 382 260 weights, trained for 15 minutes on LJ Speech."""
    return directory() / "article.onnx"


class Exported:
    """The networks of a model's files, by onnxruntime, one thread."""

    def __init__(self, encoder: Path, generator: Path) -> None:
        self._pick, self._generate = _session(encoder), _session(generator)

    def pick(self, residual: Magnitudes, free: NDArray[np.float32]) -> tuple[int, float, NDArray[np.float32]]:
        frame, amplitude, vector = self._pick.run(None, {"residual": residual[None], "free": free[None]})
        return int(frame[0, 0]), float(amplitude[0, 0]), vector[0, 0]

    def generate(self, vector: NDArray[np.float32], noise: Sound) -> tuple[Sound, float]:
        wave, shift = self._generate.run(None, {"vectors": vector[None], "noise": noise[None]})
        return wave[0], float(shift[0])


class ArticleCodec:
    """`encode` and `decode` of one model; `seed` is of the noise in bursts."""

    def __init__(self, scheme: Scheme, networks: Networks, *, seed: int = 1) -> None:
        self.scheme, self.networks, self.seed = scheme, networks, seed

    @classmethod
    def load(cls, path: str | Path, *, seed: int = 1) -> ArticleCodec:
        """Raises InputError where the files are not such a model, or not of one another."""
        encoder = Path(path)
        generator = encoder.with_suffix(GENERATOR)
        scheme = read_scheme(encoder)
        read_graph(generator)
        if hashlib.sha256(generator.read_bytes()).hexdigest() != scheme.generator:
            raise InputError(f"{generator} is not the generator that {encoder.name} was exported with")
        return cls(scheme, Exported(encoder, generator), seed=seed)

    def encode(self, samples: Sound, rate: float) -> Events:
        """(N,) at the scheme's rate -> events. The peak is given to the networks as 1; silence has no events."""
        heard = _mono(samples)
        if rate != self.scheme.rate:
            raise RateError(f"this model works at {self.scheme.rate} Hz, not {rate:g}: resample first")
        peak = float(np.abs(heard).max(initial=0.0))
        if peak < SILENT:
            return np.zeros(0, EVENT)
        stream = self.stream(level=peak)
        found = [stream.push(heard[k : k + CHUNK]) for k in range(0, heard.size, CHUNK)]
        return np.concatenate([*found, stream.finish()])

    def stream(self, *, level: float = 1.0) -> HalfWindows:
        """For sound that comes in pieces: push, push, finish."""
        return HalfWindows(self.scheme, self.networks, level=level, seed=self.seed)

    def decode(self, events: Events, samples: int | None = None) -> Sound:
        """(samples,), as long as the last window if not said. Raises InputError where an event is not the scheme's."""
        scheme, frames = self.scheme, self._frames(events)
        last = int(frames.max(initial=0))
        length = (last // scheme.half + 2) * scheme.half * scheme.hop if samples is None else samples
        out = np.zeros(length)
        sounding = player(scheme, self.networks, self.seed)
        for event, frame in zip(events, frames.tolist(), strict=True):
            first, sound = sounding.place(event["vector"], frame)
            kept = sound[: max(0, length - first)]
            out[first : first + kept.size] += math.exp(event["gain"]) * kept
        return out.astype(np.float32)

    def on_frames(self, events: Events) -> Events:
        """Codes moved to the nearest of the scheme's frames, where they can be decoded."""
        moved = events.copy()
        steps = self.scheme.control_steps
        moved["time"] = np.rint(np.rint(events["time"] / steps) * steps)
        return moved

    def _frames(self, events: Events) -> NDArray[np.int64]:
        exact = events["time"] / self.scheme.control_steps
        frames = np.rint(exact).astype(np.int64)
        off = np.abs(exact - frames) * self.scheme.control_steps > 0.5  # of a control step
        if (events["kind"] != Kind.CODE).any() or off.any():
            raise InputError("these events were not encoded by the article's scheme at this rate")
        return frames


def read_scheme(encoder: Path) -> Scheme:
    """From the metadata of an encoder's file, without onnxruntime."""
    graph = read_graph(encoder)
    stated = graph.metadata.get(METADATA)
    if stated is None:
        raise InputError(f"{encoder} is no encoder of the article's scheme: rtsynth export codec writes one")
    try:
        scheme = msgspec.json.decode(stated.encode(), type=Scheme)
    except msgspec.DecodeError as error:
        raise InputError(f"{encoder}: its description of the scheme: {error}") from None
    _check(scheme, graph, encoder)
    return scheme


def _check(scheme: Scheme, graph: Graph, encoder: Path) -> None:
    """Do the numbers fit one another and the network?"""
    heard = (1, scheme.frame // 2, scheme.frames)
    shapes = {tensor.name: tensor.shape for tensor in graph.inputs}
    whole = scheme.frame % 2 == 0 and scheme.window % (2 * scheme.hop) == 0 and scheme.hop <= scheme.frame
    if not whole or scheme.event > scheme.window or shapes.get("residual") != heard:
        raise InputError(f"{encoder}: its description does not fit its network")


def _mono(samples: Sound) -> Sound:
    heard = np.asarray(samples, np.float32)
    if heard.ndim != 1:
        raise InputError(f"the article's scheme hears one channel, not an array of shape {heard.shape}")
    if not np.isfinite(heard).all():
        raise InputError("the sound has samples that are no numbers")
    return heard


def _session(path: Path) -> Any:
    onnxruntime = runtime()
    try:
        return onnxruntime.InferenceSession(str(path), session_options(), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes derive from nothing narrower
        raise InputError(f"{path} cannot be loaded: {one_line(error)}") from None
