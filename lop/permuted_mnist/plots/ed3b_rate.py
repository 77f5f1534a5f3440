"""Figure ed3b_rate from the runs that there are: `python ed3b_rate.py`, `python ed3b_rate.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed3b_rate")
