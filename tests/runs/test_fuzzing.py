"""Any value of any key is either accepted or refused in one line that names the file and the key."""

import itertools
import os
import subprocess
from contextlib import suppress

import pytest
from faults import command
from hostile import TEXTS
from refusals import names
from short_runs import RUNS

from lop.common.errors import EXIT_BAD_INPUT, InputError, failures_as_input_errors
from lop.runs.parameters import at, read_mapping, settings_of
from lop.runs.spec import resolve

SCRIPTS = {script.PROBLEM.name: script for script, _ in RUNS.values()}


def fields():
    return [(name, key) for name, script in SCRIPTS.items() for key in script.PROBLEM.model.model_fields]


def base(problem):
    """Return the values of the first config of a problem, at the first point of its sweep."""
    values = {
        key: value for key, value in read_mapping(problem.cfg_path(problem.configs()[0])).items() if key != "extends"
    }
    return at(values, settings_of(problem.model, values)[0])


def written(problem, key, text, path):
    """Write the first config of a problem with another value of a key."""
    rest = {name: value for name, value in base(problem).items() if name != key}
    path.write_text(f"{key}: {text}\n" + "".join(f"{name}: {value!r}\n" for name, value in rest.items()), "utf-8")


@pytest.mark.parametrize(("name", "key"), fields())
def test_any_value_of_a_key_is_accepted_or_refused(name, key, tmp_path):
    problem, path = SCRIPTS[name].PROBLEM, tmp_path / "some.yml"
    for text in TEXTS:
        written(problem, key, text, path)
        try:
            with failures_as_input_errors():
                resolve(problem, "some", 0, "paper", cfg=path)
        except InputError as error:
            names(str(error), path, *([] if "YAML" in str(error) else [key]))


EXTREMES = ("0", "1", "2.5", "1e15", "1e-320", "true", "null", '"a\\nb"', '"\\uD800"', "[]")
PATIENCE = 10  # seconds; an accepted run of 1e15 steps never ends
STRIDE = 1 if "TORTURE" in os.environ else 12


def accepted(problem, path):
    """Yield a key, its text, and the run that it results in, for all extreme values that are accepted."""
    for key, text in itertools.product(problem.model.model_fields, EXTREMES):
        written(problem, key, text, path)
        with suppress(InputError):
            resolve(problem, "some", 0, "paper", cfg=path)
            yield key, text


@pytest.mark.slow
@pytest.mark.parametrize("short_run", [name for name in RUNS if "," not in name], indirect=True)
def test_accepted_extreme_values_run_or_end_in_one_line(short_run, python, tmp_path, record_property):
    """Such values may need too much memory or time, but a run never ends in a traceback."""
    script, arguments = short_run
    cases = list(accepted(script.PROBLEM, tmp_path / "some.yml"))[::STRIDE]
    for number, (key, text) in enumerate(cases):
        output, given = tmp_path / "output", [*arguments, f"--{key}", text]
        call = command(python, "run", {"folder": tmp_path / f"{number}", "script": script.__name__, "arguments": given})
        with open(output, "w") as stream, subprocess.Popen(call, stdout=stream, stderr=stream) as process:
            try:
                status = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                status = None
        told = output.read_text()
        assert "Traceback" not in told, f"{key}: {text}: {told}"
        assert status in (None, 0, EXIT_BAD_INPUT), f"{key}: {text}: {status} {told}"
    record_property("faults", len(cases))
