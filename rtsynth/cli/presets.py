"""`rtsynth presets`: list the instruments that are shipped, show what one is, check one of your own."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

from rtsynth.cli.flags import TALK, PresetName, Talk
from rtsynth.cli.output import columns, emit
from rtsynth.errors import InputError

app = App(name="presets", help="List, show and check instruments.")


@app.command(name="list")
def list_(*, talk: Talk = TALK) -> int:
    """Names and titles of the presets that are shipped."""
    import rtsynth

    presets = [rtsynth.load_preset(name) for name in rtsynth.presets()]
    if talk.json:
        emit([{"name": preset.name, "title": preset.title, "tags": list(preset.tags)} for preset in presets])
    else:
        print(columns([(preset.name, preset.title) for preset in presets]))
    return 0


@app.command
def show(preset: PresetName, /, *, talk: Talk = TALK) -> int:
    """What a preset is: its layers, rows, envelope and tuning."""
    import rtsynth
    from rtsynth.instrument.preset import describe

    rows = describe(rtsynth.load_preset(preset))
    if talk.json:
        emit(dict(rows))
    else:
        print(columns(rows))
    return 0


@app.command
def validate(
    paths: Annotated[list[str], Parameter(help="TOML files, or names of presets.")], /, *, talk: Talk = TALK
) -> int:
    """Check presets: every problem is one line with file, line and field; exit code 5 where there is one."""
    from rtsynth.instrument.preset import validate as problems_of

    found = {path: problems_of(path) for path in paths}
    if talk.json:
        emit(found)
    for path, problems in found.items():
        if not talk.json and not problems:
            print(f"{path}: fine")
        for problem in problems:
            print(f"rtsynth: {problem}", file=sys.stderr)
    return InputError.exit_code if any(found.values()) else 0
