"""Draw figure 3c from existing runs: `python fig3c.py`, `python fig3c.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig3c")
