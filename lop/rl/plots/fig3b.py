"""Draw figure 3b from existing runs: `python fig3b.py`, `python fig3b.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig3b")
