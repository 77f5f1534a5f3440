"""Draw figure 4a from existing runs: `python fig4a.py`, `python fig4a.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig4a")
