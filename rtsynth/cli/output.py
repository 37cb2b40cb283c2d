"""What the verbs print: results on stdout, all that accompanies them on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rtsynth.cli.flags import Talk


def columns(rows: Sequence[Sequence[str]], gap: str = "  ") -> str:
    """Rows of texts as aligned columns, without trailing blanks."""
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (gap.join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def say(talk: Talk, text: str) -> None:
    """A line for people, unless they asked for quiet."""
    if not talk.quiet:
        print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """A line that is said even when quiet was asked for."""
    print(f"rtsynth: warning: {text}", file=sys.stderr, flush=True)


def warn_of(warnings: Iterable[str], what: str, talk: Talk) -> None:
    """The first of several warnings about `what` and how many more there are; all of them with -v."""
    listed = list(warnings)
    for text in listed if talk.verbose else listed[:1]:
        more = f" ({len(listed) - 1} more: -v)" if len(listed) > 1 and not talk.verbose else ""
        warn(f"{what}: {text}{more}")


def emit(value: dict[str, Any] | list[Any]) -> None:
    """A result as one line of JSON; numbers JSON does not have become null."""
    print(json.dumps(finite(value), ensure_ascii=False), flush=True)


def finite(value: Any) -> Any:
    """The value with null in place of numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
