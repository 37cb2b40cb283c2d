"""Audio devices, audio files, MIDI ports and MIDI files; knows `Source`, knows no instrument.

The libraries that talk to hardware (sounddevice, python-rtmidi, soundfile) are imported by the functions that
use them.
"""
