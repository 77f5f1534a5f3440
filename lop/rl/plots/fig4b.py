"""Figure 4b from the runs that there are: `python fig4b.py`, `python fig4b.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig4b")
