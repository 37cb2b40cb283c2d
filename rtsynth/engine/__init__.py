"""The engine room: the binding to native/, what it measures, offline rendering, recording what is played."""

from rtsynth.engine.engine import Engine
from rtsynth.engine.meter import Cause, Histogram, LateBlock, Report, table
from rtsynth.engine.recorder import Recorder
from rtsynth.engine.render import render, render_blocks

__all__ = [
    "Cause",
    "Engine",
    "Histogram",
    "LateBlock",
    "Recorder",
    "Report",
    "render",
    "render_blocks",
    "table",
]
