"""The sounds beside LJ Speech that the causal vocoder learned from: Flite, eSpeak NG, and melodies of the presets.

    python bench/vocoder_corpus.py corpus                   # 104 files, 10 minutes of sound, a minute or two
    rtsynth train vocoder --data ../shared/data/speech_ljspeech --also corpus -o vocoder.onnx

Needs `flite` and `espeak-ng` (apt), and tinyshakespeare.txt, whose lines are read. The same files every time, of one
version of each program.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mido

TEXT = Path(__file__).resolve().parents[2] / "shared/data/text/tinyshakespeare.txt"
FLITE = {"slt": 34, "kal16": 10, "awb": 12, "rms": 14}  # voice: sentences
ESPEAK = {"en-us": 50, "en-gb+f3": 60, "en-us+m3": 40, "de": 45, "fr+f2": 55, "en-gb+m7": 30}  # voice: pitch
ESPEAK_SENTENCES = 3
KEYS = {
    "violin": (55, 79),
    "flute": (60, 79),
    "soprano": (58, 76),
    "trumpet": (54, 74),
    "piano": (40, 76),
    "guitar": (41, 70),
    "bowed": (43, 72),
    "wind": (50, 72),
}  # preset: lowest and highest
MELODIES, NOTES, RATE = 2, 10, 44100


def sentences(text: Path) -> Iterator[str]:
    """Two lines of the plays at a time, shuffled."""
    raw = [line for line in text.read_text().split("\n") if 30 < len(line) < 70]
    lines = [line.strip() for line in raw if not line.strip().endswith(":")]
    random.Random(5).shuffle(lines)
    for first in range(0, len(lines) - 1, 2):
        yield " ".join(lines[first : first + 2])


def speak(folder: Path, text: Path) -> None:
    said = sentences(text)
    for voice, count in FLITE.items():
        for n in range(count):
            run("flite", "-voice", voice, "-t", next(said), "-o", folder / "flite" / f"{voice}{n:03d}.wav")
    for voice, pitch in ESPEAK.items():
        for n in range(ESPEAK_SENTENCES):
            run(
                "espeak-ng",
                "-v",
                voice,
                "-p",
                pitch,
                "-w",
                folder / "espeak" / f"{voice}{n:02d}.wav",
                next(said),
            )


def play(folder: Path) -> None:
    chance = random.Random(3)
    for preset, (low, high) in KEYS.items():
        for n in range(MELODIES):
            piece = folder / "melody.mid"
            melody(low, high, chance).save(piece)
            out = folder / "rendered" / f"{preset}{n}.wav"
            run(sys.executable, "-m", "rtsynth", "render", preset, piece, "-o", out, "--rate", RATE, "-f")
            piece.unlink()


def melody(low: int, high: int, chance: random.Random) -> mido.MidiFile:
    """A random walk of ten notes, one at a time."""
    track, key = mido.MidiTrack(), (low + high) // 2
    for _ in range(NOTES):
        key = max(low, min(high, key + chance.choice([-7, -5, -4, -2, -1, 1, 2, 3, 5, 7])))
        velocity = chance.randint(40, 110)
        track.append(mido.Message("note_on", note=key, velocity=velocity, time=chance.choice([0, 0, 40])))
        track.append(mido.Message("note_off", note=key, velocity=0, time=chance.choice([240, 360, 480, 700])))
    return mido.MidiFile(tracks=[track])


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--text", type=Path, default=TEXT)
    flags = asked.parse_args()
    for part in ("flite", "espeak", "rendered"):
        (flags.folder / part).mkdir(parents=True, exist_ok=True)
    speak(flags.folder, flags.text)
    play(flags.folder)


if __name__ == "__main__":
    main()
