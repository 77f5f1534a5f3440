"""Draw figure 4c from existing runs: `python fig4c.py`, `python fig4c.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig4c")
