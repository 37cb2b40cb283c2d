"""Written English as what is read aloud: digits and signs as words, and the few characters that the network knows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CHARACTERS = " ',-.:;?!" + LETTERS  # in the order of their numbers, from FIRST on
PADDING, START, END, FIRST = 0, 1, 2, 3
SYMBOLS = FIRST + len(CHARACTERS)
LONGEST = 160  # characters said in one breath: what is longer is cut at a comma, or between words
LONGEST_WORD = 40  # characters; what is longer is cut: no word, and a window of attention has a length


def _words(text: str) -> list[str]:
    return text.split()


_ONES = _words("""zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen""")
_TENS = _words("zero ten twenty thirty forty fifty sixty seventy eighty ninety")
_SCALES = ["", "thousand", "million", "billion", "trillion"]
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
LETTER_NAMES = _words(
    "ay bee see dee ee eff gee aitch eye jay kay ell em en oh pee cue are ess tee you vee double-you ex why zee"
)
_SIGNS = {
    "&": "and",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "#": "number",
    "%": "per cent",
    "°": "degrees",
    "/": "slash",
    "*": "star",
    "<": "less than",
    ">": "greater than",
    "$": "dollars",
    "£": "pounds",
    "€": "euros",
}
_SHORT = {
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "st": "saint",
    "prof": "professor",
    "etc": "et cetera",
    "vs": "versus",
    "no": "number",
}  # followed by a full stop; "no." only before a digit
_ALIKE = str.maketrans(
    {"’": "'", "‘": "'", "`": "'", "“": "", "”": "", '"': "", "—": ", ", "–": ", ", "…": ". "}
    | {"(": ", ", ")": ", ", "[": ", ", "]": ", ", "{": ", ", "}": ", ", "_": " ", "|": ", ", "\u00ad": ""}
)
_CURRENCY = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent")}
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")


class Reading(NamedTuple):
    """What is said, sentence by sentence, and what could not be."""

    sentences: list[str]
    unknown: str  # the characters left out, each once


def reading(text: str) -> Reading:
    """Any text as sentences of CHARACTERS, none longer than LONGEST. InputError where nothing of it can be said."""
    plain, unknown = _known(_spelled(unicodedata.normalize("NFKC", text).translate(_ALIKE)))
    sentences = [part for whole in _sentences(plain) for part in _breaths(whole)]
    if not sentences:
        left_out = (
            f": it is made of {unknown[:20]!r}, which is not read" if unknown else ": it holds no words"
        )
        raise InputError(f'there is nothing to say{left_out}. Example: rtsynth say "Good morning."')
    return Reading(sentences, unknown)


def symbols(sentence: str) -> NDArray[np.int64]:
    """(U,) numbers of a sentence of CHARACTERS, between START and END."""
    return np.array([START, *(FIRST + CHARACTERS.index(c) for c in sentence), END], np.int64)


def number(value: int) -> str:
    """0 … 10¹⁵ - 1 in words."""
    if value < 20:
        return _ONES[value]
    if value < 100:
        return _TENS[value // 10] + (f"-{_ONES[value % 10]}" if value % 10 else "")
    if value < 1000:
        return f"{_ONES[value // 100]} hundred" + (f" and {number(value % 100)}" if value % 100 else "")
    scale = (len(str(value)) - 1) // 3
    head, rest = divmod(value, 1000**scale)
    joint = " and " if 0 < rest < 100 else " "
    return f"{number(head)} {_SCALES[scale]}" + (f"{joint}{number(rest)}" if rest else "")


def year(value: int) -> str:
    """1100 … 1999 and 2010 … 2099 as years are read."""
    head, rest = divmod(value, 100)
    return f"{number(head)} " + (
        "hundred" if rest == 0 else f"oh {number(rest)}" if rest < 10 else number(rest)
    )


def ordinal(value: int) -> str:
    """1 … as first …"""
    words = number(value)
    head, joint, last = re.fullmatch(r"(.*?)([ -]?)([a-z]+)", words).groups()  # type: ignore[union-attr]
    last = last[:-1] + "ieth" if last.endswith("y") else _ORDINALS.get(last, f"{last}th")
    return f"{head}{joint}{last}"


def _spelled(text: str) -> str:
    """Numbers, money, times, signs, short forms and capitals as words."""
    text = re.sub(r"([$£€])\s?(\d[\d,]*)(?:\.(\d\d))?\b", _money, text)
    text = re.sub(r"\b(\d{1,2}):(\d\d)\b", _clock, text)
    text = re.sub(r"\b(\d+)(?:st|nd|rd|th)\b", lambda m: _counted(m[1], ordinal), text)
    text = re.sub(r"\b([Nn]o)\.(?=\s?\d)", "number", text)
    text = re.sub(r"(?<![\w.,])[-−](?=\d)", "minus ", text)
    text = _NUMBER.sub(_figure, text)
    text = re.sub(r"\b(i\.e|e\.g)\.?", lambda m: {"i": "that is", "e": "for example"}[m[1][0]], text)
    text = re.sub(r"\b([A-Za-z]{2,4})\.", _short, text)
    text = re.sub(r"\b(?:[A-Z]\.){2,}|\b[B-DF-HJ-NP-TV-Z]{2,5}\b", _capitals, text)
    return "".join(f" {_SIGNS[c]} " if c in _SIGNS else c for c in text)


def _counted(digits: str, words: Callable[[int], str]) -> str:
    value = int(digits)
    return f" {words(value)} " if value < 10**15 else _digits(digits)


def _digits(digits: str) -> str:
    return " " + " ".join(_ONES[int(d)] for d in digits) + " "


def _figure(match: re.Match[str]) -> str:
    whole, _, decimals = match[0].replace(",", "").partition(".")
    if decimals:
        return _counted(whole, number) + "point" + _digits(decimals)
    if whole[0] == "0" and len(whole) > 1:
        return _digits(whole)
    value = int(whole)
    if "," not in match[0] and (1100 <= value < 2000 or 2010 <= value < 2100):
        return f" {year(value)} "
    return _counted(whole, number)


def _money(match: re.Match[str]) -> str:
    whole, part = _CURRENCY[match[1]]
    value = int(match[2].replace(",", "") or 0)
    said = f"{_counted(str(value), number).strip()} {whole}{'' if value == 1 else 's'}"
    cents = int(match[3] or 0)
    several = "pence" if part == "penny" else f"{part}s"
    return f" {said}" + (f" and {number(cents)} {part if cents == 1 else several}" if cents else "") + " "


def _clock(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    if hour > 24 or minute > 59:
        return match[0]
    return f" {number(hour)} " + ("o'clock " if minute == 0 else f"{'oh ' * (minute < 10)}{number(minute)} ")


def _short(match: re.Match[str]) -> str:
    word = match[1].lower()
    return _SHORT[word] if word in _SHORT and word != "no" else match[0]


def _capitals(match: re.Match[str]) -> str:
    return " " + " ".join(LETTER_NAMES[LETTERS.index(c)] for c in match[0].lower() if c in LETTERS) + " "


def _known(text: str) -> tuple[str, str]:
    """Lower case, accents off, other characters left out; an empty line is a stop, another a space."""
    text = re.sub(r"\s*\n\s*\n\s*", ". ", text.replace("\r\n", "\n"))
    kept, unknown = [], dict[str, None]()
    for c in unicodedata.normalize("NFKD", text.casefold()):
        if c in CHARACTERS:
            kept.append(c)
        elif c.isspace():
            kept.append(" ")
        elif not unicodedata.combining(c):
            unknown[c] = None
            kept.append(" ")
    plain = re.sub(r"(?<![a-z])'|'(?![a-z])", "", "".join(kept))  # quotation marks, not apostrophes
    plain = re.sub(r"\s+([,.:;?!])", r"\1", re.sub(r"(?<![a-z])-|-(?![a-z])", " ", plain))
    return re.sub(r"\s+", " ", plain), "".join(unknown)


def _sentences(plain: str) -> list[str]:
    """Cut behind . ? ! : ; where a space follows. Each ends with one of them, and holds a letter."""
    found = []
    for part in re.split(r"(?<=[.?!:;])[.?!:;,]*\s+", plain.strip()):
        said = re.sub(r"[,.:;?!]*([,.:;?!])", r"\1 ", part).strip()
        said = re.sub(r"\s+", " ", re.sub(r"^[^a-z]+", "", said))
        if said:
            found.append(said if said[-1] in ".?!:;" else said.rstrip(", -") + ".")
    return found


def _breaths(sentence: str) -> list[str]:
    """A sentence in parts of at most LONGEST characters, cut behind commas, else at spaces, else anywhere."""
    words = [w[i : i + LONGEST_WORD] for w in sentence.split(" ") for i in range(0, len(w), LONGEST_WORD)]
    parts, line = [], ""
    for word in words:
        if line and len(line) + 1 + len(word) > LONGEST:
            cut = line.rfind(", ") + 1 if ", " in line[LONGEST // 3 :] else len(line)
            parts.append(line[:cut].rstrip(" ,") + ",")
            line = line[cut:].lstrip()
        line = f"{line} {word}" if line else word
    return [*parts, line]
