"""Draw figure 4d from existing runs: `python fig4d.py`, `python fig4d.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig4d")
