"""Figure fig2d from the runs that there are: `python fig2d.py`, `python fig2d.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig2d")
