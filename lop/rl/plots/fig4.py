"""Figure 4 from the runs that there are: `python fig4.py`, `python fig4.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig4")
