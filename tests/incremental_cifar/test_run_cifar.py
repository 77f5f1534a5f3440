"""Incremental CIFAR-100: classes, augmentation, resumption, resets and measurements."""

import matplotlib.figure
import numpy as np
import pytest
import torch
from interrupted import InterruptedRun, PowerCut, finished, goes_on_after_a_cut, left_behind, same
from refusals import refusal

from lop.algos import cuda_graphs
from lop.data import load
from lop.data.sets import ImageSource
from lop.incremental_cifar import run_cifar
from lop.incremental_cifar.pictures import ADDED, INCREMENTS, increments
from lop.incremental_cifar.problem import Increments, augmented, class_order, cropped, seen, step_size, turned
from lop.incremental_cifar.run_cifar import make_network, train
from lop.nets.torchvision_modified_resnet import ResNet, build_resnet18
from lop.problems import PROBLEMS
from lop.runs.spec import Conditions, resolve

SMALL = {
    "total_classes": 6,
    "class_increase": 2,
    "class_increase_frequency": 4,
    "train_images_per_class": 12,
    "validation_images_per_class": 5,
    "test_images_per_class": 5,
    "mini_batch_size": 10,
    "measured_images": 16,
    "width": 2,
}
METHODS = {
    "base": ("base_deep_learning_system", {}),
    "cbp": ("continual_backpropagation", {"replacement_rate": 0.1, "maturity_threshold": 3}),
    "head": ("head_resetting", {}),
    "retrained": ("retrained_network", {}),
    "noise": ("shrink_and_perturb", {"noise_std": 0.01}),
    "no early stopping": ("base_deep_learning_system", {"early_stopping": False, "use_data_augmentation": False}),
    "stem of stride 2": ("base_deep_learning_system", {"stem_stride": 2}),
    "bfloat16": ("continual_backpropagation", {"precision": "bfloat16", "replacement_rate": 0.1}),
}


@pytest.fixture
def images(cifar_images):
    """Return the folder of all 60,000 records."""
    return cifar_images


def spec_of(config="base_deep_learning_system", device="cpu", **overrides):
    conditions, overrides = Conditions(ImageSource("original"), device), SMALL | overrides
    return resolve(PROBLEMS["incremental_cifar"], config, 0, "paper", overrides=overrides, conditions=conditions)


def run_of(results, images, config="base_deep_learning_system", device="cpu", **overrides):
    return InterruptedRun(spec_of(config, device, **overrides), results, data=images.parents[1])


def values(table, metric):
    rows = table.to_pandas()
    return rows[rows["metric"] == metric].set_index("step")["value"]


def test_configs_have_the_published_values():
    published = {"stepsize": 0.1, "weight_decay": 0.0005, "momentum": 0.9, "early_stopping": True}
    published |= {"noise_std": 0.0, "use_cbp": False, "reset_head": False, "reset_network": False}
    cbp = {"use_cbp": True, "replacement_rate": 1e-5, "utility_function": "contribution", "maturity_threshold": 1000}
    more = {
        "base_deep_learning_system": {},
        "continual_backpropagation": cbp,
        "head_resetting": {"reset_head": True},
        "retrained_network": {"reset_network": True},
        "shrink_and_perturb": {"noise_std": 1e-5},
    }
    for config, changed in more.items():
        parameters = resolve(PROBLEMS["incremental_cifar"], config, 0, "paper").parameters
        assert {key: getattr(parameters, key) for key in published | changed} == published | changed
        assert parameters.increments == 20
    assert sorted(PROBLEMS["incremental_cifar"].configs()) == sorted([*more, "replacement_rates"])


@pytest.mark.parametrize(
    ("overrides", "facts"),
    [
        ({"total_classes": 7}, ("total_classes", 7, "class_increase", 2)),
        ({"use_cbp": True}, ("replacement_rate", 0, "use_cbp")),
        ({"reset_head": True, "reset_network": True}, ("reset_head", "reset_network")),
        ({"train_images_per_class": 451}, ("train_images_per_class", 451, 450)),
    ],
)
def test_invalid_parameters_are_rejected(overrides, facts):
    with refusal(*facts):
        spec_of(**overrides)


def test_classes_accumulate_and_their_images_are_split(images):
    p = spec_of(train_images_per_class=450, validation_images_per_class=50, test_images_per_class=100).parameters
    increments = Increments(0, images, p)
    assert sorted(increments.order) == list(range(100))
    assert list(increments.classes(1)) == [*increments.new_classes(0), *increments.new_classes(1)]
    assert list(Increments(1, images, p).order) != list(increments.order)
    parts = increments.parts(increments.classes(1))
    records = increments.files.train
    for place, number in enumerate(increments.classes(1)):
        own = records["image"][records["fine"] == number]
        np.testing.assert_array_equal(parts.validation.images[parts.validation.labels == place], own[:50])
        np.testing.assert_array_equal(parts.train.images[parts.train.labels == place], own[50:])
    assert len(parts.test.labels) == 4 * 100


def test_images_are_cropped_with_reflection_padding():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 3, 32, 32), np.uint8)
    flip, corners = rng.random(30) < 0.5, rng.integers(0, 9, (2, 30))
    found = cropped(torch.from_numpy(images), torch.from_numpy(flip), torch.from_numpy(corners))
    for image, mirrored, (row, column), result in zip(images, flip, corners.T, found, strict=True):
        image = image[:, :, ::-1] if mirrored else image
        padded = np.pad(image, ((0, 0), (4, 4), (4, 4)), mode="reflect")
        np.testing.assert_array_equal(result, padded[:, row : row + 32, column : column + 32])


def test_images_are_rotated_about_their_centre():
    images = torch.randn(3, 3, 32, 32)
    quarter = torch.tensor([0.0, np.pi / 2, -np.pi / 2])
    found = turned(images, quarter)
    assert torch.equal(found[0], images[0])
    assert torch.equal(found[1], torch.rot90(images[1], 1, (1, 2)))
    assert torch.equal(found[2], torch.rot90(images[2], -1, (1, 2)))
    by_15 = turned(torch.ones(1, 3, 32, 32), torch.tensor([np.pi / 12]))
    assert by_15[0, 0, 0, 0] == 0  # outside the original image
    assert by_15[0, 0, 16, 16] == 1


def test_augmentation_is_determined_by_its_generator():
    images = torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8)
    first, again, other = (augmented(images, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    mean = seen(torch.full((1, 3, 32, 32), 128, dtype=torch.uint8))[0, :, 0, 0]
    expected = (128 / 255 - np.array([0.5071, 0.4865, 0.4409])) / np.array([0.2673, 0.2564, 0.2762])
    np.testing.assert_allclose(mean, expected, rtol=1e-5)


def test_step_size_decays_within_each_increment():
    p = resolve(PROBLEMS["incremental_cifar"], "base_deep_learning_system", 0, "paper").parameters
    assert [step_size(p, epoch) for epoch in (0, 59, 60, 119, 120, 159, 160, 199)] == [
        *(0.1, 0.1, 0.02, 0.02),
        *(0.004, 0.004, 0.0008, 0.0008),
    ]


def test_step_size_schedule_scales_with_the_length_of_increments():
    p = spec_of(stepsize=4e-6, class_increase_frequency=10).parameters
    assert [step_size(p, epoch) for epoch in (0, 2, 3, 6, 8)] == [4e-6, 4e-6, 8e-7, 1.6e-7, 3.2e-8]
    for epochs, wanted in ((1, [0.1]), (2, [0.1, 0.02]), (3, [0.1, 0.02, 0.004])):
        p = spec_of(stepsize=0.1, class_increase_frequency=epochs).parameters
        assert [step_size(p, epoch) for epoch in range(epochs)] == wanted


@pytest.mark.parametrize(
    "method", [pytest.param(one, marks=[] if one == "cbp" else pytest.mark.slow) for one in METHODS]
)
def test_resumed_run_equals_uninterrupted_run(method, images, tmp_path):
    config, overrides = METHODS[method]
    table, state = finished(train, run_of(tmp_path / "whole", images, config, **overrides))
    for saved_at in (3, 4):  # before the last epoch of an increment and between two increments
        run = run_of(tmp_path / f"{saved_at}", images, config, **overrides)
        run.saved_at = saved_at
        with pytest.raises(PowerCut):
            run.execute(train)
        again, other = finished(train, run_of(tmp_path / f"{saved_at}", images, config, **overrides))
        assert again.equals(table)
        assert same(state, other)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cbp", "retrained", "noise"])
def test_run_on_another_device_matches_the_cpu_and_resumes_exactly(method, images, other_device, tmp_path):
    config, overrides = METHODS[method]
    overrides = {**overrides, "total_classes": 4, "class_increase_frequency": 2, "stepsize": 0.01}
    table, _ = goes_on_after_a_cut(
        train, lambda name: run_of(tmp_path / name, images, config, other_device, **overrides), saved_at=1
    )
    on_cpu, _ = finished(train, run_of(tmp_path / "cpu", images, config, **overrides))
    assert on_cpu.drop("value").equals(table.drop("value"))
    np.testing.assert_allclose(values(table, "weight_magnitude"), values(on_cpu, "weight_magnitude"), rtol=1e-2)


@pytest.mark.parametrize("method", ["cbp", "noise"])
def test_network_is_freed_at_the_end_of_a_run(method, images, monkeypatch, tmp_path):
    config, overrides = METHODS[method]

    def run_in(name, device):
        return run_of(tmp_path / name, images, config, device, **overrides, total_classes=2)

    assert not left_behind(train, run_cifar, run_in, monkeypatch)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("method", ["base", "cbp", "noise", "retrained", "bfloat16"])
def test_replayed_updates_are_bit_identical_to_uncaptured_updates(method, images, replays, monkeypatch, tmp_path):
    config, overrides = METHODS[method]
    overrides = {**overrides, "total_classes": 4, "mini_batch_size": 4, "train_images_per_class": 13}
    table, state = finished(train, run_of(tmp_path / "captured", images, config, "cuda", **overrides))
    assert {4, 2} == set(replays)
    replays.clear()
    monkeypatch.setattr(cuda_graphs, "ALIKE", 10**9)
    expected, its_state = finished(train, run_of(tmp_path / "uncaptured", images, config, "cuda", **overrides))
    assert not replays
    assert table.equals(expected)
    assert same(state, its_state)


def test_network_has_the_given_width_and_stride():
    for width, stride in ((2, 1), (3, 2)):
        convolution = make_network(spec_of(width=width, stem_stride=stride).parameters).conv1
        assert (convolution.out_channels, convolution.stride) == (width, (stride, stride))


def test_metrics_are_logged_at_the_end_of_increments(images, tmp_path):
    table, _ = finished(train, run_of(tmp_path, images))
    assert list(values(table, "test_accuracy").index) == [2, 4, 6]
    assert list(values(table, "dormant_units_next").index) == [2, 4, 6]
    assert list(values(table, "stable_rank_previous").index) == [4, 6]
    assert table["layer"].null_count == len(table)
    assert (values(table, "test_accuracy") >= values(table, "last_test_accuracy")).all()


def test_each_class_has_an_accuracy_metric(images, tmp_path):
    table, _ = finished(train, run_of(tmp_path, images))
    rows = table.to_pandas().query("metric.str.startswith('class_accuracy_') and step == 6")
    assert list(rows["metric"]) == [
        f"class_accuracy_{n}" for n in sorted(Increments(0, images, spec_of().parameters).classes(2))
    ]
    assert rows["value"].mean() == pytest.approx(values(table, "last_test_accuracy")[6])


def test_head_or_network_is_reinitialised_on_request(images, tmp_path, monkeypatch):
    """Compare the network before an increment with the network at the start of its first epoch."""
    before, after = [], []
    log = run_cifar.log_plasticity
    monkeypatch.setattr(
        run_cifar, "log_plasticity", lambda run, net, *more: before.append(copy(net)) or log(run, net, *more)
    )
    monkeypatch.setattr(run_cifar, "step_size", lambda p, epoch: (after.append(copy(nets[0])), step_size(p, epoch))[1])
    nets = []
    made = ResNet.__init__
    monkeypatch.setattr(ResNet, "__init__", lambda net, *a, **more: nets.append(net) or made(net, *a, **more))
    for config, body, head in (
        ("base_deep_learning_system", True, True),
        ("head_resetting", True, False),
        ("retrained_network", False, False),
    ):
        for seen_here in (before, after, nets):
            seen_here.clear()
        finished(train, run_of(tmp_path, images, config))
        old, new = before[1], after[4]  # of the second increment
        assert torch.equal(old["layer1.0.conv1.weight"], new["layer1.0.conv1.weight"]) == body
        assert torch.equal(old["fc.weight"], new["fc.weight"]) == head


def copy(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def test_weights_of_the_best_epoch_are_restored(images, tmp_path, monkeypatch):
    """Among epochs with the same highest validation accuracy, the first one counts."""
    kept, see = [], run_cifar.Best.see
    accuracies = iter([0.1, 0.9, 0.5, 0.9] * 3)

    def recorded(best, test, validation, net):
        see(best, test, next(accuracies), net)
        kept.append(copy(net))

    monkeypatch.setattr(run_cifar.Best, "see", recorded)
    _, state = finished(train, run_of(tmp_path, images))
    assert same(dict(state["net"]), kept[9])
    assert not same(dict(state["net"]), kept[11])


def test_dormant_units_are_counted_over_all_layers():
    net = build_resnet18(10, torch.nn.BatchNorm2d, 2).eval()
    with torch.no_grad():
        net.bn1.weight.zero_()  # the activations of the first layer are ReLUs of these biases
        net.bn1.bias.copy_(torch.tensor([-1.0, 1.0]))
        dormant, last = run_cifar.hidden(net, torch.randn(20, 3, 32, 32))
        _, features = net.predict(torch.randn(20, 3, 32, 32))
    units = sum(h.shape[1] for h in features)
    assert last.shape == (20, 16)
    assert dormant * units >= 1 - 1e-6
    assert dormant * units == pytest.approx(round(dormant * units), abs=1e-4)


def test_dormant_fraction_of_a_diverged_network_is_nan():
    net = build_resnet18(10, torch.nn.BatchNorm2d, 2)
    torch.nn.init.constant_(net.conv1.weight, np.nan)
    dormant, _ = run_cifar.hidden(net, torch.randn(20, 3, 32, 32))
    assert np.isnan(dormant)


@pytest.mark.parametrize("training_mode", [True, False])
def test_networks_are_measured_in_the_given_mode_and_not_changed(images, tmp_path, monkeypatch, training_mode):
    modes, hidden = [], run_cifar.hidden
    monkeypatch.setattr(run_cifar, "hidden", lambda net, x: (modes.append(net.training), hidden(net, x))[1])
    run = run_of(tmp_path, images, measure_training_mode=training_mode)
    net = run_cifar.make_network(run.spec.parameters)
    before = copy(net)
    run_cifar.log_plasticity(run, net, Increments(0, images, run.spec.parameters), 1)
    assert modes == [training_mode] * 2
    assert same(copy(net), before)


def test_first_epoch_is_the_best_even_with_an_accuracy_of_zero():
    net = torch.nn.Linear(2, 2)
    best = run_cifar.Best(net)
    torch.nn.init.zeros_(net.weight)
    best.see(0.5, 0.0, net)
    assert same(best.parameters, copy(net))


def test_each_column_shows_the_classes_of_one_increment(images):
    ax = matplotlib.figure.Figure().subplots()
    increments(ax, images)
    train, _ = load.cifar100(images)
    labels = np.asarray(train["fine"])
    assert len(ax.images) == INCREMENTS * ADDED
    lefts = [drawn.get_extent()[0] for drawn in ax.images]
    for place, drawn in enumerate(ax.images):
        first = np.flatnonzero(labels == class_order(0)[place])[0]
        assert np.array_equal(drawn.get_array(), train["image"][first].transpose(1, 2, 0))
        assert lefts[place] == lefts[place // ADDED * ADDED]
    assert len(set(lefts)) == INCREMENTS
