"""`rtsynth generate`: what the recurrent networks make by themselves."""

from __future__ import annotations

from cyclopts import App

app = App(name="generate", help="Music, waveform, pen strokes or text out of a recurrent network.")
app.command("rtsynth.cli.generate_music:music", name="music", help="Music, as a MIDI file.")
app.command("rtsynth.cli.generate_pen:pen", name="pen", help="A text in handwriting, as a picture.")
app.command("rtsynth.cli.generate_text:text", name="text", help="Text that goes on from yours.")
app.command("rtsynth.cli.generate_waveform:waveform", name="waveform", help="Raw sound, as an audio file.")
