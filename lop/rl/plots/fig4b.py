"""Draw figure 4b from existing runs: `python fig4b.py`, `python fig4b.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig4b")
