"""Any value of an argument is accepted, or refused in one line with the exit status of bad input."""

import pytest
from short_runs import RUNS

import lop.claims.__main__ as claims
import lop.data.__main__ as data
import lop.plan.__main__ as plan
import lop.plasticity.__main__ as plasticity
from lop.common.errors import EXIT_BAD_INPUT
from lop.data import built_in
from lop.figures import by_hand
from lop.plan import manage
from lop.report import __main__ as page
from lop.report import documentation, publish, verify
from lop.runs import command_line
from lop.runs.runner import Runner

ANYTHING = [
    *("", " ", "-1", "0", "1", "2.5", "1e400", "nan", "inf", "-inf", "1e-320", "9" * 30, "9" * 5_000, "a", "../a"),
    *("x" * 300, "x" * 5_000, "a\nb", "\udc80", "ü", "{seed}", "%s", "%(default)s", "$(touch hacked)", "--", "-"),
    *("--scale", "\x1b[31m", "0x10", "１", "1_000", "smoke", "smoke.ed4a", "cuda:99", "meta", "fig4a", "[1", "a: b"),
    *("0-3,7", "3-1", "0-99999999", "1,,2", "&a [*a]", "2020-99-99", "[" * 5_000, "~root", "a/b"),
]  # fmt: skip
PATHS = ["/", "/dev/null", "/proc/self/mem", "/nonexistent/a"]  # never given to an option that writes
SELECTION = ("--scale", "--results", "--device", "--data-source", "--data-seed")
READS = {"--results", "--figures", "--drawn", "--folder"}
SMOKE = ("--scale", "smoke")
COMMANDS = {
    "plan": (plan.main, ("fig4a", *SMOKE), ("", *SELECTION)),
    "runs": (manage.main, ("--results", "none"), ("show", "compare a", "remove", "")),
    "claims": (claims.main, ("fig4a", *SMOKE), ("", *SELECTION)),
    "report": (page.main, ("fig4a", *SMOKE, "--output", "a.html"), ("", "--figures", "--scale", "--output")),
    "publish": (publish.main, ("fig4a", *SMOKE, "--published", "b"), ("", "--drawn", "--published", *SELECTION)),
    "verify": (verify.main, SMOKE, ("--runs", "--choice", "--seconds", "--jobs", *SELECTION)),
    "documentation": (documentation.main, ("--check", "a"), ("",)),
    "plot": (lambda given: by_hand.main("fig4a", given), SMOKE, ("", *SELECTION)),
    "data": (
        data.main,
        ("cifar-100", "--data", "c"),
        ("", "--source", "--seed", "--classes", "--folder", "--output", "--data"),
    ),
    "plasticity": (
        plasticity.main,
        ("a.pt", "--model", "torch.nn:Identity", "--data", "builtins:list"),
        ("", "--key", "--model", "--data", "--loss", "--optimizer", "--step-size", "--steps", "--seeds"),
    ),
    "data of ImageNet": (data.main, ("imagenet", "--data", "c"), ("--classes", "--source original --folder")),
}


def strides(some, more):
    """Return the steps at which cases are taken: in the fast and in the slow tests."""
    return [pytest.param(some, id="some"), pytest.param(more, id="more", marks=pytest.mark.slow)]


def exit_status(main, arguments):
    try:
        main(arguments)
    except SystemExit as ended:
        return ended.code
    return 0


@pytest.fixture
def refused_or_accepted(capsys, tmp_path, monkeypatch):
    """Return a function that calls a command, and checks its exit status and the number of lines on standard error."""
    monkeypatch.chdir(tmp_path)

    def call(main, arguments):
        capsys.readouterr()
        status = exit_status(main, arguments)
        lines = capsys.readouterr().err.splitlines()
        assert status in (0, EXIT_BAD_INPUT), (arguments, lines)
        assert status == 0 or len(lines) == 1, (arguments, lines)

    return call


@pytest.mark.parametrize("stride", strides(17, 3))
@pytest.mark.parametrize("name", COMMANDS)
def test_any_value_of_an_argument(name, stride, refused_or_accepted, monkeypatch, record_property):
    monkeypatch.setattr(built_in, "write_cifar100", lambda folder, seed: put(folder / "train.bin", folder / "test.bin"))
    monkeypatch.setattr(built_in, "write_imagenet_class", lambda folder, n, seed: put(folder / f"classes/{n}.npy"))
    main, base, options = COMMANDS[name]
    cases = [
        [*base, *option.split(), value]
        for option in options
        for value in (*ANYTHING, *(PATHS if option.split()[-1:] and option.split()[-1] in READS else ()))
    ]
    for arguments in cases[::stride]:
        refused_or_accepted(main, arguments)
    record_property("faults", len(cases[::stride]))


def put(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


OPTIONS = (
    *("--config", "--seed", "--scale", "--setting", "--results", "--checkpoint-every", "--progress-every", "--data"),
    *("--data-source", "--data-seed", "--metrics", "--images", "--unknown"),
)


@pytest.mark.parametrize("stride", strides(83, 13))
@pytest.mark.parametrize(
    "script", dict.fromkeys(script for script, _ in RUNS.values()), ids=lambda script: script.__name__
)
def test_any_value_of_an_option_of_a_run(script, stride, refused_or_accepted, monkeypatch, record_property):
    """Parameters may be anything as well; see `test_fuzzing.py` for what they do to a run."""
    monkeypatch.setattr(Runner, "execute", lambda run, train: None)
    problem = script.PROBLEM
    base = ["--config", str(problem.cfg_path(problem.configs()[0]))]
    keys = [f"--{key}" for key in problem.model.model_fields]
    cases = [[*base, option, value] for option in (*OPTIONS, *keys) for value in ANYTHING]
    for arguments in cases[::stride]:
        refused_or_accepted(lambda given: command_line.main(problem, "", None, given), arguments)
    record_property("faults", len(cases[::stride]))


def test_errors_of_every_command_have_one_line(refused_or_accepted):
    for main, base, _ in COMMANDS.values():
        refused_or_accepted(main, [*base, "--unknown"])
