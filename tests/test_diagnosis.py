"""Diagnosis of a checkpoint: measures of hidden layers, trainability, and the command."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from refusals import error_line, names, refusal
from torch import nn

from lop.common.paths import ROOT
from lop.plasticity.__main__ import main
from lop.plasticity.checkpoint import read_state_dict
from lop.plasticity.diagnosis import Training, diagnose, first_samples, hidden_layers, read_batches, train, usual_loss

MODULE = """
import torch
from torch import nn

def make():
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))

def batches():
    return [(torch.eye(2), torch.tensor([0, 1]))]

def values():
    return [(torch.eye(2), torch.eye(2))]

def absolute(outputs, targets):
    return (outputs - targets).abs().mean()

NETWORK = make()

def again():
    return NETWORK

def nothing():
    return []

def one_tensor():
    return [torch.eye(2)]

def arrays():
    return [(torch.eye(2).numpy(), torch.tensor([0, 1]).numpy())]

def empty():
    return [(torch.zeros(0, 2), torch.zeros(0))]

def too_wide():
    return [(torch.eye(5), torch.tensor([0, 1, 0, 1, 0]))]

def unequal():
    return [(torch.eye(2), torch.tensor([0, 1, 1]))]

def flat_values():
    return [(torch.eye(2), torch.ones(2))]

def classes_beyond():
    return [(torch.eye(2), torch.tensor([0, 7]))]

def fail():
    raise KeyError("no data today")
"""


def tiny():
    """Return a network whose hidden layer has one unit per input and a dead one."""
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
        net[0].bias.zero_()
        net[2].weight.fill_(0.5)
    return net


def test_hidden_layers_match_hand_computation():
    """The activations of the two inputs are (1, 0, 0) and (0, 1, 0)."""
    (layer,) = hidden_layers(tiny(), torch.eye(2))
    name, units, *fractions = layer.activations[:4]
    assert (name, units) == ("1", 3)
    assert fractions == pytest.approx([1 / 3, 1 / 3])
    assert layer.activations[4:] == pytest.approx((2, 2, 2, 2))
    assert layer.weight_magnitude == pytest.approx(4 / 6)
    diagnosis = diagnose(tiny(), tiny, [(torch.eye(2), torch.ones(2, 1))], Training(steps=1, seeds=1))
    assert diagnosis.weight_magnitude == pytest.approx((4 + 1.5) / 9)
    assert diagnosis.samples == 2


def test_weights_belong_to_the_layer_that_computes_the_activations():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.body = nn.Linear(2, 1), nn.Linear(2, 2)
            nn.init.constant_(self.head.weight, 5.0)
            nn.init.constant_(self.body.weight, -3.0)

        def forward(self, x):
            return self.head(torch.relu(self.body(x)))

    (layer,) = hidden_layers(Functional(), torch.eye(2))
    assert (layer.activations.name, layer.weight_magnitude) == ("head", 3.0)
    (layer,) = hidden_layers(nn.Sequential(nn.ReLU()), torch.eye(2))
    assert math.isnan(layer.weight_magnitude)
    assert hidden_layers(nn.Linear(2, 1), torch.eye(2)) == []


def test_learning_curve_matches_hand_computation():
    """With loss (w - 2)^2 and step size 1/4, w is 0, 1, 1.5, ..., and the distance to 2 halves in each step."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    curve = train(net, [(torch.ones(1, 1), torch.full((1, 1), 2.0))], Training(steps=20, step_size=0.25))
    assert curve.loss == pytest.approx([4.0 ** (1 - step) for step in range(20)])
    assert curve.final_loss == pytest.approx((4.0**-17 + 4.0**-18) / 2)
    assert curve.accuracy == []
    assert math.isnan(curve.final_accuracy)


def test_accuracy_is_that_before_each_step():
    """Both classes have the logit 0 at first, so that the first is predicted for both samples."""
    net = nn.Linear(2, 2)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    curve = train(net, [(torch.eye(2), torch.tensor([0, 1]))], Training(steps=2, step_size=1.0))
    assert curve.accuracy == [0.5, 1.0]
    assert curve.loss[0] == pytest.approx(math.log(2))


def make():
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))


def task():
    numbers = torch.Generator().manual_seed(0)
    return torch.randn(30, 4, generator=numbers), torch.randint(0, 3, (30,), generator=numbers)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_network_of_dead_units_learns_worse_than_a_fresh_one(optimizer):
    aged = make()
    nn.init.constant_(aged[0].bias, -100.0)
    diagnosis = diagnose(aged, make, [task()], Training(steps=200, optimizer=optimizer, step_size=0.05, seeds=2))
    assert diagnosis.layers[0].activations.dead == 1
    assert len(diagnosis.aged) == len(diagnosis.fresh) == 2
    for old, new in zip(diagnosis.aged, diagnosis.fresh, strict=True):
        assert old.final_loss > new.final_loss + 0.1
        assert old.final_accuracy < new.final_accuracy


def test_nothing_but_the_copies_changes_and_numbers_are_reproducible():
    torch.manual_seed(1)
    aged = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)).eval()
    before, state = {name: value.clone() for name, value in aged.state_dict().items()}, torch.get_rng_state()
    first = diagnose(aged, make, [task()], Training(steps=5, seeds=2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in aged.state_dict().items())
    assert not aged.training
    torch.manual_seed(2)
    second = diagnose(aged, make, [task()], Training(steps=5, seeds=2))
    assert first.as_json() == second.as_json()
    assert first.aged[0] != first.aged[1]  # dropout


def test_batches_are_read_as_far_as_needed_and_joined():
    def endless():
        while True:
            yield torch.ones(2, 3), torch.ones(2)

    assert len(read_batches(endless(), 5)) == 5
    inputs = [torch.full((2, 3), 1.0), torch.full((2, 3), 2.0), torch.full((2, 4), 3.0), torch.full((2, 3), 4.0)]
    assert first_samples(inputs, 100)[:, 0].tolist() == [1, 1, 2, 2]
    assert first_samples(inputs, 3)[:, 0].tolist() == [1, 1, 2]


def test_predictions_are_never_broadcast():
    with refusal("(2, 1)", "(2,)", error=ValueError):
        usual_loss(torch.ones(2, 1), torch.ones(2))


def test_numbers_that_are_not_finite_are_null_in_json():
    diagnosis = diagnose(make(), make, [task()], Training(steps=30, step_size=1e30, seeds=1))
    assert None in json.loads(json.dumps(diagnosis.as_json(), allow_nan=False))["aged"][0]["loss"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with `own_module.py` and a checkpoint of its network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_module", raising=False)
    (tmp_path / "own_module.py").write_text(MODULE)
    torch.save(network().state_dict(), "a.pt")
    return tmp_path


def network():
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))


def arguments(checkpoint="a.pt", model="make", data="batches", *more):
    return [checkpoint, "--model", f"own_module:{model}", "--data", f"own_module:{data}", "--steps", "20", *more]


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net"])
def test_a_state_dict_is_found_under_the_usual_keys(here, key):
    torch.save({key: network().state_dict(), "epoch": 3, "loss": torch.tensor(1.0), "optimizer": {}}, "b.pt")
    assert set(read_state_dict(Path("b.pt"))) == set(network().state_dict())


def test_another_key_is_given_as_an_option(here, capsys):
    torch.save({"ema": network().state_dict(), "model": network().state_dict()}, "b.pt")
    main(arguments("b.pt", "make", "batches", "--key", "ema"))
    assert "2 samples" in capsys.readouterr().out


def test_the_command_prints_and_draws(here, capsys):
    main(arguments("a.pt", "make", "batches", "--plot", "a.pdf"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line] == [
        "a.pt:",
        "layer",
        "1",
        "mean",
        "training:",
        "loss",
        "aged",
        "fresh",
    ]
    assert Path("a.pdf").read_bytes()[:4] == b"%PDF"
    main(arguments("a.pt", "make", "values", "--loss", "own_module:absolute", "--json", "--plot", "a.png"))
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["training"]["loss"] == "absolute"
    assert numbers["layers"][0]["units"] == 3
    assert len(numbers["fresh"]) == 3
    assert len(numbers["fresh"][0]["loss"]) == 20
    assert numbers["fresh"][0]["accuracy"] == []


def broken(name):
    """Write a file that is no checkpoint of the network, and return its name."""
    path, state = Path(f"{name}.pt"), network().state_dict()
    if name == "pickle":
        torch.save(network(), path)  # a class, which could execute code
    elif name == "noise":
        path.write_bytes(b"\x80\x02noise" * 50)
    elif name == "nothing":
        path.touch()
    elif name == "other_keys":
        torch.save(nn.Linear(2, 3).state_dict(), path)
    elif name == "other_shape":
        torch.save(state | {"0.weight": torch.ones(5, 2)}, path)
    elif name == "not_finite":
        torch.save(state | {"2.bias": torch.tensor([1.0, math.nan])}, path)
    elif name == "no_state":
        torch.save({"epoch": 3, "weights": state}, path)
    elif name == "two_states":
        torch.save({"model": state, "net": state}, path)
    elif name == "list":
        torch.save([1, 2], path)
    elif name == "folder":
        path.mkdir()
    return path.name


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("missing", ()),
        ("folder", ()),
        ("pickle", ("torch.load(weights_only=True)",)),
        ("noise", ("torch.load(weights_only=True)",)),
        ("nothing", ("torch.load(weights_only=True)",)),
        ("other_keys", ("0.weight", "weight")),
        ("other_shape", ("0.weight", "5, 2", "3, 2")),
        ("not_finite", ("2.bias",)),
        ("no_state", ("epoch, weights", "state_dict", "--key")),
        ("two_states", ("model, net", "--key")),
        ("list", ("list", "state_dict")),
    ],
)
def test_bad_checkpoint_is_refused(here, capsys, name, facts):
    path = broken(name)
    names(error_line(capsys, main, arguments(path)), path, *facts)


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        (("a.pt", "makes"), ("--model", "own_module:makes")),
        (("a.pt", "again"), ("--model", "own_module:again", "twice")),
        (("a.pt", "nothing"), ("--model", "own_module:nothing", "torch.nn.Module")),
        (("a.pt", "fail"), ("--model", "own_module:fail", "no data today")),
        (("a.pt", "make", "fail"), ("--data", "own_module:fail", "KeyError")),
        (("a.pt", "make", "nothing"), ("--data", "own_module:nothing")),
        (("a.pt", "make", "one_tensor"), ("--data", "batch 1", "Tensor")),
        (("a.pt", "make", "arrays"), ("--data", "batch 1", "ndarray")),
        (("a.pt", "make", "empty"), ("--data", "batch 1", 0)),
        (("a.pt", "make", "unequal"), ("--data", "batch 1", 2, 3)),
        (("a.pt", "make", "too_wide"), ("own_module:make", "own_module:too_wide")),
        (("a.pt", "make", "flat_values"), ("own_module:flat_values", "(2,)", "(2, 2)")),
        (("a.pt", "make", "classes_beyond"), ("own_module:classes_beyond", 7)),
        (("a.pt", "make", "batches", "--key", "ema"), ("a.pt", "ema")),
        (("a.pt", "make", "batches", "--loss", "own_module:make"), ("own_module:batches",)),
        (("a.pt", "make", "batches", "--plot", "a.svg"), ("--plot", "a.svg", ".pdf", ".png")),
        (("a.pt", "make", "batches", "--optimizer", "lion"), ("--optimizer", "lion", "adam")),
        (("a.pt", "make", "batches", "--steps", "0"), ("--steps", "'0'")),
        (("a.pt", "make", "batches", "--step-size", "nan"), ("--step-size", "'nan'")),
    ],
)
def test_bad_argument_is_refused(here, capsys, options, facts):
    names(error_line(capsys, main, arguments(*options)), *facts)


@pytest.mark.parametrize("content", ["raise RuntimeError('no')", "def", "raise SystemExit(0)", "import no_such_module"])
def test_a_module_that_cannot_be_imported_is_refused(here, capsys, monkeypatch, content):
    monkeypatch.delitem(sys.modules, "bad_module", raising=False)
    Path("bad_module.py").write_text(content)
    command = ["a.pt", "--model", "bad_module:make", "--data", "own_module:batches"]
    names(error_line(capsys, main, command), "--model", "bad_module:make")


@pytest.mark.slow
def test_the_example_of_the_documentation_gives_the_documented_results(tmp_path):
    page = (ROOT / "docs" / "your_network.md").read_text()
    (module,) = (text for text in re.findall(r"```python\n(.*?)```", page, re.S) if "def make():" in text)
    (tmp_path / "my_module.py").write_text(module)
    commands = re.findall(r"^    (python .*my_module.*)$", page, re.M)
    assert len(commands) == 2
    for command in commands:
        words = [sys.executable, *command.split()[1:]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    (documented,) = (text for text in re.findall(r"```text\n(.*?)```", page, re.S) if "my_checkpoint.pt" in text)
    heads = [[line.split()[0] for line in text.splitlines() if line] for text in (documented, done.stdout)]
    assert heads[0] == heads[1]
    accuracies = {line.split()[0]: int(re.search(r"(\d+)%", line)[1]) for line in done.stdout.splitlines()[-2:]}
    assert accuracies["aged"] < 80 < accuracies["fresh"]
    assert (tmp_path / "diagnosis.pdf").exists()
