"""Figure fig1b_first from the runs that there are: `python fig1b_first.py`, `python fig1b_first.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig1b_first")
