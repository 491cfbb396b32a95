"""`python -m wideproof` is the command `wideproof`."""

from wideproof.reports.cli.app import main

if __name__ == "__main__":
    main()
