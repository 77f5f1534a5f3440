"""Figure ed2_adam from the runs that there are: `python ed2_adam.py`, `python ed2_adam.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed2_adam")
