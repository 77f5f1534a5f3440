"""Figure ed3c from the runs that there are: `python ed3c.py`, `python ed3c.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed3c")
