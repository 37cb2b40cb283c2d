"""What a module must be to be exported as a stream, and finding it: FILE.py:NAME, with its checkpoint.

The contract: `forward(frame, *states) -> (out, *states)`, frame (1, 1, T) and out (1, channels, T), full scale ±1;
`initial_states()`, all zeros; `frame`, `sample_rate`, `channels`, `latency` in samples, hertz, 1 or 2, samples. And
`whole(x)`, (1, 1, N) -> (1, channels, N), what is meant: sample n of the output answers sample n of x, and forward
says the same `latency` samples later. Without it one long call of forward stands for it.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtsynth.errors import InputError, RtsynthError, UsageError

Signal = NDArray[np.float32]

FIELDS = (
    "frame, sample_rate, channels, latency, initial_states() and forward(frame, *states) (docs/export.md)"
)
NESTED = (
    "state_dict",
    "generator",
    "model",
    "weights",
)  # where checkpoints keep the weights, if not at the top


@dataclass(frozen=True)
class Streamed:
    """A module that keeps to the contract, in evaluation mode; made by `streamed`."""

    module: nn.Module
    name: str
    frame: int  # samples
    sample_rate: float  # hertz
    channels: int
    latency: int  # samples
    receptive_field: int | None  # samples, where the module says
    states: tuple[str, ...]  # names
    has_whole: bool

    def initial_states(self) -> list[Tensor]:
        return list(self.module.initial_states())

    def step(self, frame: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """(1, 1, T) -> (1, channels, T), and the next states. InputError where the module fails."""
        with torch.no_grad(), _explained(self.name, "forward"):
            out, *after = self.module(frame, *states)
        return out, after

    def unrolled(self, samples: Signal) -> Signal:
        """(N,) frame by frame, states carried: (floor(N / T) T, channels), `latency` samples late."""
        states, parts = self.initial_states(), []
        for start in range(0, samples.size - self.frame + 1, self.frame):
            out, states = self.step(tensor(samples[start : start + self.frame]), states)
            parts.append(out)
        return _array(torch.cat(parts, dim=-1))

    def whole(self, samples: Signal) -> Signal:
        """(N,) at once, what is meant: (N, channels)."""
        if self.has_whole:
            with torch.no_grad(), _explained(self.name, "whole"):
                out = self.module.whole(tensor(samples))
        else:
            longer = np.concatenate([samples, np.zeros(-samples.size % self.frame + self._late, np.float32)])
            out, _ = self.step(tensor(longer), self.initial_states())
            out = out[..., self.latency : self.latency + samples.size]
        if tuple(out.shape) != (1, self.channels, samples.size):
            meant = (
                "whole(x)" if self.has_whole else "forward with a long frame, which stands in for whole(x),"
            )
            raise InputError(
                f"{self.name}: {meant} gives {tuple(out.shape)} for {samples.size} samples; "
                f"(1, {self.channels}, {samples.size}) is needed"
            )
        return _array(out)

    @property
    def _late(self) -> int:
        """Latency in whole frames, in samples."""
        return -(-self.latency // self.frame) * self.frame


def streamed(module: nn.Module, name: str, sample_rate: float | None = None) -> Streamed:
    """The module in evaluation mode, held against the contract; InputError, in one line, where it breaks it."""
    module = module.eval().requires_grad_(False)
    trained = next((path for path, part in module.named_modules() if part.training), None)
    if trained is not None:
        raise InputError(
            f"{name}: {trained or 'it'} stays in training mode after eval(): dropout, batch statistics"
        )
    frame, channels, latency = (_number(module, name, field) for field in ("frame", "channels", "latency"))
    if frame < 1 or latency < 0 or channels not in (1, 2):
        raise InputError(
            f"{name}: frame {frame}, latency {latency}, channels {channels}: want >= 1, >= 0, 1 or 2"
        )
    states = _initial_states(module, name)
    reach = getattr(module, "receptive_field", None)
    found = Streamed(
        module,
        name,
        frame,
        _sample_rate(module, name, sample_rate),
        channels,
        latency,
        None if reach is None else int(reach),
        _state_names(module, name, len(states)),
        hasattr(module, "whole"),
    )
    _check_step(found, states)
    return found


def _number(module: nn.Module, name: str, field: str) -> int:
    value = getattr(module, field, None)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{name}: {field} is {value!r}, not a whole number. A streaming module has {FIELDS}")
    return value


def _sample_rate(module: nn.Module, name: str, asked: float | None) -> float:
    stated = getattr(module, "sample_rate", None)
    if stated is not None and asked is not None and float(stated) != asked:
        raise UsageError(f"{name} runs at {float(stated):g} Hz, not at --rate {asked:g}: leave --rate out")
    given = asked if stated is None else stated
    if given is None:
        raise InputError(f"{name} has no sample_rate: add it to the module, or say --rate 48000")
    rate = float(given)
    if not 0.0 < rate <= 384000.0:
        raise InputError(f"{name}: a sample rate of {rate:g} Hz")
    return rate


def _initial_states(module: nn.Module, name: str) -> list[Tensor]:
    if not callable(getattr(module, "initial_states", None)):
        raise InputError(f"{name} has no initial_states(). A streaming module has {FIELDS}")
    with _explained(name, "initial_states"):
        states = list(module.initial_states())
    for number, state in enumerate(states):
        if not isinstance(state, Tensor):
            raise InputError(
                f"{name}: initial_states() gives a {type(state).__name__}, not a tuple of tensors"
            )
        if state.any():
            raise InputError(
                f"{name}: state {number} does not begin as zeros: carry its difference from its start"
            )
    return states


def _state_names(module: nn.Module, name: str, count: int) -> tuple[str, ...]:
    names = tuple(map(str, getattr(module, "state_names", [f"state_{n}" for n in range(count)])))
    if len(names) != count or len(set(names)) != count:
        raise InputError(f"{name}: state_names has {len(set(names))} different names for {count} states")
    return names


def _check_step(found: Streamed, states: list[Tensor]) -> None:
    """One frame, so that shapes are right before anything is measured."""
    out, after = found.step(torch.zeros(1, 1, found.frame), states)
    wanted = (1, found.channels, found.frame)
    if not isinstance(out, Tensor) or tuple(out.shape) != wanted:
        raise InputError(
            f"{found.name}: forward gives {tuple(getattr(out, 'shape', ()))}; {wanted} is needed"
        )
    if len(after) != len(states):
        raise InputError(f"{found.name}: forward takes {len(states)} states and returns {len(after)}")
    for state, before, new in zip(found.states, states, after, strict=True):
        if new.shape != before.shape or new.dtype != before.dtype:
            kinds = [f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in (before, new)]
            raise InputError(f"{found.name}: {state} goes in as {kinds[0]} and comes out as {kinds[1]}")


# --- finding it -------------------------------------------------------------------------------------------------------


def find_module(place: str, checkpoint: Path | None = None) -> nn.Module:
    """The module that FILE.py:NAME is, or makes when it is called; with the weights of a checkpoint."""
    file, _, name = place.rpartition(":")
    if not file or not name:
        raise UsageError(
            f"'{place}': want FILE.py:NAME, a torch module's class or what makes one: model.py:Model"
        )
    made = getattr(_run_file(Path(file)), name, None)
    if made is None:
        raise InputError(f"{file} has no {name}")
    module = made
    if not isinstance(made, nn.Module):
        with _explained(place, name):
            module = made()
    if not isinstance(module, nn.Module):
        raise InputError(f"{place} makes a {type(module).__name__}, not a torch module")
    if checkpoint is not None:
        _load(module, checkpoint)
    return module


def _run_file(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file")
    found = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # what it imports lies beside it
    try:
        with _explained(str(path), "it"):
            spec.loader.exec_module(found)
    finally:
        sys.path.pop(0)
    return found


def _load(module: nn.Module, checkpoint: Path) -> None:
    """Weights only: a checkpoint cannot run code."""
    if not checkpoint.is_file():
        raise InputError(f"no checkpoint {checkpoint}")
    try:
        found = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle raise what they like on a file that is none
        raise InputError(f"{checkpoint} is no checkpoint that can be read: {_first_line(error)}") from None
    weights = found
    if isinstance(found, dict):
        weights = next((found[key] for key in NESTED if isinstance(found.get(key), dict)), found)
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(
            f"{checkpoint} holds no weights: want a state_dict, or one under {', '.join(NESTED)}"
        )
    try:
        module.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"{checkpoint} does not fit {type(module).__name__}: {_first_line(error, 2)}"
        ) from None


@contextmanager
def _explained(name: str, doing: str) -> Iterator[None]:
    """What somebody else's code raises, as one line with the place in that code."""
    try:
        yield
    except RtsynthError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [f for f in frames if "torch" not in Path(f.filename).parts and f.filename != __file__]
        where = f" ({Path(theirs[-1].filename).name}:{theirs[-1].lineno})" if theirs else ""
        cause = f"{type(error).__name__}: {_first_line(error)}"
        raise InputError(f"{name}: {doing} failed: {cause}{where}") from error


def _first_line(error: BaseException, lines: int = 1) -> str:
    return " ".join(" ".join(str(error).splitlines()[:lines]).split())[:200]


def tensor(samples: Signal) -> Tensor:
    """(N,) -> (1, 1, N)."""
    return torch.from_numpy(np.ascontiguousarray(samples, np.float32))[None, None]


def _array(out: Tensor) -> Signal:
    return out[0].T.contiguous().numpy()
