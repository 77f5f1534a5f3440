"""Figure 4d from the runs that there are: `python fig4d.py`, `python fig4d.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("fig4d")
