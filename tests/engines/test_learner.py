"""The compiled learner against published numbers and against the torch learners."""

import copy

import numpy as np
import pytest
import torch
from recordings import golden
from refusals import refusal

from lop.algos.bp import Backprop
from lop.algos.cbp import ContinualBackprop
from lop.algos.examples import examples
from lop.algos.utilities import UTILITIES
from lop.engines.activations import ACTIVATIONS
from lop.engines.generator import seeded
from lop.engines.online.kernel import kernel
from lop.engines.online.layout import KernelSpec
from lop.engines.online.learner import OnlineLearner
from lop.nets.deep_ffnn import DeepFFNN
from lop.nets.ffnn import FFNN
from lop.nets.linear import MyLinear

ARRAYS, SETTINGS = golden("learners")
SHALLOW = [case for case, settings in SETTINGS.items() if settings.get("net", "").startswith("FFNN")]
REPLACING = ("replacement_rate", "decay_rate", "maturity_threshold", "util_type", "init", "accumulate")


@pytest.fixture(autouse=True)
def _flush_denormals():
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)


def network(net):
    layers = [module for module in net.layers if isinstance(module, torch.nn.Linear)]
    return [(layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()) for layer in layers]


@pytest.mark.parametrize("case", SHALLOW)
def test_training_matches_published_code(case):
    s = SETTINGS[case]
    opt = "adam_gnt" if s["opt"] == "adam" and "replacement_rate" in s else s["opt"]
    more = {name: s[name] for name in REPLACING if name in s}
    layers = [(ARRAYS[f"{case}/init/layers/{i}/weight"], ARRAYS[f"{case}/init/layers/{i}/bias"]) for i in (0, 2)]
    learner = OnlineLearner(
        layers, seeded(1), s["step_size"], s["act"], opt=opt, weight_decay=s.get("weight_decay", 0), **more
    )
    stream = examples(ARRAYS[f"{case}/x"][:, 0], ARRAYS[f"{case}/y"][:, 0, 0])
    losses, replaced, fresh = [], [], [np.empty(0)]
    for t in range(400):
        losses.append(learner.learn(stream, np.array([t]))[0][0])
        if "replacement_rate" in s:
            for unit in np.flatnonzero(learner.ages(0) == 0):
                replaced.append((t, 0, unit))
                fresh.append(learner.layer(0)[0][unit].copy())
    np.testing.assert_allclose(losses, ARRAYS[f"{case}/loss"], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(np.array(replaced).reshape(-1, 3), ARRAYS[f"{case}/replaced"])
    if replaced:
        np.testing.assert_array_equal(np.concatenate(fresh), ARRAYS[f"{case}/new_incoming_weights"])
    for index, name in enumerate((0, 2)):
        weights, biases = learner.layer(index)
        np.testing.assert_allclose(weights, ARRAYS[f"{case}/final/layers/{name}/weight"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(biases, ARRAYS[f"{case}/final/layers/{name}/bias"], rtol=1e-4, atol=1e-5)


def side_by_side(net, make, steps=300, **settings):
    """Train a torch learner and the compiled one on the same stream, and compare their errors and networks."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(steps, net.layers[0].in_features)).astype(np.float32)
    x[rng.random(x.shape) < 0.4] = 0
    y = rng.normal(size=steps).astype(np.float32)
    compiled = OnlineLearner(network(net), seeded(1), **settings)
    errors, _ = compiled.learn(examples(x, y), np.arange(steps))
    torch.manual_seed(1)
    learner = make(net)
    expected = [
        learner.learn(torch.tensor(x[t : t + 1]), torch.tensor(y[t].reshape(1, 1))).item() for t in range(steps)
    ]
    np.testing.assert_allclose(errors, expected, rtol=2e-3, atol=1e-5)
    for index, (weights, biases) in enumerate(network(net)):
        np.testing.assert_allclose(compiled.layer(index)[0], weights, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(compiled.layer(index)[1], biases, rtol=1e-3, atol=1e-4)
    return learner, compiled


@pytest.mark.parametrize(
    ("activation", "opt", "weight_decay"),
    [
        *((name, "sgd", 0.0) for name in ACTIVATIONS if name != "linear"),
        *(("tanh", opt, decay) for opt in ("sgd", "adam") for decay in (0.0, 0.01) if (opt, decay) != ("sgd", 0.0)),
    ],
)
def test_deep_networks_learn_like_torch_networks(activation, opt, weight_decay):
    torch.manual_seed(0)
    net = DeepFFNN(10, 11, 1, num_hidden_layers=3, act_type=activation)
    settings = {"step_size": 0.003, "opt": opt, "weight_decay": weight_decay}
    side_by_side(net, lambda net: Backprop(net, **settings), activation=activation, **settings)


@pytest.mark.parametrize("opt", ["sgd", "adam"])
def test_linear_networks_learn_like_torch_networks(opt):
    torch.manual_seed(0)
    side_by_side(MyLinear(10), lambda net: Backprop(net, step_size=0.01, opt=opt), step_size=0.01, opt=opt)


@pytest.mark.parametrize(
    ("utility", "opt", "accumulate"),
    [
        *((name, "sgd", True) for name in UTILITIES),
        *(("adaptable_contribution", *more) for more in (("sgd", False), ("adam", True), ("adam", False))),
    ],
)
def test_unit_replacement_matches_the_torch_learner(utility, opt, accumulate):
    torch.manual_seed(0)
    net = DeepFFNN(10, 9, 1, num_hidden_layers=2, act_type="tanh")
    settings = {"step_size": 0.003, "util_type": utility, "replacement_rate": 0.01, "decay_rate": 0.9}
    settings |= {"maturity_threshold": 20, "accumulate": accumulate}
    learner, compiled = side_by_side(
        net,
        lambda net: ContinualBackprop(net, opt=opt, **settings),
        activation="tanh",
        opt="sgd" if opt == "sgd" else "adam_gnt",
        **settings,
    )
    assert compiled.state.log[2].sum() > 20
    for layer, ages in enumerate(learner.gnt.ages):
        np.testing.assert_array_equal(compiled.ages(layer), ages)


def test_several_units_are_replaced_in_the_order_of_their_utility():
    torch.manual_seed(0)
    net = FFNN(6, 12, hidden_activation="tanh")
    settings = {"step_size": 0.01, "replacement_rate": 0.3, "maturity_threshold": 5, "accumulate": True}
    settings["decay_rate"] = 0.9
    make = lambda net: ContinualBackprop(net, **settings)  # noqa: E731
    learner, compiled = side_by_side(net, make, steps=60, activation="tanh", **settings)
    np.testing.assert_array_equal(compiled.ages(0), learner.gnt.ages[0])


def test_chunked_and_resumed_learning_equals_uninterrupted_learning():
    torch.manual_seed(0)
    layers = network(DeepFFNN(10, 9, 1, num_hidden_layers=2))
    rng = np.random.default_rng(0)
    stream = examples(rng.random((50, 10)) * (rng.random((50, 10)) < 0.5), rng.random(50))
    order = rng.integers(0, 50, 1000)
    settings = {"step_size": 0.01, "replacement_rate": 0.02, "maturity_threshold": 5, "opt": "adam_gnt"}
    settings |= {"perturb_scale": 1e-4, "weight_decay": 1e-3, "logs": True}
    whole = OnlineLearner(layers, seeded(3), **settings)
    expected, _ = whole.learn(stream, order)
    first = OnlineLearner(layers, seeded(3), **settings)
    errors = [first.learn(stream, order[:333])[0]]
    second = OnlineLearner(layers, seeded(4), **settings)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    errors += [second.learn(stream, part)[0] for part in (order[333:334], order[334:])]
    np.testing.assert_array_equal(np.concatenate(errors), expected)
    for name, array in whole.state._asdict().items():
        np.testing.assert_array_equal(getattr(second.state, name), array, err_msg=name)
    other = OnlineLearner(layers, seeded(3), 0.01)
    with refusal("state", first.spec, other.spec, error=ValueError):
        other.load_state_dict(first.state_dict())


def test_noise_has_the_given_scale():
    """With a step size of 0, only noise changes the weights: all of them, and never the padding."""
    learner = OnlineLearner(
        [(np.zeros((7, 30), np.float32), np.zeros(7, np.float32))] * 1
        + [(np.zeros((1, 7), np.float32), np.zeros(1, np.float32))],
        seeded(0),
        0.0,
        perturb_scale=0.1,
    )
    learner.learn(examples(np.zeros((1, 30)), np.zeros(1)), np.zeros(400, int))
    moved = np.concatenate([array.flatten() for layer in (0, 1) for array in learner.layer(layer)])
    assert moved.std() == pytest.approx(0.1 * 400**0.5, rel=0.15)
    assert abs(moved.mean()) < 0.5
    assert np.count_nonzero(learner.state.weights) == len(moved)


@pytest.mark.parametrize("step_size", [0.0, 0.1])
def test_lazy_decay_and_noise_have_the_mean_and_variance_of_eager_ones(step_size):
    """Compare 400 examples in one call (lazy) with 400 calls (eager), for rows in use and rows that wait.

    With q = 1 - step_size * weight_decay, the mean is q^400 and the variance 0.01^2 (1 - q^800) / (1 - q^2).
    """
    network = [(np.ones((200, 40), np.float32), np.zeros(200, np.float32))]
    network += [(np.zeros((1, 200), np.float32), np.zeros(1, np.float32))]
    x = np.zeros((2, 40))
    x[0, :20] = 1e-12  # too small to learn from, but every other example uses rows 0 to 19
    settings = {"weight_decay": 0.01, "perturb_scale": 0.01}
    whole, single = (OnlineLearner(network, seeded(seed), step_size, **settings) for seed in (1, 2))
    assert whole.spec.late
    order = np.arange(400) % 2
    whole.learn(examples(x, np.zeros(2)), order)
    for one in order:
        single.learn(examples(x, np.zeros(2)), np.array([one]))
    q = 1 - step_size * 0.01
    variance = 1e-4 * (400 if q == 1 else (1 - q**800) / (1 - q**2))
    for learner in (whole, single):
        weights = learner.layer(0)[0]
        for rows in (weights[:, :20], weights[:, 20:]):
            assert rows.mean() == pytest.approx(q**400, abs=4 * (variance / rows.size) ** 0.5)
            assert rows.var() == pytest.approx(variance, rel=0.1)


def test_lazy_decay_equals_eager_decay_up_to_rounding():
    torch.manual_seed(0)
    layers, rng = network(DeepFFNN(10, 12, 3, num_hidden_layers=2)), np.random.default_rng(0)
    stream = examples(rng.random((50, 10)) * (rng.random((50, 10)) < 0.3), rng.integers(0, 3, 50))
    order = rng.integers(0, 50, 600)
    whole, single = (OnlineLearner(layers, seeded(1), 0.01, loss="nll", weight_decay=0.05) for _ in range(2))
    losses, _ = whole.learn(stream, order)
    np.testing.assert_allclose(losses, [single.learn(stream, order[t : t + 1])[0][0] for t in range(600)], rtol=1e-3)
    for index in range(3):
        np.testing.assert_allclose(whole.layer(index)[0], single.layer(index)[0], rtol=1e-3, atol=1e-5)


def test_gradients_and_inactive_units_are_logged():
    """For one example, h = relu([1 * 2, -1 * 2]), y = 3 h_0 = 6, error 5, gradients 2 * 5 * h and 2 * 5 * 3 * x."""
    layers = [(np.array([[1.0], [-1.0]], np.float32), np.zeros(2, np.float32))]
    layers += [(np.array([[3.0, 0.0]], np.float32), np.zeros(1, np.float32))]
    learner = OnlineLearner(layers, seeded(0), 0.0, logs=True)
    assert learner.learn(examples(np.array([[2.0]]), np.array([1.0])), np.array([0]))[0].tolist() == [25]
    assert learner.log[0].tolist() == [10 * 3 * 2 / 2, 10 * 2 / 2]
    assert learner.log[1, 0] == 0.5
    assert [weights.tolist() for weights in learner.weights()] == [[[1], [-1]], [[3, 0]]]


@pytest.mark.parametrize("replaces", [False, True])
def test_classification_matches_the_torch_learner(replaces):
    """Ten classes with softmax, two hidden layers, 1,500 examples."""
    torch.manual_seed(0)
    net = DeepFFNN(12, 20, 10, num_hidden_layers=2, act_type="tanh")  # with relu, utilities of 0 would tie
    rng = np.random.default_rng(0)
    x = rng.random((1500, 12)).astype(np.float32) * (rng.random((1500, 12)) < 0.5)
    y = (x @ rng.normal(size=(12, 10))).argmax(1)
    settings = {"step_size": 0.01, "loss": "nll"}
    make = Backprop
    if replaces:
        settings |= {"replacement_rate": 0.01, "maturity_threshold": 20, "decay_rate": 0.9, "accumulate": True}
        settings |= {"util_type": "adaptable_contribution"}
        make = ContinualBackprop
    compiled = OnlineLearner(network(net), seeded(1), activation="tanh", **settings)
    losses, predicted = compiled.learn(examples(x, y), np.arange(1500))
    torch.manual_seed(1)
    learner = make(net, **settings)
    for t in range(1500):
        loss, output = learner.learn(torch.tensor(x[t : t + 1]), torch.tensor(y[t : t + 1]))
        assert losses[t] == pytest.approx(loss.item(), rel=5e-3, abs=1e-4)
        assert predicted[t] == output.argmax()
    if replaces:
        for layer in range(2):
            np.testing.assert_array_equal(compiled.ages(layer), learner.gnt.ages[layer])
    assert (predicted == y)[1000:].mean() > (predicted == y)[:200].mean() + 0.1


def test_sums_of_absolute_weights_are_kept_up_to_date():
    torch.manual_seed(0)
    net = DeepFFNN(10, 9, 1, num_hidden_layers=2)
    rng = np.random.default_rng(0)
    settings = {"step_size": 0.01, "replacement_rate": 0.01, "maturity_threshold": 20, "decay_rate": 0.9}
    learner = OnlineLearner(network(net), seeded(1), util_type="adaptable_contribution", **settings)
    stream = examples(rng.random((700, 10)) * (rng.random((700, 10)) < 0.5), rng.random(700))
    learner.learn(stream, np.arange(700))
    for layer in (0, 1):
        here = slice(learner.shape.units_at[layer], learner.shape.units_at[layer] + 9)
        incoming, outgoing = np.abs(learner.layer(layer)[0]).sum(1), np.abs(learner.layer(layer + 1)[0]).sum(0)
        np.testing.assert_allclose(learner.state.incoming[here], incoming, rtol=1e-5)
        np.testing.assert_allclose(learner.state.outgoing[here], outgoing, rtol=1e-5, atol=1e-7)


def test_out_of_range_indices_and_invalid_arrays_are_rejected():
    learner = OnlineLearner(network(FFNN(2)), seeded(0), 0.1)
    stream = examples(np.ones((3, 2)), np.ones(3))
    with refusal("order", 3, 2, error=ValueError):
        learner.learn(stream, np.arange(4))
    with refusal("stream", "input", 2, 1, error=ValueError):
        learner.learn(examples(np.ones((3, 3)), np.ones(3)), np.arange(3))
    classes = OnlineLearner(network(FFNN(2, num_outputs=3)), seeded(0), 0.1, loss="nll")
    with refusal("stream", "class", 3, 2, error=ValueError):
        classes.learn(examples(np.ones((2, 2)), np.array([1, 3])), np.arange(2))
    with refusal("order", "float64", (3,), error=ValueError):
        learner.learn(stream, np.arange(3.0))
    with refusal("stream", "start", error=ValueError):
        learner.learn(stream._replace(start=np.array([0, 2, 4, 9])), np.arange(3))
    with refusal("stream", "indices", error=ValueError):
        learner.learn(stream._replace(indices=np.array([1, 0, 0, 1, 0, 1])), np.arange(3))
    with refusal("stream", "values", "float64", (6,), "float32", error=ValueError):
        learner.learn(stream._replace(values=np.ones(6)), np.arange(3))
    with refusal("stream", "class", error=ValueError):
        classes.learn(examples(np.ones((2, 2)), np.array([1, 0.5])), np.arange(2))
    first, last = network(FFNN(2))  # shapes (5, 2), (5,) and (1, 5), (1,)
    for wrong in ([], [last, first], [first, (last[0], np.zeros(2))], [first, (last[0][0], last[1])]):
        shapes = [array.shape for layer in wrong for array in layer]
        with refusal("network", *shapes, error=ValueError):
            OnlineLearner(wrong, seeded(0), 0.1)


@pytest.mark.parametrize(("inputs", "targets"), [((3, 2), (2,)), ((3,), (3,)), ((3, 2), (3, 1))])
def test_examples_of_mismatched_shapes_are_rejected(inputs, targets):
    with refusal(inputs, targets, error=ValueError):
        examples(np.ones(inputs), np.ones(targets))


def test_weights_of_a_layer_are_read_only():
    weights, biases = OnlineLearner(network(FFNN(2)), seeded(0), 0.1).layer(0)
    assert not weights.flags.writeable
    assert not biases.flags.writeable


def test_examples_with_zero_inputs_train_the_biases():
    learner = OnlineLearner(network(FFNN(2)), seeded(0), 0.1)
    losses, _ = learner.learn(examples(np.zeros((3, 2)), np.ones(3)), np.arange(3))
    assert losses[0] > losses[1] > losses[2]


def test_nan_weight_gives_a_nan_loss():
    layers = network(FFNN(2))
    layers[0][0][0, 0] = np.nan
    losses, _ = OnlineLearner(layers, seeded(0), 0.1).learn(examples(np.ones((1, 2)), np.ones(1)), np.arange(1))
    assert np.isnan(losses[0])


def test_each_kernel_has_its_own_cache():
    """Otherwise, two processes that compile different kernels at once would corrupt numba's index."""
    names = {
        kernel(KernelSpec((2, 5, 1), activation)).function._cache._impl.filename_base for activation in ("relu", "tanh")
    }
    assert len(names) == 2


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("activation", "step", ACTIVATIONS),
        ("opt", "lion", ("sgd", "adam", "adam_gnt")),
        ("util_type", "beauty", UTILITIES),
        ("loss", "mae", ("mse", "nll")),
        ("replacement_rate", -0.1, (0, 1)),
        ("replacement_rate", 1.1, (0, 1)),
        ("perturb_scale", -1, ()),
        ("decay_rate", 2, (1,)),
        ("eps", 0, (1e-30,)),
        ("eps", np.inf, (1e-30,)),
    ],
)
def test_invalid_settings_are_rejected(name, value, allowed):
    with refusal(name, value, *allowed, error=ValueError):
        OnlineLearner(network(FFNN(2)), seeded(0), **{"step_size": 0.1, name: value})


def test_invalid_beta_is_rejected():
    with refusal("betas", 1.5, 1, error=ValueError):
        OnlineLearner(network(FFNN(2)), seeded(0), 0.1, betas=(0.9, 1.5))


def test_squared_error_needs_a_single_output():
    for layers, outputs in ((network(FFNN(2, num_outputs=3)), 3), (network(FFNN(2))[:1], 5)):
        with refusal("network", outputs, 1, "mse", error=ValueError):
            OnlineLearner(layers, seeded(0), 0.1)


@pytest.mark.parametrize("opt", ["sgd", "adam", "adam_gnt"])
def test_unneeded_arrays_reserve_their_memory(opt):
    """Otherwise other arrays could occupy it, and compiled loops, which check for overlaps, would not be vectorised."""
    learner = OnlineLearner(network(DeepFFNN(5, 4, 3, 2)), seeded(1), 0.01, loss="nll", opt=opt)
    sizes = {"weights": ("moments", "squares", "decayed"), "z": ("kept", "norm_mean", "norm_var", "mean_error")}
    for needed, others in sizes.items():
        room = getattr(learner.state, needed).nbytes
        for name in others:
            array = getattr(learner.state, name)
            assert array.nbytes in (0, room)
            assert array.base.nbytes == room
