"""Draw Extended Data figure 5b from existing runs: `python ed5b.py`, `python ed5b.py --help`."""

from lop.figures.by_hand import main

if __name__ == "__main__":
    main("ed5b")
