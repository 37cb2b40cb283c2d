"""Choosing a device or port by what was typed: its name or a unique part of it; else the nearest is named."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from rtsynth.errors import DeviceError


def choose(wanted: str, names: Sequence[str], *, what: str, hint: str) -> int:
    """Index in `names` of the one meant by `wanted`; case does not matter.

    Raises DeviceError, naming the nearest, where none is meant or more than one is; `what` is the kind of
    thing ("output"), `hint` the command that lists them.
    """
    folded = [name.casefold() for name in names]
    target = wanted.strip().casefold()
    exact = [index for index, name in enumerate(folded) if name == target]
    if exact:
        return exact[0]
    found = [index for index, name in enumerate(folded) if target and target in name]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"'{names[index]}'" for index in found)
        raise DeviceError(f"'{wanted}' could be more than one {what}: {listed}. List: {hint}")
    raise DeviceError(f"no {what} named '{wanted}'.{_nearest(target, names, folded)} List: {hint}")


def _nearest(target: str, names: Sequence[str], folded: Sequence[str]) -> str:
    near = difflib.get_close_matches(target, folded, n=1, cutoff=0.3)
    return f" Did you mean '{names[folded.index(near[0])]}'?" if near else ""
