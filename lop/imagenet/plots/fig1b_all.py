"""Figure fig1b_all from the runs that there are: `python fig1b_all.py`, `python fig1b_all.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig1b_all")
