"""Playable things: presets, and the voices that play them."""

from rtsynth.instrument.instrument import Instrument
from rtsynth.instrument.preset import Preset, list_presets, load

__all__ = ["Instrument", "Preset", "list_presets", "load"]
