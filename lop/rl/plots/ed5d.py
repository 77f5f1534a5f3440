"""Draw Extended Data figure 5d from existing runs: `python ed5d.py`, `python ed5d.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed5d")
