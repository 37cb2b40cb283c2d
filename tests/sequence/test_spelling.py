"""What is read aloud: numbers and signs as words, known characters only, sentences of one breath."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.sequence.spelling import (
    CHARACTERS,
    END,
    LONGEST,
    LONGEST_WORD,
    START,
    number,
    ordinal,
    reading,
    symbols,
    year,
)

READ = [
    ("Good morning.", ["good morning."]),
    ("Good morning", ["good morning."]),
    ("What? No! Yes: so; it is.", ["what?", "no!", "yes:", "so;", "it is."]),
    (
        "In 1923 and 2005 and 2024",
        ["in nineteen twenty-three and two thousand and five and twenty twenty-four."],
    ),
    (
        "1,234,567.89",
        ["one million two hundred and thirty-four thousand five hundred and sixty-seven point eight nine."],
    ),
    ("-3 %, 5-3", ["minus three per cent, five three."]),
    ("$3.50 and £1 and €0.01", ["three dollars and fifty cents and one pound and zero euros and one cent."]),
    ("at 10:05, 12:00 and 25:00", ["at ten oh five, twelve o'clock and twenty-five:", "zero zero."]),
    ("the 21st, 12th and 3rd", ["the twenty-first, twelfth and third."]),
    ("agent 007", ["agent zero zero seven."]),
    ("Dr. Smith, i.e. Mr. Jones etc.", ["doctor smith, that is mister jones et cetera."]),
    ("No. 5, no.", ["number five, no."]),
    ("the BBC and the U.S.A. said NO", ["the bee bee see and the you ess ay said no."]),
    ("R&D @ home", ["r and d at home."]),
    ("“It’s well-known” — he said (twice)…", ["it's well-known, he said, twice."]),
    ("'quoted' -- dogs' bone", ["quoted dogs bone."]),
    ("naïve Émile, Straße", ["naive emile, strasse."]),
    ("one\ntwo\n\nthree", ["one two.", "three."]),
    ("10000000000000000", ["one" + " zero" * 16 + "."]),
]


@pytest.mark.parametrize(("text", "wanted"), READ, ids=[text[:20] for text, _ in READ])
def test_it_is_read_as_people_would(text: str, wanted: list[str]) -> None:
    assert reading(text).sentences == wanted
    assert reading(text).unknown == ""


def test_numbers() -> None:
    assert [number(n) for n in (0, 13, 40, 105, 1001, 999_999)] == [
        "zero",
        "thirteen",
        "forty",
        "one hundred and five",
        "one thousand and one",
        "nine hundred and ninety-nine thousand nine hundred and ninety-nine",
    ]
    assert [year(n) for n in (1900, 1905, 2012)] == ["nineteen hundred", "nineteen oh five", "twenty twelve"]
    assert [ordinal(n) for n in (1, 20, 42, 100)] == ["first", "twentieth", "forty-second", "one hundredth"]


def test_every_number_is_words() -> None:
    """None is silent, and no two of 0 … 20,000 are called the same."""
    assert len({number(n) for n in range(20_000)}) == 20_000


@pytest.mark.parametrize("text", ["", " \n\t", "...", "?!", "漢字", "\0", "\u200b", "🙂"])
def test_nothing_to_say_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="nothing to say") as caught:
        reading(text)
    assert "\n" not in str(caught.value)


def test_what_is_not_read_is_told() -> None:
    said = reading("Hello 漢字 漢 wor🙂ld")
    assert said.sentences == ["hello wor ld."]
    assert said.unknown == "漢字🙂"


def test_any_characters_at_all() -> None:
    """Of all of Unicode, and much of what is typed: known characters, one breath, at least one letter."""
    rng = np.random.default_rng(1)
    typed = " \n.,;:!?'\"-–()[]0123456789$%&/aeinrstAXZÄß"
    for length in (1, 7, 60, 400):
        for _ in range(60):
            wide = [chr(c) for c in rng.integers(0, 0x2FFF, length) if not 0xD800 <= c < 0xE000]
            near = rng.choice(list(typed), length).tolist()
            text = "".join(rng.permutation(wide + 3 * near))
            try:
                said = reading(text)
            except InputError:
                continue
            for sentence in said.sentences:
                assert set(sentence) <= set(CHARACTERS)
                assert len(sentence) <= LONGEST
                assert any("a" <= c <= "z" for c in sentence)


def test_long_texts_are_cut_and_nothing_is_lost() -> None:
    """10⁵ characters without a full stop; a word of 500; the words stay, in order."""
    words = [f"{'abcdefghij'[n % 10] * (1 + n % 9)}" for n in range(18_000)]
    text = ", ".join(" ".join(words[i : i + 50]) for i in range(0, len(words), 50))
    assert len(text) > 100_000
    said = reading(text).sentences
    assert max(map(len, said)) <= LONGEST
    assert " ".join(said).replace(",", "").rstrip(".").split() == words
    (one,) = {len(part.rstrip(".,")) for part in reading("x" * 500).sentences[:1]}
    assert one <= LONGEST
    assert sum(c == "x" for part in reading("x" * 500).sentences for c in part) == 500
    assert all(
        len(word.rstrip(",.")) <= LONGEST_WORD
        for part in reading("x" * 500).sentences
        for word in part.split()
    )


def test_symbols_stand_between_start_and_end() -> None:
    found = symbols("a z")
    assert (found[0], found[-1], len(found)) == (START, END, 5)
    assert len(set(found.tolist())) == 5
