"""Figure fig1c from the runs that there are: `python fig1c.py`, `python fig1c.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig1c")
