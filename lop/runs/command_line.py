"""Command line of every run_*.py: options that select the run, and one option per parameter."""

import argparse
import atexit
import gc
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from lop.common.arguments import Parser, positive
from lop.common.errors import EXIT_BAD_INPUT, InputError, failures_as_input_errors, tell, told_in_one_line
from lop.common.locks import die_with_parent
from lop.common.paths import PROJECT, above
from lop.common.ranges import MOST_NUMBERS, numbers_of
from lop.runs.configured import add_image_options, conditions_of, configured
from lop.runs.parameters import parsed
from lop.runs.problem import Problem
from lop.runs.process import Interrupted
from lop.runs.runner import Runner
from lop.runs.spec import RunSpec, resolve
from lop.runs.tracking import SERVICES


def main(problem: Problem, description: str, train: Callable[[Any], None], argv: Sequence[str] | None = None) -> None:
    """Execute the runs that the command line selects; report bad input in one line and exit with status 2.

    If one of several seeds fails because of bad input, such as a damaged checkpoint, the others are still executed. A
    signal or the scheduler's time limit stops them all (`Interrupted`).
    """
    atexit.register(gc.freeze)  # otherwise Python spends half a second at exit collecting garbage in torch's modules
    with told_in_one_line():
        options = _parser(problem, description).parse_args(argv)
        if options.die_with_parent:
            die_with_parent()
        if options.log:
            _log_to(options.log)
        _check_device(options.device)
        specs = specs_from(problem, options)
        if options.metrics:
            options.results = above(options.metrics[0], specs[0].path)
        if options.images:
            options.data = specs[0].conditions.images.data_above(options.images[0], problem.data)
        failed = False
        for spec in specs:
            run = Runner(
                spec,
                options.results,
                checkpoint_every=options.checkpoint_every,
                progress_every=options.progress_every,
                data=options.data,
                track=options.track,
            )
            try:
                with failures_as_input_errors():
                    run.execute(train)
            except InputError as error:
                tell(InputError(f"{spec.name}: {error}") if len(specs) > 1 else error)
                failed = True
            if run.asked_to_stop and spec is not specs[-1]:  # in its last step, or while it was failing
                raise Interrupted
        if failed:
            raise SystemExit(EXIT_BAD_INPUT)


def specs_from(problem: Problem, options: argparse.Namespace) -> list[RunSpec]:
    """Return the specifications of the runs that the options select, one per seed."""
    overrides = {
        key: getattr(options, f"p_{key}") for key in problem.model.model_fields if hasattr(options, f"p_{key}")
    }
    config, conditions = config_name(problem, options.config), conditions_of(options)
    return [
        resolve(problem, config, seed, options.scale, options.setting, options.config, overrides, conditions)
        for seed in options.seed
    ]


def config_name(problem: Problem, path: Path) -> str:
    """Return the name of a config, such as `ant/std`; for a file outside the problem's cfg folder, its stem."""
    try:
        return str(path.resolve().relative_to(problem.folder / "cfg").with_suffix(""))
    except ValueError:
        return path.stem


def _parser(problem: Problem, description: str) -> argparse.ArgumentParser:
    parser = Parser(
        usage="%(prog)s -c CONFIG [-s SEED] [-d DEVICE] [options] [--<parameter> VALUE ...]",
        description=description,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-c", "--config", type=Path, required=True, help="cfg file, e.g. cfg/ant/std.yml")
    add(
        "-s",
        "--seed",
        type=_seeds,
        default=[0],
        help="random seed, or a range such as 0-9 to run one after another (default 0)",
    )
    add("-d", "--device", default="cpu", help="device to train on: cpu (default), cuda, cuda:1, ...")
    add("--scale", default="paper", help="file in config/scales (default: paper, the published experiments)")
    add("--setting", default="default", help="point of a cfg file's sweep, e.g. step_size=0.01")
    config = configured()
    add("--results", type=Path, default=PROJECT / config.results, help="folder of all results (default: %(default)s)")
    add("--checkpoint-every", type=positive, default=60.0, metavar="S", help="seconds between checkpoints (default 60)")
    add(
        "--progress-every",
        type=positive,
        default=60.0,
        metavar="S",
        help="seconds between progress lines in a log (default 60)",
    )
    add("--track", choices=SERVICES, help="show live curves in this service (default: none)")
    told = None if problem.data else argparse.SUPPRESS
    add(
        "--data",
        type=Path,
        default=PROJECT / config.data.sets,
        help=told or "folder of all image sets (default: %(default)s)",
    )
    add_image_options(parser, hidden=not problem.data)
    add("--metrics", type=Path, nargs="+", help="metrics files that the runs write, instead of --results")
    add("--images", type=Path, nargs="*", help=told or "files of the image set, instead of --data")
    add("--log", type=Path, help="also write messages to this file")
    add("--die-with-parent", action="store_true", help="save and stop when the parent process ends (Linux only)")
    group = parser.add_argument_group(
        "parameters",
        "Each overrides the value in the cfg file.",
    )
    for key, field in problem.model.model_fields.items():
        group.add_argument(
            f"--{key}",
            dest=f"p_{key}",
            type=_value,
            metavar="VALUE",
            default=argparse.SUPPRESS,
            help=_help(field).replace("%", "%%"),
        )
    return parser


def _value(text: str) -> Any:
    try:
        return parsed(text)
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(f"found {text!r}, allowed: a value as in a cfg file") from None


def _help(field: FieldInfo) -> str:
    default = field.get_default()
    suffix = "" if default in (PydanticUndefined, None, "") else f" (default {default})"
    return f"{field.description}{suffix}"


def _seeds(text: str) -> list[int]:
    if re.fullmatch(r"-\d+", text):
        return [int(text)]  # refused later, with the allowed range
    try:
        return numbers_of(text)
    except ValueError:
        allowed = f"a number, or a range of at most {MOST_NUMBERS:,} such as 0-9"
        raise argparse.ArgumentTypeError(f"found {text!r}, allowed: {allowed}") from None


def _check_device(name: str) -> None:
    if name == "cpu":
        return
    import torch  # takes a second

    try:
        torch.zeros(1, device=name).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device: found {name!r}, which is not available here: {reason}") from None


class _Tee:
    """Standard error and a log file as one stream."""

    def __init__(self, stream: Any, file: Any):
        self.streams = (stream, file)

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
            stream.flush()
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = sys.stderr.streams[0] if isinstance(sys.stderr, _Tee) else sys.stderr
    sys.stderr = _Tee(stream, open(os.fspath(path), "a", errors="backslashreplace"))  # noqa: SIM115 (open until the process ends)
