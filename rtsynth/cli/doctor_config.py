"""`rtsynth doctor --config`: where every value comes from, and which settings nothing reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rtsynth.cli.config import (
    SHARED,
    UNSET_VERBS,
    File,
    Layer,
    Setting,
    Variables,
    Verb,
    files,
    flag_of,
    give,
    resolve,
    variable,
)
from rtsynth.cli.flags import Talk
from rtsynth.cli.output import columns, emit
from rtsynth.errors import InputError, RtsynthError, UsageError

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.argument import Argument

_NO_VALUE = "none"
_NAMED = 4  # verbs named in a row; all of them with --json


@dataclass(frozen=True)
class Value:
    """What a flag of a verb stands at when it is not typed."""

    verb: str
    flag: str
    value: str
    origin: str  # "default", or where it was said


def show(asked: str | None, talk: Talk) -> int:
    """Print all that is set, or every flag of one verb; the exit code is that of the first problem."""
    from rtsynth.cli import build_app

    app = build_app()
    known = {verb: inner for verb, inner in verbs(app) if verb[0] not in UNSET_VERBS}
    chosen = _chosen(asked, known)
    values: list[Value] = []
    problems: list[str] = []
    places = _places(problems)
    for verb in chosen:
        try:
            values += values_of(known[verb], verb, places, defaults=asked is not None)
        except RtsynthError as problem:
            problems.append(str(problem))
    problems = list(dict.fromkeys(problems))
    unread = _unread(known, places)
    if talk.json:
        for value in values:
            emit(asdict(value))
        emit({"problems": problems, "unread": unread})
    else:
        print(_text(values, unread, problems, places, asked is not None))
    return InputError.exit_code if problems else 0


def verbs(app: App, above: Verb = ()) -> Iterator[tuple[Verb, App]]:
    """Every verb that can be typed, and those below it."""
    for name in app:
        if not name.startswith("-"):
            inner = app[name]
            if inner.default_command is not None:
                yield (*above, name), inner
            yield from verbs(inner, (*above, name))


def _chosen(asked: str | None, known: dict[Verb, App]) -> list[Verb]:
    if asked is None:
        return list(known)
    verb = tuple(asked.replace(".", " ").split())
    found = [each for each in known if each[: len(verb)] == verb]
    if not found:
        raise UsageError(f"no verb '{asked}'. List: rtsynth --help")
    return found


def _places(problems: list[str]) -> list[Layer]:
    """All places, but for a file that is broken."""
    places: list[Layer] = [Variables(os.environ)]
    for path, name in files():
        try:
            places += [File.read(path, name)] if path.is_file() else []
        except InputError as problem:
            problems.append(str(problem))
    return places


def values_of(app: App, verb: Verb, places: list[Layer], *, defaults: bool) -> list[Value]:
    """What is set for one verb, and what is not. Raises InputError for a setting that does not fit."""
    arguments = [argument for argument in app.assemble_argument_collection() if _settable(argument)]
    said = {id(argument): setting for argument, setting in resolve(app, verb, arguments, places)}
    found = []
    for argument in arguments:
        setting = said.get(id(argument))
        if setting is not None:
            _check(argument, setting.values, setting.origin)
            found.append(Value(" ".join(verb), _flag(argument), ", ".join(setting.values), setting.origin))
        elif defaults:
            found.append(Value(" ".join(verb), _flag(argument), _default(argument), "default"))
    return found


def _settable(argument: Argument) -> bool:
    return flag_of(argument) is not None


def _flag(argument: Argument) -> str:
    return flag_of(argument) or ""


def _default(argument: Argument) -> str:
    default: Any = argument.field_info.default
    if default is argument.field_info.empty:
        return "(must be typed)"
    return _NO_VALUE if default is None else str(default)


def _check(argument: Argument, values: tuple[str, ...], origin: str) -> None:
    """Raises InputError where the flag does not take these values."""
    from cyclopts import CycloptsError

    give(argument, Setting(values, origin))
    try:
        argument.convert()
    except CycloptsError as problem:
        problem.verbose = False
        raise InputError(" ".join(str(problem).split())) from None


def _unread(known: dict[Verb, App], places: list[Layer]) -> list[str]:
    """Variables that begin as ours do and name no flag."""
    ours = {variable(flag) for flag in SHARED}
    for verb, app in known.items():
        ours |= {variable(*verb, _flag(a)) for a in app.assemble_argument_collection() if _settable(a)}
    return [
        name for place in places if isinstance(place, Variables) for name in place.said if name not in ours
    ]


def _text(
    values: list[Value], unread: list[str], problems: list[str], places: list[Layer], all_of_them: bool
) -> str:
    read = {place.name for place in places}
    told = ["What is typed wins; then RTSYNTH_* variables; then the first of these that says something:"]
    told += [
        f"  {name}{'' if name in read else ' (broken)' if path.is_file() else ' (not there)'}"
        for path, name in files()
    ]
    told += ["", columns(_rows(values, all_of_them)) or "Nothing is set: every flag is as built in."]
    if unread:
        told += ["", f"Nothing reads these variables: {', '.join(unread)}"]
    if problems:
        told += ["", "To do", *(f"- {problem}" for problem in problems)]
    return "\n".join(told)


def _rows(values: list[Value], all_of_them: bool) -> list[tuple[str, ...]]:
    """One for every value of a verb; or for what several verbs are told alike."""
    if all_of_them:
        return [(value.verb, f"--{value.flag}", value.value, value.origin) for value in values]
    said: dict[tuple[str, str, str], list[str]] = {}
    for value in values:
        said.setdefault((f"--{value.flag}", value.value, value.origin), []).append(value.verb)
    return [(*key, _listed(verbs)) for key, verbs in said.items()]


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
