"""Figure ed4b from the runs that there are: `python ed4b.py`, `python ed4b.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed4b")
