"""Compiled loops that draw from a state space, block by block."""
