"""List, show, compare and remove the runs in the results folder: see `python -m lop.runs --help`."""

from lop.plan.manage import main

if __name__ == "__main__":
    main()
