"""What may stand in a manifest, the TOML file that describes a streaming model; docs/models.md is the reference.

The network is a function (frame, states) → (frame, states) with fixed shapes. The manifest says which tensor is which,
at what rate it runs, how far its answer lags, and, for a network that works on spectra, how they are made.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from rtsynth.errors import InputError

SCHEMA = 1

Window = Literal["hann", "sqrt-hann", "hamming", "rectangular"]
Layout = Literal["time", "time channels", "channels time", "bins parts", "parts bins"]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[^/\\.\x00][^/\\\x00]*\.onnx$")]
TensorName = Annotated[str, msgspec.Meta(min_length=1)]
Shape = tuple[Annotated[int, msgspec.Meta(ge=0, le=1 << 24)], ...]
Samples = Annotated[int, msgspec.Meta(ge=0, le=1 << 24)]
FrameLength = Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]


class _Table(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A TOML table whose unknown fields are errors: a misspelt field must not be silently ignored."""


class Port(_Table, kw_only=True, frozen=True):
    """The tensor that carries the sound, in or out. Axes of size 1 may stand anywhere: `layout` orders the others."""

    name: TensorName
    layout: Layout | None = None
    shape: Shape | None = None  # stated where the graph leaves a dimension open


class State(_Table, kw_only=True, frozen=True):
    """A state goes in as one tensor, comes out as another and goes in again; it starts as zeros, unless stated."""

    input: TensorName
    output: TensorName
    shape: Shape | None = None  # stated where the graph leaves a dimension open
    start: Annotated[float, msgspec.Meta(ge=-(2.0**53), le=2.0**53)] = 0.0  # what all its numbers start as


class Stft(_Table, kw_only=True, frozen=True):
    """Spectra at the model's edges: windowed frames in, weighted overlap-add out (as torch.stft and torch.istft)."""

    n_fft: Annotated[int, msgspec.Meta(ge=4, le=1 << 15)]
    hop: FrameLength
    window: Window = "hann"  # periodic, applied on both sides
    scale: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 1.0  # of the spectrum the network sees

    @property
    def bins(self) -> int:
        return self.n_fft // 2 + 1


class Export(_Table, kw_only=True, frozen=True):
    """What `rtsynth export` measured when it wrote the model."""

    error: Annotated[float, msgspec.Meta(ge=0)]  # largest difference, chunked run - whole run, re the peak
    tolerance: Annotated[float, msgspec.Meta(gt=0)]
    runs: Annotated[int, msgspec.Meta(ge=1)] = 1  # chunkings tried
    exporter: str = ""  # program and version


class Manifest(_Table, kw_only=True, frozen=True):
    """A model as it will run: a value; it holds no session and no state."""

    schema: Literal[1]
    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    file: FileName = ""  # the network: beside the TOML there; its path once loaded
    title: str = ""
    description: str = ""
    licence: str = ""
    credit: str = ""
    card: str = ""  # how it was made: data, recipe, figures
    sample_rate: Annotated[float, msgspec.Meta(ge=0, le=384000)] = (
        0.0  # hertz; 0: whatever the device runs at
    )
    frame: FrameLength | None = None  # model samples a step; a spectral model's is its hop
    channels: Literal[1, 2] | None = None  # that come out; what goes in is mono
    latency: Samples | None = (
        None  # model samples by which the network's answer lags, its spectra apart; None: unknown
    )
    receptive_field: Samples | None = (
        None  # model samples of the past that an answer depends on; None: unknown
    )
    tail: Samples | None = (
        None  # model samples that may sound after the input has fallen silent; None: unknown
    )
    rest: Annotated[float, msgspec.Meta(ge=0, le=3600)] | None = (
        None  # seconds of silence after which it rests though its states still move; None: never
    )
    answers: Literal["sound", "records"] = "sound"  # records: rtsynth/inference/records.py
    opset: Annotated[int, msgspec.Meta(ge=0)] | None = None
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")] | None = None  # of the network's file
    input: Port | None = None
    output: Port | None = None
    states: tuple[State, ...] | None = None
    stft: Stft | None = None
    export: Export | None = None

    @property
    def path(self) -> Path:
        """The network's file."""
        return Path(self.file)

    @property
    def delay(self) -> int:
        """Model samples by which what comes out lags behind what goes in: the network's own, and its spectra's."""
        return (self.latency or 0) + (self.stft.n_fft - self.stft.hop if self.stft else 0)

    @property
    def ports(self) -> tuple[Port, Port]:
        """Input and output of a loaded manifest, shapes stated."""
        assert self.input is not None
        assert self.output is not None
        return self.input, self.output


def parse(data: bytes, where: str) -> Manifest:
    """A manifest from the bytes of a TOML file called `where` in errors; its network is not looked at."""
    try:
        tree = tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not a text file (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        text = str(error)
        raise InputError(f"{where}: not TOML: {text[:1].lower()}{text[1:]}") from None
    except RecursionError:
        raise InputError(f"{where}: not TOML: nested too deeply") from None
    if tree.get("schema") != SCHEMA:
        found = tree.get("schema", "none")
        raise InputError(f"{where}: schema is {found}; this rtsynth reads schema = {SCHEMA}")
    tree.setdefault("file", f"{Path(where).stem}.onnx")
    try:
        return msgspec.convert(tree, Manifest)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_explain(str(error))}") from None


def _explain(error: str) -> str:
    """A msgspec error with the field first, and for an unknown one the nearest that there is."""
    cause, _, at = error.partition(" - at `$")
    place = at.rstrip("`").lstrip(".")
    cause = cause[:1].lower() + cause[1:]
    unknown = re.search(r"unknown field `([^`]+)`", cause)
    if unknown:
        name = unknown.group(1)
        near = difflib.get_close_matches(name, _field_names(place), 1)
        hint = f". Did you mean '{near[0]}'?" if near else ""
        return f"{place + '.' if place else ''}{name}: no such field{hint}"
    missing = re.search(r"missing required field `([^`]+)`", cause)
    if missing:
        return f"{place + '.' if place else ''}{missing.group(1)}: this field is missing"
    return f"{place}: {cause}" if place else cause


def _field_names(place: str) -> list[str]:
    """Fields of the table at a place such as `stft` or `states[0]`."""
    tables: dict[str, Any] = {"input": Port, "output": Port, "states": State, "stft": Stft, "export": Export}
    table = tables.get(re.split(r"[.\[]", place)[0], Manifest)
    return [field.name for field in msgspec.structs.fields(table)]
