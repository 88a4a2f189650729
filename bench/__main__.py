"""`python -m bench`, which is what `./dev bench` runs."""

import sys

from bench.cli import main
from devtools.__main__ import guarded

if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
