"""Figure fig2a from the runs that there are: `python fig2a.py`, `python fig2a.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig2a")
