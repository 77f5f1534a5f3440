"""Draw figure 4 from existing runs: `python fig4.py`, `python fig4.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig4")
