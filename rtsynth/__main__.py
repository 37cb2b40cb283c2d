"""`python -m rtsynth`: the same as `rtsynth`."""

import sys

from rtsynth.cli import main

sys.exit(main())
