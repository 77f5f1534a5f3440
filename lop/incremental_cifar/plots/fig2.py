"""Figure fig2 from the runs that there are: `python fig2.py`, `python fig2.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig2")
