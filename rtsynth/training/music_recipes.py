"""The recipes of `rtsynth train music`: what did best on the validation pieces, of short sets and of long ones.

JSB Chorales has 14,000 steps in pieces of about 60: whole pieces side by side, in half a minute of one core a cell. The
others have 76,000 to 245,000 steps: chunks of 50 steps, so that there are more updates, 8 to 12 ms each.
"""

from __future__ import annotations

from dataclasses import replace

from rtsynth.training.music import Recipe

SHORT, MIDDLE = (
    30_000,
    100_000,
)  # steps to learn from: JSB Chorales has fewer, Piano-midi fewer than the second
NOISE, LESS_NOISE = (
    0.075,
    0.03,
)  # on the weights: that of Chung et al. 2014, and where there is more to learn from

RECIPES = {
    "tanh": Recipe(cell="tanh", hidden=100, noise=NOISE, updates=1500),
    "gru": Recipe(cell="gru", hidden=46, noise=NOISE, updates=1500),
    "lstm": Recipe(cell="lstm", hidden=36, noise=NOISE, rate=1e-2, updates=1800),
    "joint": Recipe(
        hidden=150,
        width=128,
        dropout=0.3,
        transpose=5,
        silence=0.5,
        decay=0.02,
        rate=4e-3,
        average=0.998,
        updates=3000,
    ),
}
LONG_RATES = {"tanh": 4e-3, "gru": 5e-3, "lstm": 1e-2, "joint": 4e-3}


def recipe(
    kind: str, steps: int, hidden: int | None = None, updates: int | None = None, seed: int = 1
) -> Recipe:
    """For a set of so many steps to learn from; its size and length changed where they are given."""
    found = RECIPES[kind]
    if steps > SHORT:
        rate = LONG_RATES[kind]
        found = replace(found, lanes=32, steps=50, rate=rate, average=0.998, check=500, updates=4000)
    if steps > MIDDLE:
        noise = min(found.noise, LESS_NOISE)
        found = replace(found, average=0.999, check=1000, updates=16_000, noise=noise)
    return replace(found, hidden=hidden or found.hidden, updates=updates or found.updates, seed=seed)
