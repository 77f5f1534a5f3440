"""Helpers for all packages: errors, files, locks, paths, and digests of source code.

Every command imports this package, in most cases before large libraries. It prepares the process for them.
"""

import os
import resource
import sys

LEAST = {  # shell's name: (resource, least value, its unit)
    "ulimit -n": (resource.RLIMIT_NOFILE, 64, 1),
    "ulimit -v": (resource.RLIMIT_AS, 1_500_000, 1024),
}


def _open_streams() -> None:
    """Open standard streams that are closed, so that no other file takes their place; libraries then fail on import."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _check_limits() -> None:
    """Exit with one line if a limit of the process is too low; libraries would crash on import."""
    for name, (kind, least, unit) in LEAST.items():
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY and limit < least * unit:
            print(f"error: {name}: found {limit // unit:,}, allowed: {least:,} or more", file=sys.stderr)
            raise SystemExit(2)


_open_streams()
_check_limits()
