"""Recurrent networks on four sets of piano rolls, beside the published figures.

    python bench/music.py [--sets JSB_Chorales …] [--cells gru …] [--joint] [--keep DIRECTORY] [--json]

Negative log-likelihood of the next step, natural log, Σ over 88 keys, on the pieces of the test, from weights chosen
on those of validation: pooled over all steps, and as the mean over pieces of each one's mean. JSB Chorales takes under
a minute of one core a cell, the longer sets two to ten; --keep keeps checkpoints there, and goes on from them.
--joint: the larger network with a joint head on JSB Chorales, as shipped.

Published: Chung et al. 2014 (arXiv 1412.3555), test, same sizes; their sets had 93 to 108 symbols, these have 88.
Floors: counting alone, each key at its rate, and each key's own Markov chain. Ends with 6 when a figure is missed.
Needs ../shared/data/polymusic; without it says so and ends with 0.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from rtsynth.training.music import Recipe, Training, evaluate
from rtsynth.training.music_floors import floors
from rtsynth.training.music_recipes import recipe
from rtsynth.training.rolls import Rolls, read_rolls

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "polymusic"
JSB = "JSB_Chorales"
PUBLISHED = {
    JSB: {"tanh": 9.10, "gru": 8.54, "lstm": 8.67},
    "Nottingham": {"tanh": 3.13, "gru": 3.23, "lstm": 3.20},
    "MuseData": {"tanh": 6.23, "gru": 5.99, "lstm": 6.23},
    "Piano_midi": {"tanh": 9.03, "gru": 8.82, "lstm": 9.03},
}
ASKED = {
    "Nottingham": 3.4,
    "MuseData": 6.3,
    "Piano_midi": 8.9,
}  # of the best cell; JSB: each cell as published
ASKED_SECONDS = 60.0  # of processor time, a cell, JSB
LONGER = {("Nottingham", "tanh"): 40_000, ("MuseData", "gru"): 40_000}  # updates; else the recipe's
ASKED_JOINT = 8.10  # a TCN of independent keys: Bai et al. 2018


@dataclass(frozen=True)
class Row:
    set: str
    cell: str
    hidden: int
    validation: float
    pooled: float
    per_sequence: float
    published: float
    seconds: float  # of processor time
    updates: int


def measure(rolls: Rolls, recipe: Recipe, published: float, keep: Path | None) -> Row:
    kind = "joint" if recipe.width else recipe.cell
    checkpoint = keep / f"{rolls.name}-{kind}.pt" if keep else None
    kept = checkpoint is not None and checkpoint.exists()
    training = Training.resume(checkpoint, rolls) if checkpoint and kept else Training(recipe, rolls)
    loss = evaluate(training.run(None, checkpoint), rolls.test)
    return Row(
        rolls.name,
        kind,
        recipe.hidden,
        training.best,
        loss.pooled,
        loss.per_sequence,
        published,
        training.seconds,
        training.update,
    )


def missed(rows: list[Row]) -> list[str]:
    found = []
    for row in rows:
        asked = ASKED_JOINT if row.cell == "joint" else row.published
        if row.set == JSB and row.pooled > asked:
            found.append(f"{row.set} {row.cell}: {row.pooled:.2f} > {asked}")
        if row.set == JSB and row.cell != "joint" and row.seconds > ASKED_SECONDS:
            found.append(f"{row.set} {row.cell}: {row.seconds:.0f} s > {ASKED_SECONDS:.0f} s")
    for name, asked in ASKED.items():
        best = min((row.pooled for row in rows if row.set == name), default=-math.inf)
        if best > asked:
            found.append(f"{name}: {best:.2f} > {asked}")
    return found


def show(rows: list[Row]) -> None:
    print("set           cell   units  validation   test  per piece  published  CPU s")
    for row in rows:
        print(
            f"{row.set:13} {row.cell:6} {row.hidden:5} {row.validation:11.3f} {row.pooled:6.3f}"
            f" {row.per_sequence:10.3f} {row.published:10.2f} {row.seconds:6.0f}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=list(PUBLISHED), default=[JSB])
    parser.add_argument(
        "--cells", nargs="+", choices=["tanh", "gru", "lstm"], default=["tanh", "gru", "lstm"]
    )
    parser.add_argument("--joint", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if not DATA.is_dir():
        print("no ../shared/data/polymusic here: nothing measured", file=sys.stderr)
        return 0
    rows: list[Row] = []
    counted = {}
    for name in asked.sets:
        rolls = read_rolls(DATA / f"{name}.mat")
        counted[name] = {kind: loss._asdict() for kind, loss in floors(rolls).items()}
        for cell in asked.cells:
            chosen = recipe(cell, rolls.steps, updates=LONGER.get((name, cell)))
            rows.append(measure(rolls, chosen, PUBLISHED[name][cell], asked.keep))
            print(f"{name} {cell}: {rows[-1].pooled:.3f}", file=sys.stderr)
    if asked.joint:
        rolls = read_rolls(DATA / f"{JSB}.mat")
        rows.append(measure(rolls, recipe("joint", rolls.steps), ASKED_JOINT, asked.keep))
    if asked.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "floors": counted, "missed": missed(rows)}))
    else:
        show(rows)
        for name, kinds in counted.items():
            print(
                f"floors, {name}: "
                + ", ".join(f"{kind} {loss['pooled']:.2f}" for kind, loss in kinds.items())
            )
    for line in missed(rows):
        print(f"missed: {line}", file=sys.stderr)
    return 6 if missed(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
