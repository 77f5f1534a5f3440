"""Helpers for all packages: errors, files, locks, paths, and digests of source code.

Every command imports this package, in most cases before large libraries. It prepares the process of a command for them,
and changes nothing in other programs that import lop.
"""

import os
import resource
import sys
from pathlib import Path

LEAST = {  # shell's name: (resource, least value, its unit, name of the unit)
    "ulimit -n": (resource.RLIMIT_NOFILE, 64, 1, "files"),
    "ulimit -v": (resource.RLIMIT_AS, 1_500_000, 1024, "KiB"),
}


def is_program() -> bool:
    """Return whether this process is a command of lop or Snakemake, and not another program that imports lop."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # while Python imports the packages above the module
        return any(module == "lop" or module.startswith("lop.") for module in sys.orig_argv)
    path = Path(program).resolve()
    return path.name == "snakemake" or path.is_relative_to(Path(__file__).resolve().parents[1])


def _open_streams() -> None:
    """Open closed standard streams on /dev/null; libraries would fail on import if other files took their place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _check_limits() -> None:
    """Exit with one line if a limit of the process is too low; libraries would crash on import."""
    for name, (kind, least, unit, told) in LEAST.items():
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY and limit < least * unit:
            print(f"error: {name}: found {limit // unit:,} {told}, allowed: {least:,} or more", file=sys.stderr)
            raise SystemExit(2)


if is_program():
    _open_streams()
    _check_limits()
