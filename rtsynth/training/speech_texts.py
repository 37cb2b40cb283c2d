"""Sentences to be read aloud: lines of a play, words in the frequency of the language, and sentences by template."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rtsynth.sequence.spelling import LETTER_NAMES, number, ordinal, reading, year

PLAY, SALAD, MADE = 0.45, 0.38, 0.17  # shares
SHORTEST, LONGEST = 12, 110  # characters
SPREAD = 0.5  # exponent of a word's frequency: rare words are what there is to learn
COMMONEST = 20000  # words
_LOG_BASE = 1e-4  # the language model's logarithms are to the base 1.0001


def _words(text: str) -> list[str]:
    return text.split()


_NAMES = _words(
    "Anna Peter Maria Thomas Emily George Sarah David Helen Robert Laura Michael Alice Frank Julia Oliver"
)
_PLACES = _words("""London Berlin Chicago Paris Africa the_station the_harbour the_market the_office the_library
the_museum the_kitchen the_garden the_airport the_village the_mountains the_river the_hospital the_university
the_theatre""")
_THINGS = _words("""computer telephone newspaper bicycle window keyboard violin piano melody question answer
photograph bottle sandwich umbrella engine letter camera ticket suitcase blanket lantern hammer recipe puzzle sentence
message orchestra microphone hurricane candle bridge basket mirror needle pocket island rabbit squirrel elephant""")
_QUALITIES = _words("""small large beautiful expensive broken yellow quiet heavy ancient modern strange familiar wooden
electric comfortable dangerous bright gentle empty delicious enormous curious ordinary smooth sharp purple silver""")
_DEEDS = _words("""found bought painted repaired forgot described carried opened finished noticed remembered borrowed
measured recorded photographed dropped promised explained examined collected watched lost sold""")
_MANNERS = _words("""slowly quickly carefully yesterday this_morning last_week together again without_a_word
on_Monday in_January""")
_TEMPLATES = (
    "{name} {deed} the {quality} {thing} {manner}.",
    "The {quality} {thing} was {quality} and {quality}.",
    "We {deed} a {thing} and a {thing} in {place}.",
    "There are {number} {thing}s in {place}.",
    "It was the {ordinal} of {month}, {year}.",
    "Can you tell me where the {thing} is?",
    "Why is the {thing} so {quality}?",
    "{name} and {name} went to {place} {manner}.",
    "The train to {place} leaves at {hour} {minute}.",
    "Please put the {thing} next to the {quality} {thing}.",
    "I have never {deed} such a {quality} {thing} in my life!",
    "The temperature is {number} degrees, and the wind is {quality}.",
    "{number}, {number}, {number}.",
    "{letter}, {letter}, {letter}, {letter}.",
    "If {name} comes to {place}, {name} will be {quality}.",
)
_MONTHS = _words("January February March April May June July August September October November December")


def sentences(count: int, play: Path, words: Path | None, seed: int = 1) -> list[str]:
    """`count` different sentences, as spelling.reading has them, in an order drawn at random.

    play: a plain text (tinyshakespeare); words: a CMU Sphinx language model (.lm.bin), for its words and how frequent
    they are; None: more of the play instead.
    """
    rng = np.random.default_rng(seed)
    salad = _salads(words, rng) if words else iter(())
    wanted = {"salad": SALAD if words else 0.0, "made": MADE}
    found: dict[str, None] = {}
    for source, share in ((salad, wanted["salad"]), (_made(rng), wanted["made"])):
        _take(found, source, len(found) + round(share * count))
    _take(found, _lines(play.read_text(encoding="utf-8"), rng), count)
    listed = list(found)
    return [listed[i] for i in rng.permutation(len(listed))]


def _take(found: dict[str, None], source: Iterator[str], until: int) -> None:
    """From `source` what can be read in one breath, until there are so many."""
    for text in source:
        if len(found) >= until:
            return
        said = reading(text).sentences if re.search("[a-z]", text) else []
        if len(said) == 1 and SHORTEST <= len(said[0]) <= LONGEST:
            found[said[0]] = None


def _lines(text: str, rng: np.random.Generator) -> Iterator[str]:
    """Sentences and clauses of a play, without the names of who speaks."""
    plain = " ".join(re.sub(r"(?m)^[A-Z][\w' ]*:$", ".", text).split())
    parts = [part.strip() for part in re.findall(r"[^.?!;:]+[.?!;:]", plain)]
    for i in rng.permutation(len(parts)):
        yield parts[i]


def _salads(model: Path, rng: np.random.Generator) -> Iterator[str]:
    """Words one after the other, as frequent as in the language to the power SPREAD."""
    words, chances = frequencies(model)
    while True:
        drawn = [str(word) for word in rng.choice(words, int(rng.integers(3, 10)), p=chances)]
        if len(drawn) > 6 and rng.random() < 0.5:
            drawn[3] += ","
        yield " ".join(drawn) + "..?!;"[int(rng.integers(5))]


def frequencies(model: Path) -> tuple[list[str], np.ndarray]:
    """(words, their chances) of the COMMONEST words of a Sphinx trigram model in its binary form."""
    data = model.read_bytes()
    head = b"Trie Language Model"
    order = data[len(head)]
    count = int(np.frombuffer(data, "<u4", 1, len(head) + 1)[0])
    tables = 4 * 65536 * (2 * order - 3)  # what the quantised weights stand for
    start = len(head) + 1 + 4 * order + 4 + tables
    logs = np.frombuffer(data, "<f4", 3 * count, start)[::3] * np.log1p(_LOG_BASE)
    listed = [word.decode() for word in data.split(b"\0")[-count - 1 : -1]]
    best = [i for i in np.argsort(-logs) if re.fullmatch("[a-z]{2,}('[a-z]+)?|[ai]", listed[i])][:COMMONEST]
    chances = np.exp(SPREAD * logs[best])
    return [listed[i] for i in best], chances / chances.sum()


def _made(rng: np.random.Generator) -> Iterator[str]:
    kinds = {"name": _NAMES, "place": _PLACES, "thing": _THINGS, "quality": _QUALITIES, "deed": _DEEDS}
    kinds |= {"manner": _MANNERS, "month": _MONTHS, "letter": LETTER_NAMES}

    def drawn(kind: str) -> str:
        if kind in kinds:
            return kinds[kind][int(rng.integers(len(kinds[kind])))].replace("_", " ")
        value = int(10 ** rng.uniform(0.0, 5.0))
        return {
            "number": number(value),
            "ordinal": ordinal(1 + value % 31),
            "year": year(1100 + value % 900),
            "hour": number(1 + value % 12),
            "minute": number(10 + value % 50),
        }[kind]

    while True:
        template = _TEMPLATES[int(rng.integers(len(_TEMPLATES)))]
        yield re.sub(r"\{(\w+)\}", lambda m: drawn(m[1]), template)
