"""From what was typed to what is played: presets, pieces, and the tags their sound is saved with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rtsynth.cli.flags import Talk
from rtsynth.cli.output import say, warn_of

if TYPE_CHECKING:
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


def load_piece(path: str | Path, talk: Talk) -> MidiPiece:
    """The piece in a MIDI file, with warnings told. Raises InputError."""
    from rtsynth.io.midi_files import read_midi

    piece = read_midi(path)
    warn_of(piece.warnings, str(path), talk)
    return piece


def tags(preset: str, seed: int) -> dict[str, str]:
    """Tags of an audio file, from which it can be made again."""
    from rtsynth import __version__

    return {"software": f"rtsynth {__version__}", "comment": f"preset {preset}, seed {seed}"}
