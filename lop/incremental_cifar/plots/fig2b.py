"""Figure fig2b from the runs that there are: `python fig2b.py`, `python fig2b.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig2b")
