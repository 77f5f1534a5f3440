"""Errors that are the user's to mend."""


class InputError(Exception):
    """Bad input, told in one line; command-line entry points print it and exit with status 2."""
