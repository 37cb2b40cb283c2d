"""Bits per character of a text's last tenth: of the character network, static and dynamic, and of simple peers.

    python bench/text.py --data tinyshakespeare.txt [--model text] [--json]

Ends with 6 where the static score is above 2.1, or the dynamic one not below it (the figures are for tinyshakespeare).
The peers: the frequency of characters; a mixture of orders 0 to 6 by Witten and Bell's weights, counted in the first
nine tenths and not updated; what xz -9e adds to the file for its last tenth.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from rtsynth.sequence.network import load
from rtsynth.training.dynamic import Pace, dynamic_bits
from rtsynth.training.text import read_text, split, static_bits
from rtsynth.training.text_export import read_network

ASKED = 2.1
TUNED = 6000  # characters of the test on which the dynamic evaluation's pace was chosen


def witten_bell(learned: str, unseen: str, order: int) -> float:
    """Bits per character of counts with back-off, every order mixed with the one below."""
    counts: list[dict[str, Counter[str]]] = [defaultdict(Counter) for _ in range(order + 1)]
    for place in range(len(learned)):
        for n in range(min(order, place) + 1):
            counts[n][learned[place - n : place]][learned[place]] += 1
    characters = len(set(learned))
    total = 0.0
    history = learned[-order:] + unseen if order else unseen
    for place in range(order, len(history)):
        chance = 1.0 / characters
        for n in range(order + 1):
            found = counts[n].get(history[place - n : place])
            if found is None:
                break
            seen = sum(found.values())
            chance = (found[history[place]] + len(found) * chance) / (seen + len(found))
        total -= math.log2(chance)
    return total / (len(history) - order)


def xz(learned: str, unseen: str) -> float:
    sizes = [
        len(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
        for text in (learned, learned + unseen)
    ]
    return 8.0 * (sizes[1] - sizes[0]) / len(unseen)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="text")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    text = read_text(options.data)
    _, learned, unseen = split(text)
    halves = text[: len(learned)], text[len(learned) :]
    network = read_network(load(options.model).path)
    found = {
        "characters alone": witten_bell(*halves, 0),
        "orders 0 to 6": witten_bell(*halves, 6),
        "xz -9e": xz(*halves),
    }
    for name, score in (("static", static_bits), ("dynamic", None)):
        for part, codes in (("", unseen), (f", after the first {TUNED}", unseen[TUNED:])):
            begun = time.process_time()
            bits = score(network, codes) if score else dynamic_bits(network, learned, codes, Pace())
            found[name + part] = bits
            print(f"{name}{part}: {time.process_time() - begun:.0f} s", file=sys.stderr)
    if options.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{name:36} {bits:6.3f}" for name, bits in found.items()))
    return 0 if found["static"] <= ASKED and found["dynamic"] < found["static"] else 6


if __name__ == "__main__":
    sys.exit(main())
