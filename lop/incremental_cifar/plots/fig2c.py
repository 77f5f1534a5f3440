"""Figure fig2c from the runs that there are: `python fig2c.py`, `python fig2c.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig2c")
