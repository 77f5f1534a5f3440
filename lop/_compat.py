"""Private parts of libraries that lop needs, one function each."""

from typing import Any


def lift_default_job_rate_limit(workflow: Any) -> None:
    """Lift Snakemake's default limit of 100 job starts a second; a limit that a user sets stays.

    To keep to it, Snakemake 9 examines all waiting jobs once more in every second for each job that has ended: after
    some hundreds of jobs it does little else. No option turns the default off.
    """
    limiter = workflow.scheduler.job_rate_limiter
    if limiter and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
