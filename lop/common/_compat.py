"""All uses of private parts of Snakemake; `lop._compat` contains those of the libraries that experiments use."""

from typing import Any


def lift_default_job_rate_limit(workflow: Any) -> None:
    """Lift Snakemake's default limit of 100 job starts per second; keep a limit set by the user.

    To enforce it, Snakemake 9 re-examines all waiting jobs every second, once for each finished job: after a few
    hundred jobs it does little else. No option disables the default.
    """
    limiter = workflow.scheduler.job_rate_limiter
    if limiter and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def quote_interpreter_of_scripts() -> None:
    """Let rules with a script run if the path of the interpreter contains spaces.

    Snakemake passes the path to the shell without quotes. Tested with version 9.27.
    """
    from snakemake.script import PythonScript

    execute = PythonScript._execute_cmd
    PythonScript._execute_cmd = lambda self, cmd, **values: execute(
        self, cmd.replace("{py_exec} ", "{py_exec:q} "), **values
    )


def keeps_files_in_storage(workflow: Any) -> bool:
    """Return whether Snakemake was given a default storage provider, from which every input of a job is fetched.

    Snakemake has no public API for this. Tested with version 9.27.
    """
    return bool(workflow.storage_settings.default_storage_provider)
