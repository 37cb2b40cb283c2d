"""A corpus: who speaks when, found from phones and from the sound; read, kept, divided; texts for the teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch")

from rtsynth.errors import InputError
from rtsynth.sequence.spelling import SYMBOLS, reading, symbols
from rtsynth.training import speech_corpus
from rtsynth.training.speech_alignment import Segments, by_segments, by_sound
from rtsynth.training.speech_corpus import batches, divided, load, restore, save, standing
from rtsynth.training.speech_texts import sentences

WORDS = [
    "map",
    "tin",
    "sod",
    "nap",
    "dim",
    "pot",
    "mast",
    "stand",
    "pond",
    "atom",
    "man",
    "mop",
    "tan",
    "sip",
    "spot",
    "mint",
    "omit",
    "dot",
    "stamp",
    "past",
]


def spoken(text: str) -> tuple[np.ndarray, Segments, np.ndarray]:
    """Letters say themselves, but the silent o: (symbols, phones of 0.1 s, whether each character is heard)."""
    numbers = symbols(text)
    heard = np.array([c not in " o" for c in f"^{text}$"])
    phones = numbers[heard]
    return numbers, Segments(phones, 0.1 * (1 + np.arange(len(phones)))), heard


def test_letters_find_their_phones() -> None:
    """40 sentences of a language with one silent letter: every letter that is heard ends with its phone."""
    rng = np.random.default_rng(1)
    made = [spoken(" ".join(rng.choice(WORDS, 4))) for _ in range(40)]
    ends = by_segments([text for text, _, _ in made], [said for _, said, _ in made], SYMBOLS)
    wrong = total = 0
    for (text, said, heard), found in zip(made, ends, strict=True):
        assert found.shape == text.shape
        assert (np.diff(found) > 0).all()
        assert found[-1] == pytest.approx(said.ends[-1])
        owner = np.cumsum(heard)  # phones begun by the end of each character
        late = found[heard] - 0.1 * owner[heard]  # the silent share the time of the one before
        wrong += int((np.abs(late) > 0.0501 + 0.0333).sum())
        total += int(heard.sum())
    assert wrong <= 0.02 * total


def test_letters_are_found_in_the_sound() -> None:
    """Letters with a spectrum each, of 2 to 9 frames: nine in ten ends within a frame, from a flat start."""
    rng = np.random.default_rng(1)
    spectra = 2.0 * rng.standard_normal((SYMBOLS, 20))
    texts, mels, wanted = [], [], []
    for _ in range(40):
        text = symbols(" ".join(rng.choice(WORDS, 4)))
        lengths = rng.integers(2, 10, len(text))
        mel = np.repeat(spectra[text], lengths, axis=0)
        texts.append(text)
        mels.append((mel + 0.5 * rng.standard_normal(mel.shape)).astype(np.float32))
        wanted.append(np.cumsum(lengths))
    errors = np.concatenate(
        [np.abs(a - b) for a, b in zip(by_sound(texts, mels, SYMBOLS), wanted, strict=True)]
    )
    assert (errors <= 1.0).mean() > 0.9
    flat = [np.linspace(0, len(m), len(t) + 1)[1:] for t, m in zip(texts, mels, strict=True)]
    assert (np.concatenate([np.abs(a - b) for a, b in zip(flat, wanted, strict=True)]) <= 1.0).mean() < 0.5


def test_where_the_bump_stands() -> None:
    """u - 1/2 where character u begins, u + 1/2 where it ends; even within; one that takes no time is passed by."""
    found = standing(np.array([4.0, 8.0, 8.0, 16.0]), 8)  # frames; a step is two
    np.testing.assert_allclose(found, [0.75, 1.25, 1.75, 2.25, 3.625, 3.875, 4.125, 4.375], atol=1e-5)


def corpus(folder: Path, count: int = 8, segments: bool = False) -> Path:
    """Recordings of noise of a second or so, in LJ Speech's format, at 16 kHz."""
    import soundfile

    (folder / "wavs").mkdir(parents=True)
    rng = np.random.default_rng(1)
    lines, told = [], []
    for index in range(count):
        seconds = float(rng.uniform(0.6, 1.0))
        soundfile.write(
            folder / "wavs" / f"C{index}.wav", 0.1 * rng.standard_normal(round(16000 * seconds)), 16000
        )
        lines.append(f"C{index}|raw|Word number {index}.\n")
        told.append(f"C{index}|pau:0.1 w:0.3 n:{seconds:.3f}\n")
    (folder / "metadata.csv").write_text("".join(lines) + "C99|no|recording\nbroken line\n")
    if segments:
        (folder / "segments.csv").write_text("".join(told))
    return folder


@pytest.mark.parametrize("segments", [False, True])
def test_a_corpus_is_read_and_kept(tmp_path: Path, segments: bool) -> None:
    clips = load(corpus(tmp_path / "lj", segments=segments))
    assert [clip.name for clip in clips] == [f"C{n}" for n in range(8)]
    for clip in clips:
        assert clip.mel.shape == (2 * clip.steps, 80)
        assert (np.diff(clip.kappa) >= 0).all()
        assert 0.5 <= clip.kappa[0] < clip.kappa[-1] <= len(clip.symbols) + 0.5
        assert np.array_equal(clip.symbols, symbols(reading(f"Word number {clip.name[1:]}.").sentences[0]))
    assert [clip.voice is not None for clip in clips] == [
        n % speech_corpus.VOICED_SHARE == 0 for n in range(8)
    ]
    assert clips[0].voice is not None
    assert clips[0].voice.shape == (2 * clips[0].steps, 30)
    save(tmp_path / "kept.npz", clips)
    for one, other in zip(clips, restore(tmp_path / "kept.npz"), strict=True):
        assert one.name == other.name
        for name in ("symbols", "mel", "kappa"):
            assert np.array_equal(getattr(one, name), getattr(other, name))
        assert (one.voice is None) == (other.voice is None)
        assert one.voice is None or np.array_equal(one.voice, other.voice)


def test_the_scale_is_of_all_frames(tmp_path: Path) -> None:
    clips = load(corpus(tmp_path / "lj", 3))
    found = speech_corpus.scale(clips)
    every = np.concatenate([clip.mel for clip in clips]).astype(np.float64)
    np.testing.assert_allclose(found.mel, [every.mean(0), np.maximum(every.std(0), 0.1)], atol=1e-5)
    given = speech_corpus.batch(clips, found)
    real = given.mel[given.there[..., 0] > 0].numpy()
    assert abs(real.mean()) < 1e-3
    np.testing.assert_array_equal(given.before[1:].numpy(), given.mel[:-1, :, 80:].numpy())
    assert not given.before[0].any()


def test_every_fifth_is_held_out_and_the_rest_drawn_once(tmp_path: Path) -> None:
    clips = load(corpus(tmp_path / "lj", 11))
    kept, held_out = divided(clips)
    assert [clip.name for clip in held_out] == ["C0", "C4", "C9"]  # in order of name: C0 C1 C10 C2 …
    drawn = [clip.name for part in batches(kept, 3, np.random.default_rng(1)) for clip in part]
    assert sorted(drawn) == sorted(clip.name for clip in kept)


@pytest.mark.parametrize("planted", ["empty", "no file", "no wavs"])
def test_what_is_no_corpus(tmp_path: Path, planted: str) -> None:
    folder = corpus(tmp_path / "lj", 2)
    if planted == "empty":
        (folder / "metadata.csv").write_text("")
    elif planted == "no file":
        (folder / "metadata.csv").unlink()
    else:
        for path in (folder / "wavs").iterdir():
            path.unlink()
    with pytest.raises(InputError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_what_was_kept_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "kept.npz"
    path.write_bytes(b"PK nothing")
    with pytest.raises(InputError, match="Remove it"):
        restore(path)


def test_texts_for_the_teacher(tmp_path: Path) -> None:
    """Different from each other, of one breath, and the same again for the same seed."""
    play = tmp_path / "play.txt"
    play.write_text("First Citizen:\n" + " ".join(f"We {w} and we {v}, sir." for w in WORDS for v in WORDS))
    found = sentences(60, play, None)
    assert len(set(found)) == 60
    assert found == sentences(60, play, None)
    assert found != sentences(60, play, None, seed=2)
    assert all(reading(text).sentences == [text] for text in found)
    assert not any("citizen" in text for text in found)
