"""Figure ed3b_width from the runs that there are: `python ed3b_width.py`, `python ed3b_width.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed3b_width")
