"""Figure ed3b_step_size from the runs that there are: `python ed3b_step_size.py`, `python ed3b_step_size.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed3b_step_size")
