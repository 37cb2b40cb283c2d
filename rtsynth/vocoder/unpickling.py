"""The pickle of a checkpoint, followed without running anything that it says.

A pickle is a program. This interpreter knows the few instructions that numbers, strings, lists and dictionaries are
made by, and of all functions that a pickle may name it knows those that rebuild tensors. Everything else is refused by
its name; nothing is imported, no attribute is set, no object of a class of somebody else's is made.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

LARGEST = 1 << 32  # bytes of a file, and more than any number in it that says a size
DEEPEST = 8  # dimensions of a tensor

STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class RefusedError(Exception):
    """Why a file is no checkpoint, or none that may be read; never leaves this module."""


@dataclass(frozen=True)
class Storage:
    """A row of numbers that lies somewhere in the file, and its type."""

    name: str
    key: str
    count: int
    start: int = 0  # of a view, within the row called `key`


class Tensor(NamedTuple):
    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Function:
    """What a pickle may name; `call` is ours."""

    name: str
    call: Callable[..., Any]


def _dictionary(*items: Any) -> dict[Any, Any]:
    """An OrderedDict: empty, or from a list of pairs."""
    if not items:
        return {}
    if len(items) != 1 or not isinstance(items[0], list):
        raise RefusedError("a dictionary made of something else than pairs")
    made: dict[Any, Any] = {}
    for pair in items[0]:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise RefusedError("a dictionary made of something else than pairs")
        _set(made, pair[0], pair[1])
    return made


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    """torch._utils._rebuild_tensor and _rebuild_tensor_v2."""
    numbers = (
        [offset, *shape, *strides] if isinstance(shape, tuple) and isinstance(strides, tuple) else [None]
    )
    plain = all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < LARGEST for n in numbers)
    if not isinstance(storage, Storage) or not plain or not len(shape) == len(strides) <= DEEPEST:
        raise RefusedError("a tensor that is none")
    return Tensor(storage, offset, shape, strides)


def _parameter(tensor: Any, *_: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise RefusedError("a parameter that is no tensor")
    return tensor


def _size(*items: Any) -> tuple[Any, ...]:
    return tuple(items[0]) if items and isinstance(items[0], list | tuple) else ()


def _not_callable(*_: Any) -> NoReturn:
    raise RefusedError("a storage's type is called")


_KNOWN: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": _dictionary,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
    "torch Size": _size,
    **{f"torch {name}": _not_callable for name in STORAGES},
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUMBERS = ["INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"]
_TEXTS = [
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
]
_VALUES = frozenset((*_NUMBERS, *_TEXTS))  # instructions that push what follows them
_FRESH: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_SILENT = frozenset({"PROTO", "FRAME"})


class _Machine:
    """A pickle's stack and memo. Every instruction that it knows is a method of that name, or stands in a table."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []  # heights of the stack
        self.memo: dict[int, Any] = {}

    def do(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _FRESH:
            self.stack.append(_FRESH[name]())
        elif name not in _SILENT:
            method = getattr(self, f"_{name.lower()}", None)
            if method is None:
                raise RefusedError(f"its pickle has the instruction {name}")
            method(argument)

    def _mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def _since_mark(self) -> list[Any]:
        place = self.marks.pop()
        items = self.stack[place:]
        del self.stack[place:]
        return items

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    _binput = _long_binput = _put

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _get(self, place: int) -> None:
        self.stack.append(self.memo[place])

    _binget = _long_binget = _get

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _tuple1(self, _: Any) -> None:
        self._pack(1)

    def _tuple2(self, _: Any) -> None:
        self._pack(2)

    def _tuple3(self, _: Any) -> None:
        self._pack(3)

    def _pack(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        if len(items) < count:
            raise IndexError
        self.stack[-count:] = [items]

    def _list(self, _: Any) -> None:
        self.stack.append(self._since_mark())

    def _append(self, _: Any) -> None:
        item = self.stack.pop()
        self._top(list).append(item)

    def _appends(self, _: Any) -> None:
        items = self._since_mark()
        self._top(list).extend(items)

    def _dict(self, _: Any) -> None:
        items = self._since_mark()
        self.stack.append({})
        self._set_all(items)

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_all([key, value])

    def _setitems(self, _: Any) -> None:
        self._set_all(self._since_mark())

    def _set_all(self, items: list[Any]) -> None:
        made = self._top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            _set(made, key, value)

    def _top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise RefusedError(f"something is put into what is no {kind.__name__}")
        return self.stack[-1]

    def _global(self, name: str) -> None:
        if name not in _KNOWN:
            raise RefusedError(f"it names {name.replace(' ', '.')}, which is nothing that weights need")
        self.stack.append(_Function(name, _KNOWN[name]))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._global(f"{module} {name}"[:200])

    def _reduce(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Function) or not isinstance(arguments, tuple):
            raise RefusedError("something is called that is no function")
        self.stack.append(function.call(*arguments))

    def _build(self, _: Any) -> None:
        """Attributes of a dictionary (torch hangs `_metadata` on a state_dict): passed over."""
        self.stack.pop()
        self._top(dict)

    def _binpersid(self, _: Any) -> None:
        self.stack.append(_storage(self.stack.pop()))


def _set(made: dict[Any, Any], key: Any, value: Any) -> None:
    if not isinstance(key, str | int):
        raise RefusedError(f"a dictionary whose key is a {type(key).__name__}")
    made[key] = value


def _storage(said: Any) -> Storage:
    """("storage", type, key, device, count[, (key of the view, its start, its count)])."""
    if not isinstance(said, tuple) or len(said) not in (5, 6) or said[0] != "storage":
        raise RefusedError("a reference to something that is no storage")
    kind, key, count, view = said[1], str(said[2])[:200], said[4], said[5] if len(said) == 6 else None
    name = kind.name.partition(" ")[2] if isinstance(kind, _Function) else ""
    if view is not None:
        if not isinstance(view, tuple) or len(view) != 3:
            raise RefusedError("a view of a storage that is none")
        start, count = view[1:]
    else:
        start = 0
    numbers = all(isinstance(n, int) and 0 <= n < LARGEST for n in (start, count))
    if name not in STORAGES or not numbers:
        raise RefusedError("a storage of an unknown type or size")
    return Storage(name, key, count, start)


def interpret(stream: io.BytesIO) -> Any:
    """What the next pickle of the stream says."""
    machine = _Machine()
    try:
        for instruction, argument, _ in pickletools.genops(stream):
            if instruction.name == "STOP":
                return machine.stack.pop()
            machine.do(instruction.name, argument)
    except RefusedError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, RecursionError, MemoryError):
        pass
    raise RefusedError("its pickle is cut off or damaged")
