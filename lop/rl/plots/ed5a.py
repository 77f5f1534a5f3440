"""Draw Extended Data figure 5a from existing runs: `python ed5a.py`, `python ed5a.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed5a")
