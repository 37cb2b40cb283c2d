"""Values that hold arrays: frozen, compared and hashed by content, with their numbers checked on the way in.

A frozen dataclass with a NumPy field is neither hashable nor comparable; deriving from `Value` with
`@dataclass(frozen=True, eq=False)` makes it both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Curve = Callable[[Array], Array]  # times (N,) s -> values (N,), or (N, K) where K rows are meant


class Value:
    """Equality and hash by type and content of the dataclass fields; arrays count by shape and bytes."""

    def _content(self) -> tuple[Any, ...]:
        assert is_dataclass(self)
        return (type(self), *(_hashable(getattr(self, field.name)) for field in fields(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def __str__(self) -> str:
        assert is_dataclass(self)
        parts = (f"{field.name}={_short(getattr(self, field.name))}" for field in fields(self))
        return f"{type(self).__name__}({', '.join(parts)})"


def _hashable(value: object) -> object:
    return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value


def _short(value: object) -> str:
    """One line for an error message: a long array by its shape, a function by its name."""
    if isinstance(value, np.ndarray):
        return f"{value.tolist()}" if value.size <= 4 else f"<{' x '.join(map(str, value.shape))} values>"
    return (
        str(value)
        if isinstance(value, Value) or not callable(value)
        else getattr(value, "__name__", "<curve>")
    )


def read_only(values: ArrayLike, name: str, dimensions: tuple[int, ...] = (1,)) -> Array:
    """A read-only float64 copy of `values`; ValueError where empty, not finite or of other dimension."""
    # + 0.0 turns -0.0 into 0.0: the two are equal, so their bytes must be.
    array = np.array(values, dtype=np.float64) + 0.0
    if array.ndim not in dimensions or array.size == 0:
        raise ValueError(f"{name}: want a non-empty array of dimension {dimensions}, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: has a value that is not finite")
    array.flags.writeable = False
    return array


def non_negative(values: ArrayLike, name: str) -> Array:
    """`read_only` of shape (K,), and ValueError where a value is below zero."""
    array = read_only(values, name)
    if (array < 0.0).any():
        raise ValueError(f"{name}: wants values >= 0, got {array.min():g} at index {int(array.argmin())}")
    return array


def check_positive(value: float, name: str) -> None:
    """ValueError unless `value` is finite and above zero."""
    if not (np.isfinite(value) and value > 0.0):
        raise ValueError(f"{name}: wants a finite value > 0, got {value!r}")


def check_non_negative(value: float, name: str) -> None:
    """ValueError unless `value` is finite and not below zero."""
    if not (np.isfinite(value) and value >= 0.0):
        raise ValueError(f"{name}: wants a finite value >= 0, got {value!r}")
