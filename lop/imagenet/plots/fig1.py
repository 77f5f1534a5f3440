"""Figure fig1 from the runs that there are: `python fig1.py`, `python fig1.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig1")
