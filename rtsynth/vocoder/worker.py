"""The inference process of a live vocoder: `python -m rtsynth.vocoder.worker ORDER`."""

from __future__ import annotations

import sys

from rtsynth.inference.handshake import Order
from rtsynth.inference.worker import main
from rtsynth.vocoder.live import Hearing
from rtsynth.vocoder.stream import load_vocoder


def load(order: Order) -> Hearing:
    """The vocoder of an order."""
    return Hearing(load_vocoder(order.model, device=order.device))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], load))
