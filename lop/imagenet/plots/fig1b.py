"""Figure fig1b from the runs that there are: `python fig1b.py`, `python fig1b.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig1b")
