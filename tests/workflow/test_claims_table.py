"""Claims in the workflow: a change to claims, or to the figures that they refer to, repeats no run."""

import pytest
import yaml

TEST = "test the claims"
CLAIMS = "figures/claims.csv"
FIGURE = "figures/fig1b_first.pdf"


@pytest.fixture
def claims(project):
    """The built project, with claims about one figure."""
    path = project.folder / "config/claims.yaml"
    path.write_text(yaml.safe_dump({"fig1b_first": yaml.safe_load(path.read_text())["fig1b_first"]}))
    assert project.stale(CLAIMS) == {TEST}
    project.build(CLAIMS)
    return project


def test_claims_are_tested_again_if_they_or_their_figures_change(claims):
    assert ",undecided," in (claims.folder / CLAIMS).read_text()
    assert claims.stale(CLAIMS) == set()
    changed = claims.folder / "config/figures.yaml"
    before = changed.read_text()
    claims.edit("config/figures.yaml", "    factor: 100\n    to: 10\n", "    factor: 1\n    to: 10\n")
    assert claims.stale(CLAIMS) == {TEST}
    changed.write_text(before)
    claims.edit("config/claims.yaml", "says: In the first tasks", "says: In early tasks")
    assert claims.stale(CLAIMS, FIGURE) == {TEST}
    claims.build(CLAIMS)
    assert "In early tasks" in (claims.folder / CLAIMS).read_text()
