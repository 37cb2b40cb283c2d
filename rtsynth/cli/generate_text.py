"""`rtsynth generate text`: characters, each shown as it is drawn."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit


def text(
    *,
    prime: Annotated[str, Parameter(help="How it begins.")] = "",
    length: Annotated[int, Parameter(help="Characters to add.")] = 500,
    temperature: Annotated[
        float, Parameter(help="1: as the network says; less: tidier; 0: always the likeliest.")
    ] = 0.8,
    seed: Annotated[int, Parameter(help="One seed, one text.")] = 1,
    model: Annotated[str, Parameter(help="An .onnx file of rtsynth train text, or a shipped one.")] = "text",
    talk: Talk = TALK,
) -> int:
    """Text that goes on from what you give it, out of a network that reads and writes characters."""
    from rtsynth.sequence.text import TextNetwork

    drawn = TextNetwork(model).generate(prime, length, temperature, seed)
    if talk.json:
        emit({"prime": prime, "text": "".join(drawn), "seed": seed, "temperature": temperature})
        return 0
    sys.stdout.write(prime)
    for character in drawn:
        sys.stdout.write(character)
        sys.stdout.flush()
    sys.stdout.write("\n")
    return 0
