"""The command line, `rtsynth VERB`: one module a verb, imported when it runs, so that `--help` stays quick.

Errors are one line on stderr, with the cause and the next command to type; exit codes are those of
`rtsynth.errors`, 130 where the user interrupted, 141 where the reader of the output has gone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rtsynth.errors import RtsynthError

if TYPE_CHECKING:
    from cyclopts import App

USAGE, INTERRUPTED, READER_GONE = 2, 130, 141

_VERBS = {
    "play": ("rtsynth.cli.play:play", "Play an instrument in real time: MIDI keyboards, or a piece."),
    "live": (
        "rtsynth.cli.live:app",
        "Answer a microphone, or a file, in real time: a model, or the GP vocoder.",
    ),
    "render": ("rtsynth.cli.render:render", "Render a piece to an audio file, faster than real time."),
    "fit": ("rtsynth.cli.fit:fit", "Turn recorded notes into an instrument, and show how near it is."),
    "speech": ("rtsynth.cli.speech:app", "Fit a recording of speech as a Gaussian process, and draw it."),
    "codec": ("rtsynth.cli.codec:app", "A recording as a few dozen events a second, and back."),
    "demo": ("rtsynth.cli.demo:demo", "Hear the bundled piece on the piano, and keep it as demo.wav."),
    "presets": ("rtsynth.cli.presets:app", "List, show and check instruments."),
    "log": ("rtsynth.cli.log:app", "List and show what was played: rtsynth render last plays it again."),
    "devices": ("rtsynth.cli.devices:devices", "List audio outputs and MIDI inputs."),
    "fill": ("rtsynth.cli.fill:fill", "Repair gaps in a recording from the sound on both sides."),
    "selftest": ("rtsynth.cli.selftest:selftest", "Prove that an instrument's sound follows its stated law."),
    "bench": ("rtsynth.cli.bench:bench", "Measure what every block takes, beside an empty engine."),
    "report": (
        "rtsynth.cli.report:report",
        "Show a recording as sparse events: one page that plays, offline.",
    ),
    "generate": (
        "rtsynth.cli.generate:app",
        "Music, waveform, pen strokes or text out of a recurrent network.",
    ),
    "vocode": ("rtsynth.cli.vocode:vocode", "Mel frames, or those of a recording, through a vocoder."),
    "say": ("rtsynth.cli.say:say", "Say English text, on a device while it is made, or to a file."),
    "train": ("rtsynth.cli.train:app", "Train a model by its recipe, and export it."),
    "export": ("rtsynth.cli.export:app", "Export a network as a streaming ONNX file, proved to stream."),
    "doctor": ("rtsynth.cli.doctor:doctor", "Check what this machine has and lacks for real-time sound."),
}


def build_app() -> App:
    """The command line as a cyclopts App that raises its errors and returns the verb's exit code."""
    from cyclopts import App, Parameter

    from rtsynth import __version__
    from rtsynth.cli.config import apply

    app = App(
        name="rtsynth",
        help="Play Gaussian processes as instruments, in real time.",
        version=__version__,
        default_parameter=Parameter(negative=()),
        config=apply,
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
    )
    for name, (path, summary) in _VERBS.items():
        app.command(path, name=name, help=summary)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name); returns the exit code."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except RtsynthError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Python would complain once more when it flushes stdout at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE


def _run(arguments: list[str]) -> int:
    from cyclopts import CycloptsError

    try:
        code = build_app()(arguments) or 0
    except CycloptsError as error:
        verb = arguments[0] if arguments and arguments[0] in _VERBS else ""
        _complain(f"{error} Help: rtsynth {verb + ' ' if verb else ''}--help")
        return USAGE
    sys.stdout.flush()
    return code


def _complain(text: str) -> None:
    """One line on stderr, whatever the text holds."""
    print(f"rtsynth: {' '.join(text.split())}", file=sys.stderr)
