"""What a run does about the time limit of a scheduler: it saves before, and asks to be put into the queue again.

SLURM ends a job at its limit, and a run may need more time than any queue grants. Signals (`scancel`, preemption) are
the runner's own matter.
"""

import os
import subprocess
import sys
import time
from datetime import datetime

MARGIN = 60.0  # seconds before the limit, or a tenth of the time that is left at the start if that is less
ASKED_FOR = 30.0  # seconds that SLURM may take to answer


class TimeLimit:
    """That of the SLURM job around this process; none outside of SLURM, or where a job has none."""

    def __init__(self) -> None:
        self.job = _job()
        self.end = _end(self.job) if self.job else None
        self._margin = min(MARGIN, (self.end - time.time()) / 10) if self.end else MARGIN

    def is_near(self, lap: float) -> bool:
        """Whether the run has to save now, when it looks at the clock every `lap` seconds."""
        return self.end is not None and time.time() + self._margin + 2 * lap >= self.end

    def put_back(self) -> None:
        """Have the job wait for its turn once more; SLURM ends what is left of it."""
        done = _ask("scontrol", "requeue", self.job)
        if done.returncode:
            print(f"job {self.job}: not put back into the queue: {done.stderr.strip()}", file=sys.stderr)


def _job() -> str:
    """This job, by a name that means no other; "" outside of SLURM.

    The bare number of one task of an array is that of the whole array too: to put it back would end all other tasks.
    """
    if task := os.environ.get("SLURM_ARRAY_TASK_ID", ""):
        return f"{os.environ['SLURM_ARRAY_JOB_ID']}_{task}"
    return os.environ.get("SLURM_JOB_ID", "")


def _end(job: str) -> float | None:
    """When a job ends, in seconds since 1970; None if it has no limit, or SLURM does not tell."""
    told = os.environ.get("SLURM_JOB_END_TIME", "")  # of newer versions
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
