"""Draw Extended Data figure 5c from existing runs: `python ed5c.py`, `python ed5c.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed5c")
