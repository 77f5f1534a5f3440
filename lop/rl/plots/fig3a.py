"""Draw figure 3a: `python fig3a.py`, `python fig3a.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig3a")
