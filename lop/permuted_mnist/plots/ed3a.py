"""Figure ed3a from the runs that there are: `python ed3a.py`, `python ed3a.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed3a")
