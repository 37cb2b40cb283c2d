"""Makes the corpus that the shipped `say` was trained on: `python bench/say_corpus.py PLAY.txt DIR`; needs flite.

The words of the salads come from the language model of the package pocketsphinx-en-us, where it is installed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rtsynth.cli.display import progress
from rtsynth.cli.flags import TALK
from rtsynth.training.speech_teacher import read_aloud
from rtsynth.training.speech_texts import sentences

WORDS = Path("/usr/share/pocketsphinx/model/en-us/en-us.lm.bin")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("play", type=Path, help="a plain text: tinyshakespeare")
    options.add_argument("folder", type=Path, help="where the corpus goes")
    options.add_argument("--count", type=int, default=6500, help="sentences")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--words", type=Path, default=WORDS if WORDS.exists() else None)
    given = options.parse_args()
    texts = sentences(given.count, given.play, given.words, given.seed)
    with progress("Reading aloud", TALK) as update:
        read_aloud(texts, given.folder, update)


if __name__ == "__main__":
    main()
