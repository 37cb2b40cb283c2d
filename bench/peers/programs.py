"""The bank in programs of their own: Faust, SuperCollider, Csound."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from abc import abstractmethod
from pathlib import Path

import numpy as np
import soundfile

from peers.bank import BLOCK, RATE, T60, Bank, Peer, Samples, frames

SOURCES = Path(__file__).parent


class Program(Peer):
    """A peer that is a program of its own."""

    needs: tuple[str, ...] = ()

    def installed(self) -> bool:
        return all(shutil.which(program) for program in self.needs)

    @abstractmethod
    def command(self, bank: Bank, seconds: float, folder: Path, keep: bool) -> list[str]:
        """The program to time; it leaves its samples in `folder`/out.wav or out.raw when they are kept."""

    def run(self, bank: Bank, seconds: float, folder: Path, keep: bool) -> tuple[float, Samples]:
        command = self.command(bank, frames(seconds) / RATE, folder, keep)
        before = _children_seconds()
        _call(command, folder)
        cpu = _children_seconds() - before
        return cpu, _kept(folder) if keep else np.empty(0)


class Faust(Program):
    """Faust to C++ to g++ -O3: one compiled voice, an instance of it per voice."""

    needs = ("faust", "g++")
    install = "apt-get install faust g++"
    note = "rings only, float32; coefficients fixed at the start, no modulation"

    def __init__(self, name: str, *options: str) -> None:
        self.name = f"Faust {name}"
        self.options = options

    def build(self, bank: Bank, folder: Path) -> None:
        source = f"MODES = {bank.modes};\nT60 = {T60};\n" + (SOURCES / "modal.dsp").read_text()
        (folder / "bank.dsp").write_text(source)
        _call(["faust", *self.options, "-cn", "Bank", "-o", "bank.hpp", "bank.dsp"], folder)
        flags = ["-std=c++17", "-O3", "-march=native", "-ffast-math"]
        _call(["g++", *flags, f"-I{folder}", str(SOURCES / "faust_main.cpp"), "-o", "bank"], folder)

    def command(self, bank: Bank, seconds: float, folder: Path, keep: bool) -> list[str]:
        fundamentals = [repr(float(f)) for f in bank.fundamentals]
        return [str(folder / "bank"), str(seconds), "out.raw" if keep else "-", *fundamentals]


class Klank(Program):
    """SuperCollider's Klank in scsynth's non-real-time mode."""

    needs = ("scsynth", "sclang")
    install = "apt-get install supercollider-server supercollider-language"
    name = "SuperCollider Klank"
    note = "rings only, float32; frequencies fixed at the start, no modulation; writes its file"

    def command(self, bank: Bank, seconds: float, folder: Path, keep: bool) -> list[str]:
        values = {
            "fundamentals": [float(f) for f in bank.fundamentals],
            "modes": bank.modes,
            "t60": T60,
            "seconds": seconds,
            "path": json.dumps(str(folder / "score.osc")),
        }
        text = "".join(f"~{name} = {value};\n" for name, value in values.items())
        (folder / "score.scd").write_text(text + (SOURCES / "klank.scd").read_text())
        _call(["sclang", "-D", "score.scd"], folder)
        out = ["out.wav", "48000", "WAV", "float"]
        return ["scsynth", "-N", "score.osc", "_", *out, "-o", "1", "-z", str(BLOCK)]


class Csound(Program):
    """Csound's `mode` opcode, one per mode."""

    needs = ("csound",)
    install = "apt-get install csound"
    name = "Csound mode"
    note = "rings only, float64; frequencies could be modulated, and are not"

    def command(self, bank: Bank, seconds: float, folder: Path, keep: bool) -> list[str]:
        # `mode` is a central difference: it sounds at f when asked for (rate/pi) sin(pi f/rate), at most rate/pi.
        asked = RATE / np.pi * np.sin(np.pi * bank.frequencies / RATE)
        quality = np.pi * T60 / np.log(1000.0)  # per hertz
        strings = "\n".join(_csound_instrument(i + 1, row, quality * row) for i, row in enumerate(asked))
        notes = "\n".join(f"i{i + 1} 0 {seconds}" for i in range(bank.voices))
        (folder / "bank.csd").write_text(
            "<CsoundSynthesizer>\n<CsInstruments>\n"
            f"sr = 48000\nksmps = {BLOCK}\nnchnls = 1\n0dbfs = 1\n"
            f"{strings}\n"
            f"</CsInstruments>\n<CsScore>\n{notes}\n</CsScore>\n</CsoundSynthesizer>\n"
        )
        return ["csound", "-d", "-m0", *(["-W", "-f", "-o", "out.wav"] if keep else ["-n"]), "bank.csd"]


def _csound_instrument(number: int, frequencies: Samples, qualities: Samples) -> str:
    modes = "\n".join(
        f"a{k} mode astrike, {f}, {q}\namix = amix + a{k}"
        for k, (f, q) in enumerate(zip(frequencies, qualities, strict=True))
    )
    return f"instr {number}\nastrike mpulse 1, 0\namix = 0\n{modes}\nout amix*0.0001\nendin"


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _call(command: list[str], folder: Path) -> None:
    headless = {
        "QT_QPA_PLATFORM": "offscreen",
        "QTWEBENGINE_DISABLE_SANDBOX": "1",
    }  # sclang, without a display
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | headless,
        stdin=subprocess.DEVNULL,  # csound reads it, and waits
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        last = done.stdout.decode(errors="replace").strip().splitlines()[-3:]
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {' | '.join(last)}")


def _kept(folder: Path) -> Samples:
    raw = folder / "out.raw"
    samples = np.fromfile(raw, np.float32) if raw.exists() else soundfile.read(folder / "out.wav")[0]
    return samples if samples.ndim == 1 else samples.mean(axis=1)
