"""Figure ed2b from the runs that there are: `python ed2b.py`, `python ed2b.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed2b")
