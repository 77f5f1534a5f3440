"""Figure ed2_cbp from the runs that there are: `python ed2_cbp.py`, `python ed2_cbp.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed2_cbp")
