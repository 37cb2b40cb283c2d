"""Recurrent networks, one step at a time: music, raw waveform, pen strokes, text, speech. No torch."""
