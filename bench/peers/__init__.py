"""The peers that bench/peers.py times: this package is what it imports as `peers`."""
