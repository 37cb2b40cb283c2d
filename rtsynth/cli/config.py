"""Settings: what nobody typed comes from RTSYNTH_* variables, ./rtsynth.toml or the user's config.toml, in that order.

A file says `block = 32` at its top for every verb that has the flag (only flags that several verbs share), or in the
table of a verb, `[play]` or `[live.vocoder]`, for that one; so do the variables RTSYNTH_BLOCK and RTSYNTH_PLAY_BLOCK.
What is said of a verb wins within one place; a later place never wins over an earlier one.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rtsynth.errors import InputError

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.argument import Argument

PROJECT_FILE = "rtsynth.toml"
PREFIX = "RTSYNTH_"
SHARED = (  # flags that may be set for all verbs at once: what they mean is the same everywhere
    "audio-out",
    "audio-in",
    "midi-in",
    "rate",
    "block",
    "seed",
    "gain-db",
    "tuning",
    "kbm",
    "a4",
    "subtype",
    "device",
    "no-wait",
    "json",
    "quiet",
    "verbose",
)
UNSET_VERBS = {"doctor"}  # it must run, and say so, when a file is broken

Verb = tuple[str, ...]  # ("live", "vocoder")


@dataclass(frozen=True)
class Setting:
    """A value as text, several for a flag that takes a list, and where it was said."""

    values: tuple[str, ...]
    origin: str


class Layer(Protocol):
    """One place where settings come from."""

    @property
    def name(self) -> str: ...
    def find(self, verb: Verb, flag: str) -> Setting | None: ...
    def check(self, verb: Verb, flags: Iterable[str], verbs: Iterable[str]) -> None: ...


def user_file() -> Path:
    """The user's own settings, in the folder that the system keeps for them; it need not be there."""
    import platformdirs

    return platformdirs.user_config_path("rtsynth") / "config.toml"


def files() -> list[tuple[Path, str]]:
    """Files that are read where they are there, and what they are called; the strongest first."""
    return [(Path(PROJECT_FILE), f"./{PROJECT_FILE}"), (user_file(), str(user_file()))]


def layers() -> list[Layer]:
    """All places, the strongest first. Raises InputError for a file that is not TOML."""
    return [Variables(os.environ), *(File.read(path, name) for path, name in files() if path.is_file())]


def apply(app: App, verb: Verb, arguments: Iterable[Argument]) -> None:
    """Give every flag that was not typed what the strongest place says; a `config` of cyclopts."""
    if verb and verb[0] in UNSET_VERBS:
        return
    settings = resolve(app, verb, arguments, layers())
    for argument, setting in settings:
        give(argument, setting)


def resolve(
    app: App, verb: Verb, arguments: Iterable[Argument], places: list[Layer]
) -> list[tuple[Argument, Setting]]:
    """The settings of one verb for flags that were not typed. Raises InputError for one that it does not have."""
    flags = {name: argument for argument in arguments if (name := flag_of(argument))}
    for place in places:
        place.check(verb, flags, list(app))
    return [
        (argument, setting)
        for flag, argument in flags.items()
        if not argument.has_tokens
        and (setting := next(filter(None, (p.find(verb, flag) for p in places)), None))
    ]


def flag_of(argument: Argument) -> str | None:
    """`gain-db` of the argument behind --gain-db; None for what is typed without a name."""
    return next((name[2:] for name in argument.names if name.startswith("--")), None)


def give(argument: Argument, setting: Setting) -> None:
    """As if it had been typed; an error names where it was said."""
    from cyclopts import Token

    for index, value in enumerate(setting.values):
        argument.append(Token(keyword=setting.origin, value=value, source="", index=index))


@dataclass(frozen=True)
class Variables:
    """The environment."""

    environment: Mapping[str, str]
    name: str = f"{PREFIX}*"

    def find(self, verb: Verb, flag: str) -> Setting | None:
        names = [variable(*verb, flag)] + [variable(flag)] * (flag in SHARED)
        said = next((name for name in names if self.environment.get(name)), None)
        return None if said is None else Setting((self.environment[said],), said)

    def check(self, verb: Verb, flags: Iterable[str], verbs: Iterable[str]) -> None:
        """Variables of other programs may begin alike: `rtsynth doctor --config` lists those that nothing reads."""

    @property
    def said(self) -> list[str]:
        """Every variable that may be meant for us."""
        return sorted(name for name, value in self.environment.items() if name.startswith(PREFIX) and value)


def variable(*words: str) -> str:
    return PREFIX + "_".join(words).upper().replace("-", "_")


@dataclass(frozen=True)
class File:
    """A TOML file."""

    name: str
    content: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path, name: str) -> File:
        """Raises InputError where it cannot be read, or says at its top what only a verb can be told."""
        try:
            content = tomllib.loads(path.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
            raise InputError(f"{name}: {problem}. See: rtsynth doctor --config") from None
        return cls(name, content)

    def find(self, verb: Verb, flag: str) -> Setting | None:
        own = _entry(self._table(verb), flag)
        if own is not None:
            return self._setting(own, f"[{'.'.join(verb)}] {flag}")
        shared = _entry(self.content, flag) if flag in SHARED else None
        return None if shared is None else self._setting(shared, flag)

    def _table(self, verb: Verb) -> Mapping[str, Any]:
        table: Any = self.content
        for depth, word in enumerate(verb, 1):
            table = table.get(word, {})
            if not isinstance(table, Mapping):
                raise InputError(f"{self.name}: {'.'.join(verb[:depth])} is a verb: want a table [{word}]")
        return table

    def _setting(self, value: Any, key: str) -> Setting:
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | float) for item in values):
            raise InputError(f"{self.name}: {key}: want text, a number, true or false")
        return Setting(tuple(map(_typed, values)), f"{key} in {self.name}")

    def check(self, verb: Verb, flags: Iterable[str], verbs: Iterable[str]) -> None:
        """Raises InputError for a key at the top, or in the table of `verb`, that means nothing."""
        self._check_top()
        inner = {word for word in verbs if not word.startswith("-")}
        flags = list(flags)
        for key in self._table(verb) if verb else ():
            if key not in inner and key.replace("_", "-") not in flags:
                table = ".".join(verb)
                raise InputError(
                    f"{self.name}: [{table}] {key}: no such flag.{_did_you_mean(key, flags)} "
                    f"All: rtsynth {' '.join(verb)} --help"
                )

    def _check_top(self) -> None:
        from rtsynth.cli import _VERBS

        for key, value in self.content.items():
            if isinstance(value, Mapping) and key not in _VERBS:
                raise InputError(f"{self.name}: [{key}]: no such verb.{_did_you_mean(key, _VERBS)}")
            if not isinstance(value, Mapping) and key.replace("_", "-") not in SHARED:
                step = f"Flags of one verb stand in its table, as [play] {key} = …"
                raise InputError(f"{self.name}: {key}: not for all verbs.{_did_you_mean(key, SHARED)} {step}")


def _typed(value: str | float) -> str:
    """A value of TOML as it would be typed."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _entry(table: Mapping[str, Any], flag: str) -> Any:
    return table.get(flag, table.get(flag.replace("-", "_")))


def _did_you_mean(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key.replace("_", "-"), list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""
