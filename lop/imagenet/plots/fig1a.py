"""Figure fig1a from the runs that there are: `python fig1a.py`, `python fig1a.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig1a")
