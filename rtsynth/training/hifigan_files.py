"""HiFi-GAN's checkpoints as the original writes and reads them: `g_STEPS` the generator, `do_STEPS` all the rest.

Read by rtsynth/vocoder/checkpoint.py, which runs nothing; written with the names that the original's torch gave to
normed weights, in the order that its optimisers count parameters by, which is that of today's torch too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rtsynth.errors import InputError
from rtsynth.vocoder.checkpoint import read_checkpoint

_WEIGHT = [
    ("parametrizations.weight.original0", "weight_g"),
    ("parametrizations.weight.original1", "weight_v"),
]
_SPECTRAL = [
    ("parametrizations.weight.original", "weight_orig"),
    ("parametrizations.weight.0._u", "weight_u"),
    ("parametrizations.weight.0._v", "weight_v"),
]  # (today's name, the original's)


def official_state(module: nn.Module) -> dict[str, Tensor]:
    """The module's weights under the original's names, on the CPU."""
    return {_official(name): tensor.detach().cpu() for name, tensor in module.state_dict().items()}


def _official(name: str) -> str:
    for today, original in (*_WEIGHT, *_SPECTRAL):
        if name.endswith(today):
            return name.removesuffix(today) + original
    return name


def load_official(module: nn.Module, state: Any, where: str) -> None:
    """Weights under the original's names, or today's, into a module. InputError where they are not its own."""
    if not isinstance(state, dict) or not all(
        isinstance(k, str) and isinstance(v, np.ndarray) for k, v in state.items()
    ):
        raise InputError(f"{where}: no weights of a {type(module).__name__}")
    given = {name.removeprefix("module."): array for name, array in state.items()}
    for today, tensor in module.state_dict().items():
        name = today if today in given else _official(today)
        if name not in given:
            raise InputError(f"{where}: no {name}: not the {type(module).__name__} of this config")
        if given[name].shape != tuple(tensor.shape):
            raise InputError(f"{where}: {name} is {given[name].shape}, the config's is {tuple(tensor.shape)}")
        tensor.copy_(torch.from_numpy(np.array(given[name], np.float32)))


def load_optimiser(optimiser: torch.optim.Optimizer, state: Any, where: str) -> None:
    """What an optimiser remembers. InputError where it is another's."""
    try:
        optimiser.load_state_dict(_tensors(state))
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"{where}: not this optimiser's state ({' '.join(str(error).split())[:100]})"
        ) from None


def _tensors(what: Any) -> Any:
    """The same, with tensors where arrays were."""
    if isinstance(what, np.ndarray):
        return torch.from_numpy(np.array(what))
    if isinstance(what, dict):
        return {key: _tensors(value) for key, value in what.items()}
    return type(what)(map(_tensors, what)) if isinstance(what, list | tuple) else what


def write(path: Path, state: dict[str, Any]) -> None:
    """Never half of one."""
    partial = path.with_name(f".{path.name}.partial")
    torch.save(state, partial)
    partial.replace(path)


def find(place: Path) -> tuple[Path, Path | None]:
    """(generator, the rest or None) of a folder's newest, or of a file `g_…` and what lies beside it."""
    if place.is_dir():
        numbered = sorted(path for path in place.iterdir() if re.fullmatch(r"g_\d{8}", path.name))
        if not numbered:
            raise InputError(f"no checkpoint g_… in {place}")
        place = numbered[-1]
    beside = place.with_name(place.name.replace("g_", "do_", 1))
    return place, beside if place.name.startswith("g_") and beside.is_file() else None


def read_rest(path: Path) -> dict[str, Any]:
    """A `do_…` file. InputError where it is none."""
    state = read_checkpoint(path)
    missing = [name for name in ("mpd", "msd", "optim_g", "optim_d", "steps", "epoch") if name not in state]
    if missing or not all(isinstance(state[name], int) for name in ("steps", "epoch")):
        raise InputError(
            f"{path} is no do_… file of a training: no {', '.join(missing) or 'number of steps'}"
        )
    return state
