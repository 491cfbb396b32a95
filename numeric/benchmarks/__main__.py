"""The process in which one benchmark runs: python -m wideproof.numeric.benchmarks NAME [--quick]."""

from __future__ import annotations

import sys

from wideproof.numeric.benchmarks.runner import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
