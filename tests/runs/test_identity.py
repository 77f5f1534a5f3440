"""The identity of a run depends only on scientific code, parameters, images and type of device."""

import shutil
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from lop.common import sources
from lop.common.errors import InputError
from lop.common.paths import ROOT
from lop.data.sets import ImageSource
from lop.problems import PROBLEMS
from lop.runs.configured import conditions
from lop.runs.identity import differences
from lop.runs.plugin_parameters import PluginParameters
from lop.runs.spec import Conditions, resolve

ALL = set(PROBLEMS)
CONFIGS = {
    "rl": "ant/std",
    "slowly_changing_regression": "sgd/bp/linear_1",
    "permuted_mnist": "linear",
    "imagenet": "cbp",
    "incremental_cifar": "head_resetting",
}
ENTRIES = {
    name: (problem.entry, *resolve(problem, CONFIGS[name], 0, "paper").parameters.modules("cpu"))
    for name, problem in PROBLEMS.items()
}
PLUMBING = [
    *(
        path.relative_to(ROOT)
        for folder in ("lop/common", "lop/runs", "lop/figures", "lop/plan", "lop/report", "lop/claims", "workflow")
        for path in ROOT.glob(f"{folder}/**/*")
        if path.suffix in (".py", ".smk", ".rst")
    ),
    Path("lop/problems.py"),
    Path("lop/data/sets.py"),
    Path("lop/rl/pictures.py"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    for part in ("lop", "workflow"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("*.pyc", "__pycache__"))
    return folder


@pytest.fixture
def changed(copy, monkeypatch):
    """Return a function that names the problems whose identities change when text is appended to files."""
    monkeypatch.setattr(sources, "ROOT", copy)

    def problems(paths, text):
        before = {name: sources.science(*entries) for name, entries in ENTRIES.items()}
        originals = {path: (copy / path).read_text() for path in paths}
        for path, original in originals.items():
            (copy / path).write_text(original + text)
        after = {name: sources.science(*entries) for name, entries in ENTRIES.items()}
        for path, original in originals.items():
            (copy / path).write_text(original)
        return {name for name in PROBLEMS if before[name] != after[name]}

    return problems


def test_plumbing_does_not_change_identities(changed):
    assert len(PLUMBING) > 40
    assert changed(PLUMBING, "\nEXTRA = 1\n") == set()


def test_comments_do_not_change_identities(changed, copy):
    everywhere = [path.relative_to(copy) for path in copy.rglob("*.py")]
    assert len(everywhere) > 150
    assert changed(everywhere, "\n# a comment\n") == set()


@pytest.mark.parametrize(
    ("path", "problems"),
    [
        ("lop/algos/rl/buffer.py", {"rl"}),
        ("lop/engines/ppo/kernels.py", {"rl"}),
        ("lop/envs/ant.py", {"rl"}),
        ("lop/rl/run_ppo.py", {"rl"}),
        ("lop/rl/parameters.py", {"rl"}),
        ("lop/algos/gnt.py", {"imagenet", "incremental_cifar"}),
        ("lop/engines/online/kernel.py", {"slowly_changing_regression", "permuted_mnist"}),
        ("lop/engines/online/settings.py", {"slowly_changing_regression", "permuted_mnist"}),
        ("lop/data/load.py", {"permuted_mnist", "imagenet", "incremental_cifar"}),
        ("lop/imagenet/problem.py", {"imagenet"}),
        ("lop/__init__.py", ALL),
    ],
)
def test_scientific_code_changes_the_identity_of_runs_that_import_it(changed, path, problems):
    assert changed([Path(path)], "\nEXTRA = 1\n") == problems


def test_models_of_the_simulator_change_the_identity_of_runs(changed):
    assert changed([Path("lop/envs/assets/ant.xml")], "\n") == {"rl"}


def spec(
    problem="permuted_mnist", config="bp/std_net", setting="step_size=0.003", conditions=Conditions(), **overrides
):
    return resolve(PROBLEMS[problem], config, 0, "smoke", setting, overrides=overrides, conditions=conditions)


def test_images_change_the_identity_of_runs_that_learn_from_them():
    paths = {
        spec(conditions=Conditions(images)).path
        for images in (ImageSource(), ImageSource(seed=1), ImageSource("original"))
    }
    assert len(paths) == 3
    other = Conditions(ImageSource("original"))
    assert spec("rl", "ant/std", "default", other).path == spec("rl", "ant/std", "default").path


def test_scale_selects_original_images_unless_a_source_is_given():
    chosen = conditions("day", "cpu", None, 0).images
    assert [chosen.source_of(name) for name in ("mnist", "imagenet")] == ["original", "glyphs"]
    assert conditions("day", "cpu", "glyphs", 0).images.source_of("mnist") == "glyphs"
    assert conditions("laptop", "cpu", None, 3).images == ImageSource(seed=3)


def test_drawing_code_determines_the_folder_of_built_in_images(monkeypatch):
    before = ImageSource().folder("mnist")
    monkeypatch.setattr("lop.data.sets._drawing_code", lambda: "other")
    assert ImageSource().folder("mnist") != before
    assert ImageSource("original").folder("mnist") == ImageSource("original", 1).folder("mnist")
    assert ImageSource("original").folder("imagenet") != ImageSource("original", 1).folder("imagenet")


def test_length_is_only_part_of_the_file_name():
    short, long = spec(num_examples=4_000), spec(num_examples=8_000)
    assert (short.folder, short.origin) == (long.folder, long.origin)
    assert (short.path.name, long.path.name) == ("metrics-4000.parquet", "metrics-8000.parquet")


def test_configs_share_equal_runs():
    """Three configs describe the same run of Extended Data Figure 3b."""
    names = [
        ("bp/std_net", "step_size=0.003"),
        ("bp/width", "num_features=100"),
        ("bp/rate", "change_after=10000"),
    ]
    folders = {resolve(PROBLEMS["permuted_mnist"], config, 2, "laptop", setting).folder for config, setting in names}
    assert len(folders) == 1


def test_differences_name_parameters_and_modules():
    one, other = spec(), spec(num_hidden_layers=2, conditions=Conditions(ImageSource(seed=1), "cuda"))
    code = {**other.identity["code"], "lop.plasticity": "changed"}
    found = differences(one.identity, {**other.identity, "code": code})
    assert found.facts == {"num_hidden_layers": (3, 2), "data.seed": (0, 1), "device": ("cpu", "cuda")}
    assert found.modules == ["lop.plasticity"]
    assert not differences(one.identity, one.identity)


def test_settings_with_the_same_name_are_rejected(tmp_path):
    cfg = tmp_path / "std.yml"
    text = (PROBLEMS["rl"].folder / "cfg/ant/std.yml").read_text()
    cfg.write_text(text + "\ncallback: lop.algos.callback:Callback\ncallback_settings: {mode: [a b, ab]}\n")
    with pytest.raises(InputError, match="2 settings with 1 names"):
        resolve(PROBLEMS["rl"], "ant/std", 0, "smoke", "mode=ab", cfg)


@pytest.mark.parametrize("value", [1, 1.0, "1e0"])
def test_equal_values_are_stored_alike(value):
    adapter = TypeAdapter(PluginParameters.model_fields["callback_settings"].annotation)
    assert repr(adapter.validate_python({"strength": value})) == "{'strength': 1}"
