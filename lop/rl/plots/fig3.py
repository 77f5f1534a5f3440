"""Draw figure 3 from existing runs: `python fig3.py`, `python fig3.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig3")
