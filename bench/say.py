"""How `rtsynth say` reads what it has never read: `python bench/say.py [--model x.onnx] [--svg x.svg]`.

Thirty of the Harvard sentences (IEEE 1969), none of which is in the corpus, said by the teacher (flite, if it is
there), by the network through a vocoder and through the codec's bank; heard by pocketsphinx (if it is there) in three
ways: with its general language model, told which 163 words occur, and told the thirty sentences, to say which it was.
Then how far the window got, how long the first sound takes, and what a step costs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from rtsynth.cli.output import columns
from rtsynth.cli.saying import Manner, Saying
from rtsynth.sequence.speech import Speaker, Spoken
from rtsynth.sequence.spelling import reading
from rtsynth.vocoder.stream import Vocoder, load_vocoder

SENTENCES = """\
The birch canoe slid on the smooth planks.
Glue the sheet to the dark blue background.
It's easy to tell the depth of a well.
These days a chicken leg is a rare dish.
Rice is often served in round bowls.
The juice of lemons makes fine punch.
The box was thrown beside the parked truck.
The hogs were fed chopped corn and garbage.
Four hours of steady work faced us.
A large size in stockings is hard to sell.
The boy was there when the sun rose.
A rod is used to catch pink salmon.
The source of the huge river is the clear spring.
Kick the ball straight and follow through.
Help the woman get back to her feet.
A pot of tea helps to pass the evening.
Smoky fires lack flame and heat.
The soft cushion broke the man's fall.
The salt breeze came across from the sea.
The girl at the booth sold fifty bonds.
The small pup gnawed a hole in the sock.
The fish twisted and turned on the bent hook.
Press the pants and sew a button on the vest.
The swan dive was far short of perfect.
The beauty of the view stunned the young boy.
Two blue fish swam in the tank.
Her purse was full of useless trash.
The colt reared and threw the tall rider.
It snowed, rained, and hailed the same morning.
Read verse out loud for pleasure.
""".splitlines()
RATE = 16000  # hertz: the recogniser's
SECONDS = 3.0  # measured for each figure of time

Sound = NDArray[np.float32]


def words(text: str) -> list[str]:
    """As the recogniser writes them."""
    return [word.strip(",.?!;:") for word in " ".join(reading(text).sentences).replace("-", " ").split()]


def word_errors(wanted: list[str], heard: list[str]) -> int:
    """Words left out, put in and replaced, at least."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(wanted, 1):
        before, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != other)))
    return row[-1]


def grammar(choices: list[str], repeated: bool) -> str:
    return f"#JSGF V1.0;\ngrammar g;\npublic <said> = ({' | '.join(choices)}){'+' * repeated};\n"


GRAMMARS = {
    "general": None,
    "words": grammar(sorted({word for text in SENTENCES for word in words(text)}), repeated=True),
    "sentences": grammar([" ".join(words(text)) for text in SENTENCES], repeated=False),
}


def recognised(sound: Sound, folder: Path, told: str | None) -> list[str]:
    """What pocketsphinx hears in samples at 16 kHz."""
    import soundfile

    padded = np.pad(sound, RATE // 4)
    soundfile.write(folder / "heard.wav", 0.5 * padded / max(1e-6, float(np.abs(padded).max())), RATE)
    command = ["pocketsphinx_continuous", "-infile", str(folder / "heard.wav"), "-logfn", "/dev/null"]
    if told is not None:
        (folder / "told.gram").write_text(told)
        command += ["-jsgf", str(folder / "told.gram")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def by_teacher(text: str, folder: Path) -> Sound:
    import soundfile

    subprocess.run(["flite", "-voice", "slt", "-o", str(folder / "t.wav"), "-t", text], check=True)
    return soundfile.read(folder / "t.wav", dtype="float32")[0]


def by_vocoder(speaker: Speaker, vocoder: Vocoder) -> Callable[[str, Path], Sound]:
    def said(text: str, folder: Path) -> Sound:
        import soxr

        sound = np.concatenate(list(Saying(speaker, text, Manner()).sound(vocoder)))
        return soxr.resample(sound, vocoder.sample_rate, RATE)

    return said


def by_bank(speaker: Speaker) -> Callable[[str, Path], Sound]:
    def said(text: str, folder: Path) -> Sound:
        from rtsynth.codec.decoder import Decoder
        from rtsynth.engine.render import render
        from rtsynth.messages import MESSAGE

        saying = Saying(speaker, text, Manner())
        events = np.concatenate(list(saying.events()))
        decoder = Decoder(events, seconds=saying.seconds)
        frames = round(saying.seconds * RATE)
        return render(decoder, np.empty(0, MESSAGE), frames, sample_rate=RATE)[:, 0]

    return said


def error_rates(voices: dict[str, Callable[[str, Path], Sound]]) -> Iterator[dict[str, Any]]:
    """Shares of words wrong, and of sentences taken for another, or for none."""
    total = sum(len(words(text)) for text in SENTENCES)
    with tempfile.TemporaryDirectory() as name:
        for voice, said in voices.items():
            wrong = dict.fromkeys(GRAMMARS, 0)
            for text in SENTENCES:
                sound = said(text, Path(name))
                for way, told in GRAMMARS.items():
                    heard = recognised(sound, Path(name), told)
                    whole = int(heard != words(text))
                    wrong[way] += whole if way == "sentences" else word_errors(words(text), heard)
            counts = {way: len(SENTENCES) if way == "sentences" else total for way in GRAMMARS}
            yield {"voice": voice, **{way: wrong[way] / counts[way] for way in GRAMMARS}}


def windows(speaker: Speaker) -> dict[str, float]:
    """Over all sentences: cut short; characters never looked at (weight below a tenth); the smallest advance."""
    cut, missed, total, least = speaker.cut, 0, 0, np.inf
    for text in SENTENCES:
        steps = list(speaker.speak(text))
        seen = np.max([step.phi for step in steps], axis=0)
        letters = np.array([c.isalpha() for c in f" {reading(text).sentences[0]} "])
        missed += int((seen[letters] < 0.1).sum())
        total += int(letters.sum())
        least = min(least, float(np.diff([step.kappa for step in steps]).min()))
    return {
        "cut_short": speaker.cut - cut,
        "letters_missed": missed,
        "letters": total,
        "least_advance": least,
    }


def times(speaker: Speaker, vocoder: Vocoder) -> dict[str, float]:
    """Milliseconds from the text to the first audible sample, the models being loaded; and times real time."""
    first, steps = [], []
    for text in SENTENCES:
        saying = Saying(speaker, text, Manner())
        for _ in saying.sound(vocoder):
            if saying.first_sound_ms is not None:
                first.append(saying.first_sound_ms)
                break
        vocoder.reset()
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        begun = time.perf_counter()
        count = len(list(speaker.speak(SENTENCES[0])))
        steps.append((time.perf_counter() - begun) / count)
    saying, begun = Saying(speaker, " ".join(SENTENCES[:5]), Manner()), time.perf_counter()
    for _ in saying.sound(vocoder):
        pass
    took = time.perf_counter() - begun
    return {
        "first_sound_ms_median": float(np.median(first)),
        "first_sound_ms_worst": float(np.max(first)),
        "step_us": 1e6 * float(np.median(steps)),
        "step_seconds_of_speech": 2 * speaker.hop / speaker.sample_rate,
        "times_real_time": saying.seconds / took,
    }


def picture(steps: list[Spoken], text: str, seconds: float, scale: float = 4.0) -> str:
    """The window over the sentence, as SVG: time to the right, characters upwards, as dark as they weigh."""
    shown = f"^{reading(text).sentences[0]}$"
    wide, high = scale * len(steps), 2.5 * scale * len(shown)
    cell = high / len(shown)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-24 -8 {wide + 32:.0f} {high + 32:.0f}" '
        'font-family="monospace" font-size="9"><rect x="0" y="0" '
        f'width="{wide:.1f}" height="{high:.1f}" fill="#fff" stroke="#888"/>'
    ]
    for u, character in enumerate(shown):
        parts.append(f'<text x="-14" y="{high - cell * (u + 0.2):.1f}">{escape(character)}</text>')
    for t, step in enumerate(steps):
        for u in np.flatnonzero(step.phi > 0.03):
            shade = min(1.0, float(step.phi[u]))
            x, y = scale * t, high - cell * (u + 1)
            parts.append(
                f'<rect x="{x:g}" y="{y:.1f}" width="{scale:g}" height="{cell:g}" fill-opacity="{shade:.2f}"/>'
            )
    for second in range(int(seconds) + 1):
        x = wide * second / seconds
        parts.append(f'<text x="{x:.0f}" y="{high + 14:.0f}">{second} s</text>')
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="say")
    options.add_argument("--vocoder", default="vocoder")
    options.add_argument("--svg", type=Path, help="draw the window over the first sentence")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    speaker, vocoder = Speaker(given.model), load_vocoder(given.vocoder)
    if given.svg is not None:
        steps = list(speaker.speak(SENTENCES[0]))
        seconds = len(steps) * speaker.frames_per_step * speaker.hop / speaker.sample_rate
        given.svg.write_text(picture(steps, SENTENCES[0], seconds), encoding="utf-8")
    voices = {"vocoder": by_vocoder(speaker, vocoder), "gp": by_bank(speaker)}
    if shutil.which("flite"):
        voices = {"flite (teacher)": by_teacher, **voices}
    found: dict[str, Any] = {
        "windows": windows(speaker),
        "times": times(speaker, vocoder),
        "errors": list(error_rates(voices)) if shutil.which("pocketsphinx_continuous") else [],
    }
    if given.json:
        print(json.dumps(found))
        return
    for part in ("windows", "times"):
        print(columns([(name, f"{value:.4g}") for name, value in found[part].items()]), end="\n\n")
    rows = [[row["voice"], *(f"{100 * row[way]:.0f} %" for way in GRAMMARS)] for row in found["errors"]]
    print(columns([["wrong", *GRAMMARS], *rows]))


if __name__ == "__main__":
    main()
