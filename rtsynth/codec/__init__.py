"""Sparse events: a sound as a few dozen events a second, each a time, a gain and 32 numbers; and back."""
