"""Division of the seeds of a problem among jobs, each of which executes its seeds in turn and imports libraries once.

The outputs of a Snakemake rule cannot do arithmetic on wildcards. A job therefore executes seeds that differ only in
their last digit, and there is one rule for each block of last digits: with three seeds per job, the jobs are those of
seeds 0-2, 3-5, 6-8, 9, 10-12 and so on.
"""

from lop.problems import PROBLEMS
from lop.runs.scale import load_scale

WITH_INPUTS = r"\d+-[0-9a-f]{8}"  # in the name of a folder: a seed with inputs of its own


def seeds_per_job(scale: str) -> dict[str, int]:
    """Return {problem: number of seeds per job} at a scale.

    Raises:
        InputError: the file of the scale is missing or invalid.
    """
    found = load_scale(scale)
    return {problem: found.seeds_in_job(problem) for problem in PROBLEMS}


def blocks(n: int) -> list[range]:
    """Return the blocks of last digits with `n` seeds per job: for 3, these are 0-2, 3-5, 6-8 and 9."""
    return [range(first, min(first + n, 10)) for first in range(0, 10, n)]


def alone(n: int) -> str:
    """Return a regular expression for the seeds that have a job of their own, with `n` seeds per job.

    These are the seeds with inputs of their own, and those whose last digit forms a block of its own.
    """
    digits = "".join(str(block[0]) for block in blocks(n) if len(block) == 1)
    return rf"\d*[{digits}]|{WITH_INPUTS}" if digits else WITH_INPUTS
