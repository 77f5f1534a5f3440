"""Time limit of a SLURM job: a run saves before the limit and requeues its job.

SLURM ends a job at its time limit, and a run may need more time than any queue grants. Signals (`scancel`, preemption)
are handled by the runner.
"""

import os
import subprocess
import sys
import time
from datetime import datetime

MARGIN = 60.0  # seconds before the limit, or a tenth of the time left at the start if that is shorter
ASKED_FOR = 30.0  # seconds to wait for an answer from SLURM


class TimeLimit:
    """Time limit of the SLURM job that runs this process, if any."""

    def __init__(self) -> None:
        self.job = _job()
        self.end = _end(self.job) if self.job else None
        self._margin = min(MARGIN, (self.end - time.time()) / 10) if self.end else MARGIN

    def is_near(self, lap: float) -> bool:
        """Return whether a run that checks the time every `lap` seconds must save now."""
        return self.end is not None and time.time() + self._margin + 2 * lap >= self.end

    def put_back(self) -> None:
        """Requeue the job; SLURM then ends its processes."""
        done = _ask("scontrol", "requeue", self.job)
        if done.returncode:
            print(f"job {self.job}: not requeued: {done.stderr.strip()}", file=sys.stderr)


def _job() -> str:
    """Return a unique name of this job; "" outside SLURM."""
    # The job number of an array task may denote the whole array; requeuing that would end all other tasks.
    if task := os.environ.get("SLURM_ARRAY_TASK_ID", ""):
        return f"{os.environ['SLURM_ARRAY_JOB_ID']}_{task}"
    return os.environ.get("SLURM_JOB_ID", "")


def _end(job: str) -> float | None:
    """Return the end of a job in seconds since 1970; None if it has no limit or SLURM does not report it."""
    told = os.environ.get("SLURM_JOB_END_TIME", "")  # set by newer versions of SLURM
    if told.isdigit():
        return float(told)
    try:
        return datetime.fromisoformat(_ask("squeue", "-h", "-j", job, "-o", "%e").stdout.strip()).timestamp()
    except ValueError:
        return None


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ASKED_FOR)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
