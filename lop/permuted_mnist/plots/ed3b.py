"""Figure ed3b from the runs that there are: `python ed3b.py`, `python ed3b.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed3b")
