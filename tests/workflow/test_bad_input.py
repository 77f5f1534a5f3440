"""Snakemake reports a mistake in the configuration in one line, before any job starts."""

import pytest
from project import FIGURE
from refusals import names

from lop.problems import PROBLEMS


@pytest.mark.parametrize(
    ("edit", "arguments", "facts"),
    [
        ((), ("--config", "scale=huge"), ("scale", "'huge'", "laptop", "paper", "smoke")),
        (("lop/rl/cfg/ant/l2.yml", "lr:", "lrr:"), (), ("lop/rl/cfg/ant/l2.yml", "lrr", "lr")),
        (("lop/rl/cfg/ant/ns.yml", "lr: 0.0001", "lr: fast"), (), ("lop/rl/cfg/ant/ns.yml", "lr", "'fast'")),
        (("config/figures.yaml", "metric: return", "metrik: return"), (), ("figures.yaml", "metrik", "metric")),
        (
            ("config/figures.yaml", "cbp: {runs: rl/ant/cbp}", "cbp: {runs: rll/ant/cbp}"),
            (),
            ("figures.yaml", "curves.cbp", "rll/ant/cbp", "imagenet", "rl"),
        ),
        (("config/figures.yaml", "l2: rl/ant/l2", "l2: rl/ant/l3"), (), ("lop/rl/cfg/ant/l3.yml",)),
        ((), ("--config", "scale=smoke", "results=a{b}"), ("results", "'a{b}'")),
        ((), ("--config", "data={source: glyph}"), ("data.source", "'glyph'", "glyphs", "original")),
        ((), ("--config", "checkpoint_every=soon"), ("checkpoint_every", "'soon'")),
        (
            ("config/scales/smoke.yaml", '"*": 2', "imagnet: 2"),
            (),
            ("smoke.yaml", "seeds_per_job", "imagnet", *PROBLEMS),
        ),
        (("config/scales/smoke.yaml", '"*": 2', "rl: 11"), (), ("smoke.yaml", "seeds_per_job.rl", 11, 10)),
        (("config/resources.yaml", "longest: 1440", "longest: 5"), (), ("resources.yaml", "longest", 5)),
    ],
    ids=[
        "scale",
        "key",
        "type",
        "registry",
        "problem",
        "cfg",
        "results",
        "source",
        "seconds",
        "problem of jobs",
        "seeds per job",
        "resources",
    ],
)
def test_a_mistake_is_reported_in_one_line(fresh, edit, arguments, facts):
    if edit:
        fresh.edit(*edit)
    names(fresh.refusal(FIGURE, *arguments), *facts)


def test_an_unknown_figure_is_refused(fresh):
    done = fresh.snakemake("figures/fig9z.pdf", "--cores", "1")
    assert done.returncode != 0
    assert "figures/fig9z.pdf" in done.stderr
    assert "Traceback" not in done.stderr
