"""From what was typed to what is played: presets, pieces, and the tags their sound is saved with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rtsynth.cli.flags import Talk, Tuned
from rtsynth.cli.output import say, warn_of
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtsynth.instrument import Instrument, Preset
    from rtsynth.io.midi_files import MidiPiece


def load_instrument(preset: str, seed: int, talk: Talk, alias: bool = False) -> Instrument:
    """The instrument of a preset, not yet prepared; `alias` keeps partials above Nyquist. Raises InputError."""
    import rtsynth
    from rtsynth.instrument import Instrument

    loaded = rtsynth.load_preset(preset)
    announce_compiling(talk, loaded)
    return Instrument(loaded, seed=seed, alias=alias)


def announce_compiling(talk: Talk, preset: Preset | None = None) -> None:
    """Say why nothing is heard yet when loops have never been compiled on this machine: a preset's own, or any."""
    from rtsynth.instrument.tables import shape_of
    from rtsynth.sampler.compiled import is_cached

    if not is_cached(*(shape_of(preset, 48000.0).loops if preset else ())):
        say(talk, "compiling the sampler, once for this machine (about 3 s) …")


def load_piece(path: str | Path, talk: Talk, beats: bool = False) -> MidiPiece:
    """The piece in a MIDI file, in seconds or beats, with warnings told. Raises InputError."""
    from rtsynth.io.midi_files import read_midi

    piece = read_midi(path, beats)
    warn_of(piece.warnings, str(path), talk)
    return piece


def load_pitches(tuned: Tuned) -> NDArray[np.float64] | None:
    """(128,) the pitch of every key as a MIDI note re 440 Hz; None: as the preset is tuned. Raises InputError."""
    from rtsynth.instrument.tuning import equal_temperament, load_tuning

    if tuned.tuning is None:
        if tuned.kbm is not None:
            raise UsageError(f"--kbm {tuned.kbm} says where a scale lies: name it too, --tuning scale.scl")
        if tuned.a4 is not None and not 220 <= tuned.a4 <= 880:
            raise UsageError(f"--a4 {tuned.a4:g}: want 220 to 880 Hz")
        return None if tuned.a4 is None else equal_temperament(tuned.a4)
    if tuned.a4 is not None:
        raise UsageError(
            "--a4 tunes equal temperament; a scale's pitch stands in its keyboard map: --kbm map.kbm"
        )
    return load_tuning(tuned.tuning, tuned.kbm)


def tuned_text(tuned: Tuned) -> str:
    """How it is tuned, for people."""
    if tuned.tuning is not None:
        return f"{tuned.tuning}" + (f" on {tuned.kbm}" if tuned.kbm else "")
    return "the preset's" if tuned.a4 is None else f"A4 = {tuned.a4:g} Hz"


def tags(preset: str, seed: int) -> dict[str, str]:
    """Tags of an audio file, from which it can be made again."""
    from rtsynth import __version__

    return {"software": f"rtsynth {__version__}", "comment": f"preset {preset}, seed {seed}"}
