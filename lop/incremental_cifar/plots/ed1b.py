"""Figure ed1b from the runs that there are: `python ed1b.py`, `python ed1b.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed1b")
