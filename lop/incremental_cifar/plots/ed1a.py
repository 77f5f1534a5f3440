"""Figure ed1a from the runs that there are: `python ed1a.py`, `python ed1a.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed1a")
