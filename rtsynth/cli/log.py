"""`rtsynth log`: what was played, one take after the other; every one can be rendered again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import columns, emit, say
from rtsynth.errors import InputError

if TYPE_CHECKING:
    from rtsynth.engine.session_log import Take

app = App(name="log", help="List and show what was played; rtsynth render last -o take.wav plays it again.")
Which = Annotated[str, Parameter(help="last, a name from the list, or a .log file.")]
SHOWN = 20  # messages, without -v


@app.command(name="list")
def list_logs(*, talk: Talk = TALK) -> int:
    """The logs that are kept, the newest first."""
    from rtsynth.engine.session_files import folder, listed
    from rtsynth.engine.session_log import read_log

    told: list[dict[str, Any]] = []
    for path in listed():
        try:
            told.append(_summary(read_log(path)))
        except InputError as problem:
            told.append({"name": path.stem, "path": str(path), "problem": str(problem)})
    if talk.json:
        emit(told)
        return 0
    print(columns([_cells(one) for one in told]) if told else f"none in {folder()}")
    say(talk, "Again, bit for bit: rtsynth render NAME.log -o take.wav; NAME.log may be last")
    return 0


@app.command
def show(which: Which = "last", /, *, talk: Talk = TALK) -> int:
    """A log: what was played with what, how it ended, and its messages (-v: all of them)."""
    from rtsynth.engine.session_files import find
    from rtsynth.engine.session_log import read_log, rows

    take = read_log(find(which))
    if talk.json:
        emit(_summary(take) | {"header": take.header, "end": take.end, "messages": rows(take.messages)})
        return 0
    print(columns(_table(take)))
    shown = take.messages if talk.verbose else take.messages[:SHOWN]
    if len(shown):
        print(columns([_message_cells(row, take.rate) for row in rows(shown)]))
    if len(shown) < len(take.messages):
        say(talk, f"… {len(take.messages) - len(shown)} more messages: -v")
    return 0


def _summary(take: Take) -> dict[str, Any]:
    from rtsynth.engine.session_log import rows

    header = take.header
    return {
        "name": take.path.stem,
        "path": str(take.path),
        "began": header.get("began"),
        "verb": header.get("verb"),
        "what": _what(header),
        "seconds": take.frames / take.rate,
        "rate": take.rate,
        "messages": len(take.messages),
        "notes": Counter(row[1] for row in rows(take.messages))["note_on"],
        "whole": take.end is not None and not take.lost,
    }


def _what(header: dict[str, Any]) -> str:
    source = header.get("source", {})
    preset = source.get("preset")
    return preset["name"] if preset else str(source.get("model") or source.get("kind", "?"))


def _cells(one: dict[str, Any]) -> list[str]:
    if "problem" in one:
        return [f"{one['name']}.log", one["problem"]]
    whole = "" if one["whole"] else "not whole"
    return [f"{one['name']}.log", one["what"], f"{one['seconds']:.1f} s", f"{one['notes']} notes", whole]


def _table(take: Take) -> list[tuple[str, str]]:
    header, one = take.header, _summary(take)
    source = header.get("source", {})
    preset = source.get("preset")
    settings = {name: value for name, value in source.items() if name not in ("kind", "preset", "why")}
    rows = [
        ("log", str(Path(take.path))),
        ("began", str(one["began"])),
        ("played", f"{one['verb']} {one['what']}, " + ", ".join(f"{k} {v}" for k, v in settings.items())),
        *([("preset", f"{preset['from']}, sha256 {preset['sha256'][:16]}")] if preset else []),
        ("rate", f"{take.rate:g} Hz"),
        ("build", f"{header.get('version')}, {header.get('build')}"),
        ("length", f"{one['seconds']:.3f} s, {take.frames} samples"),
        ("messages", f"{one['messages']}, of them {one['notes']} notes"),
    ]
    end = take.end
    rows.append(("ended", "without saying so: killed" if end is None else str(end.get("ending"))))
    if end is not None:
        late = sum(end.get("late", {}).values())
        rows.append(("late", f"{late} blocks, {end.get('late_messages', 0)} messages"))
    return rows


def _message_cells(row: list[Any], rate: float) -> list[str]:
    stamp, kind, channel, number, value, *_ = row
    shown = "not at all" if value is None else f"{value:.6g}"
    return [f"{stamp / rate:10.4f} s", str(kind), f"channel {channel + 1}", str(number), shown]
