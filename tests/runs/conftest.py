import pytest
from short_runs import RUNS


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow) if "," in name else name for name in RUNS])
def short_run(request):
    """Return the script of a problem, and arguments that select a short run of it."""
    script, arguments = RUNS[request.param]
    match script.PROBLEM.data:
        case "mnist":
            return script, [*arguments, "--data", request.getfixturevalue("data")]
        case "imagenet" | "cifar-100" as name:
            images = request.getfixturevalue(f"{name.removesuffix('-100')}_images")
            return script, [*arguments, "--data", images.parents[1], "--data-source", "original"]
    return script, arguments
