"""Figure ed4a from the runs that there are: `python ed4a.py`, `python ed4a.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed4a")
