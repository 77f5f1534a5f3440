import platform
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from lop.runs.process import flush_denormal, reproducible_arithmetic

SMALLEST, FACTOR = np.float32(1e-38), np.float32(1e-3)
forks = pytest.mark.skipif(sys.platform != "linux", reason="programs are not forked")


@pytest.mark.parametrize("machine", [platform.machine(), "another"])
def test_denormal_numbers_are_flushed_to_zero(machine, monkeypatch):
    """Without torch on known machines, with it on others."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    flush_denormal(True)
    try:
        flushed = SMALLEST * FACTOR
    finally:
        flush_denormal(False)
    assert flushed == 0
    assert SMALLEST * FACTOR > 0


def test_reproducible_arithmetic_restores_the_number_of_threads():
    torch.set_num_threads(2)
    with reproducible_arithmetic():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_reproducible_arithmetic_may_be_nested():
    with reproducible_arithmetic():
        with reproducible_arithmetic():
            assert SMALLEST * FACTOR == 0
        assert SMALLEST * FACTOR == 0
    assert SMALLEST * FACTOR > 0


@forks
def test_forked_programs_draw_different_random_numbers(python):
    program = "import random, numpy, torch; print(random.random(), numpy.random.random(), torch.rand(1).item())"
    first, second = (subprocess.check_output([python, "-c", program], text=True).split() for _ in range(2))
    assert len({*first, *second}) == 6


@forks
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_forked_programs_receive_signals(python, number):
    handled = f"signal.signal(signal.{number}, lambda *_: sys.exit(7))"
    assert status_after(python, getattr(signal, number), handled) == 7
    assert status_after(python, getattr(signal, number)) == -getattr(signal, number)


def status_after(python, number, prepare=""):
    """Return the exit status of a program that receives a signal."""
    prepare = prepare or f"signal.signal({int(number)}, signal.SIG_DFL)"  # nohup, for example, makes it ignore SIGHUP
    program = f"import signal, sys, time\n{prepare}\nprint(flush=True)\nwhile True: time.sleep(0.1)"
    with subprocess.Popen([python, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        process.send_signal(number)
        try:
            return process.wait(timeout=60)
        finally:
            process.kill()


@forks
def test_a_forked_program_without_an_exit_status_has_failed(python):
    """Its supervisor, which would report the status, is killed."""
    program = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
    assert subprocess.run([python, "-c", program]).returncode == 1
