"""`rtsynth generate pen`: a text in handwriting, as a picture or as strokes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say, warn
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.sequence.pen import Pen
    from rtsynth.sequence.strokes import Strokes

ENDINGS = (".svg", ".png", ".json")
LONGEST_PNG = 20_000  # characters


def pen(
    text: Annotated[str | None, Parameter(help="What to write.")] = None,
    /,
    *,
    out: Annotated[
        Path, Parameter(name=["--out", "-o"], help="A picture, .svg or .png; .json: the strokes themselves.")
    ],
    bias: Annotated[float, Parameter(help="0: as wild as it learned; 1 and more: ever tidier.")] = 0.5,
    style: Annotated[
        str | None,
        Parameter(help="A hand: print, italic, script, upright; or strokes with their text, .json."),
    ] = None,
    columns: Annotated[int, Parameter(help="Characters in a line, at most.")] = 60,
    points: Annotated[
        int | None, Parameter(help="For a model that reads no text: how many points it draws.")
    ] = None,
    seed: Annotated[int, Parameter(help="One seed, one writing.")] = 1,
    model: Annotated[str, Parameter(help="An .onnx file of rtsynth train pen, or a shipped one.")] = "pen",
    force: Annotated[bool, Parameter(name=["--force", "-f"], show_default=False, help="Overwrite.")] = False,
    talk: Talk = TALK,
) -> int:
    """Handwriting. A text of any length, in a hand of its own or in that of a sample."""
    from rtsynth.target import check_target

    if out.suffix.lower() not in ENDINGS:
        raise UsageError(f"{out}: handwriting is an .svg, a .png or a .json")
    if (text is None) == (points is None):
        raise UsageError('generate pen takes a text, "write this", or --points for a model that reads none')
    if columns < 1 or (points is not None and points < 1):
        raise UsageError("generate pen takes --columns and --points from 1")
    if text is not None and len(text) > LONGEST_PNG and out.suffix.lower() == ".png":
        raise UsageError(f"a .png holds up to {LONGEST_PNG} characters: -o {out.with_suffix('.svg')}")
    check_target(out, force)
    from rtsynth.sequence.pen import Pen

    drawing = Pen(model)
    if text is not None:
        return _write(drawing, text, bias, style, columns, seed, out, talk)
    assert points is not None
    strokes = drawing.scrawl(points, bias, seed)
    _keep(strokes, strokes.lines(), out)
    _tell(strokes, True, out, talk)
    return 0


def _write(
    drawing: Pen, text: str, bias: float, style: str | None, columns: int, seed: int, out: Path, talk: Talk
) -> int:
    from rtsynth.sequence.pen import rows

    sample = None if style is None else drawing.style(style)
    with progress("Writing", talk) as update:
        writing = drawing.write(text, bias, seed, sample, update)
    _keep(writing.strokes, rows(writing, columns), out)
    if not writing.whole:
        reached = int(writing.places.max(initial=0)) + 1
        warn(f"the pen lost its place at character {reached} of {len(writing.strokes.text)}: try --bias 1")
    _tell(writing.strokes, writing.whole, out, talk)
    return 0


def _keep(strokes: Strokes, lines: list, out: Path) -> None:
    from rtsynth.sequence.drawing import draw
    from rtsynth.sequence.pen import LINE

    if out.suffix.lower() == ".json":
        out.write_text(json.dumps(strokes.as_json()))
    else:
        draw(lines, out, LINE)


def _tell(strokes: Strokes, whole: bool, out: Path, talk: Talk) -> None:
    if talk.json:
        points, lifts = len(strokes.offsets), int(strokes.offsets[:, 2].sum())
        emit({"path": str(out), "text": strokes.text, "points": points, "strokes": lifts, "whole": whole})
        return
    say(talk, f"{len(strokes.offsets)} points")
    print(out)
