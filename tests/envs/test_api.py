"""Behaviour that users of the environments rely on."""

import hashlib
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from refusals import names, refusal

from lop.envs import AntEnv, HopperEnv, SlipperyAnt, Walker2dEnv
from lop.envs.mujoco_env import ASSETS, MUJOCO, restore_capsules

CLASSES = {
    "Ant-v3": AntEnv,
    "SlipperyAnt-v3": SlipperyAnt,
    "Hopper-v3": HopperEnv,
    "Walker2d-v3": Walker2dEnv,
}
SIZES = {"Ant-v3": (111, 8), "SlipperyAnt-v3": (111, 8), "Hopper-v3": (11, 3), "Walker2d-v3": (17, 6)}


def test_import_and_make_emit_no_warnings():
    program = "import gymnasium, lop.envs; [gymnasium.make(name) for name in lop.envs.ENVIRONMENTS]"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize("name", CLASSES)
def test_environments_are_registered_and_pass_the_checker_of_gymnasium(name):
    env = gymnasium.make(name)
    assert type(env.unwrapped) is CLASSES[name]
    assert (env.observation_space.shape[0], env.action_space.shape[0]) == SIZES[name]
    assert env.spec.max_episode_steps == 1000
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*infinity|.*not within|.*recommend")
        check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("name", CLASSES)
def test_initial_state_of_a_seed_is_that_of_gym(name):
    env = gymnasium.make(name)
    env.reset(seed=7)
    u, rng = env.unwrapped, np.random.Generator(np.random.PCG64(np.random.SeedSequence(7)))
    ant = "Ant" in name
    noise = 0.1 if ant else 5e-3
    qpos = u.init_qpos + rng.uniform(-noise, noise, u.model.nq)
    qvel = noise * rng.standard_normal(u.model.nv) if ant else rng.uniform(-noise, noise, u.model.nv)
    if ant:
        qpos[3:7] /= np.linalg.norm(qpos[3:7])
    np.testing.assert_allclose(u.state_vector(), [*qpos, *qvel], rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", CLASSES)
def test_observations_are_new_arrays(name):
    env = gymnasium.make(name)
    first, _ = env.reset(seed=0)
    before = first.copy()
    second = env.step(env.action_space.sample())[0]
    assert np.array_equal(first, before)
    assert not np.shares_memory(first, second)
    assert not np.shares_memory(second, env.unwrapped.data.qpos)


@pytest.mark.parametrize("name", CLASSES)
def test_positions_can_be_observed(name):
    env = gymnasium.make(name, exclude_current_positions_from_observation=False)
    observation, _ = env.reset(seed=0)
    assert observation.shape == env.observation_space.shape
    assert np.array_equal(observation[: env.unwrapped.model.nq], env.unwrapped.data.qpos)


def test_diverged_simulation_is_logged_and_writes_no_file(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    env = gymnasium.make("Hopper-v3")
    env.reset(seed=0)
    env.step(np.full(3, np.nan))
    (logged,) = caplog.messages
    names(logged, "Nan", "Inf")  # MuJoCo's own message
    assert not list(tmp_path.iterdir())


def test_control_cost_uses_the_unclipped_action():
    env = gymnasium.make("Ant-v3", ctrl_cost_weight=2.0)
    env.reset(seed=0)
    assert env.step(np.full(8, 3.0))[4]["reward_ctrl"] == -2 * 8 * 9


def test_episode_can_continue_when_unhealthy():
    env = AntEnv(terminate_when_unhealthy=False, healthy_z_range=(2.0, 3.0), healthy_reward=5.0)
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(np.zeros(8))
    assert not terminated
    assert info["reward_survive"] == 0
    assert reward == info["x_velocity"]


def test_contact_forces_are_zeros_clipped_to_their_range():
    env = AntEnv(contact_force_range=(0.5, 1.0), contact_cost_weight=0.1)
    observation, _ = env.reset(seed=0)
    assert set(observation[27:]) == {0.5}
    assert env.step(np.zeros(8))[4]["reward_contact"] == pytest.approx(-0.1 * 84 * 0.25)


@pytest.mark.filterwarnings("ignore:overflow")
def test_infinite_state_is_unhealthy():
    env = AntEnv()
    env.reset(seed=0)
    assert env.is_healthy
    env.data.qvel[3] = 1e200  # its square overflows
    assert env.is_healthy
    env.data.qvel[3] = np.inf
    assert not env.is_healthy


def test_hopper_is_unhealthy_outside_its_state_range():
    env = HopperEnv()
    env.reset(seed=0)
    assert env.is_healthy
    env.data.qvel[:] = 99.0
    assert env.is_healthy
    for value in (100.0, -100.0, np.nan):
        env.data.qvel[5] = value
        assert not env.is_healthy


def test_velocities_are_clipped_in_observations_only():
    env = Walker2dEnv()
    env.reset(seed=0)
    env.set_state(env.init_qpos, np.full(9, 50.0))
    observation = env.step(np.zeros(6))[0]
    assert observation[8:].max() == 10
    assert env.data.qvel.max() > 10


def test_set_friction_is_equivalent_to_a_new_environment():
    actions = np.random.default_rng(0).normal(size=(300, 8))
    new, changed = SlipperyAnt(friction=0.05), SlipperyAnt(friction=2.0)
    changed.reset(seed=1)
    for action in actions[:20]:
        changed.step(action)
    changed.set_friction(0.05)
    assert np.array_equal(new.reset(seed=2)[0], changed.reset(seed=2)[0])
    for action in actions:
        assert np.array_equal(new.step(action)[0], changed.step(action)[0])
    assert np.array_equal(new.model.geom_friction, np.tile([0.05, 0.5, 0.5], (14, 1)))


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("SlipperyAnt-v3", "friction", -0.1),
        ("SlipperyAnt-v3", "friction", float("nan")),
        ("SlipperyAnt-v3", "friction", "slippery"),
        ("Ant-v3", "healthy_z_range", (1.0, 0.2)),
        ("Ant-v3", "healthy_z_range", 0.2),
        ("Ant-v3", "contact_cost_weight", None),
        ("Hopper-v3", "reset_noise_scale", -1),
        ("Walker2d-v3", "healthy_angle_range", (0, 1, 2)),
        ("Walker2d-v3", "render_mode", "ascii"),
    ],
)
def test_invalid_arguments_are_rejected(name, argument, value):
    with refusal(argument, value, error=ValueError):
        CLASSES[name](**{argument: value})


def test_capsule_beside_another_geom_of_its_body_is_rejected():
    """Its part of the mass of the body would be unknown."""
    geoms = '<geom type="capsule" size="0.1 0.2"/><geom type="sphere" size="0.1"/>'
    xml = f'<mujoco><worldbody><body name="leg"><freejoint/>{geoms}</body></worldbody></mujoco>'
    with refusal("model", "capsule", "'leg'", error=ValueError):
        restore_capsules(mujoco.MjModel.from_xml_string(xml))


@pytest.mark.parametrize("name", CLASSES)
def test_wrong_shapes_are_rejected(name):
    env = CLASSES[name]()
    with refusal("action", (2,), env.action_space.shape, error=ValueError):
        env.step(np.zeros(2))
    with refusal("qvel", (2,), env.init_qvel.shape, error=ValueError):
        env.set_state(env.init_qpos, np.zeros(2))


def test_other_versions_of_mujoco_are_rejected(monkeypatch):
    monkeypatch.setattr(mujoco, "__version__", "3.5.0")
    with refusal("mujoco", "3.5.0", MUJOCO, error=RuntimeError):
        AntEnv()


@pytest.mark.parametrize("name", CLASSES)
def test_models_are_loaded_from_the_package(name, monkeypatch):
    loaded = []

    def from_xml_path(path):
        loaded.append(Path(path))
        return load(path)

    load = mujoco.MjModel.from_xml_path
    monkeypatch.setattr(mujoco, "MjModel", SimpleNamespace(from_xml_path=from_xml_path))
    CLASSES[name]()
    assert [path.parent for path in loaded] == [ASSETS]


def test_models_are_those_of_gymnasium():
    """The golden data were recorded with these files."""
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in ASSETS.glob("*.xml")} == {
        "ant.xml": "cd5f83ef0ea35b0969e65d360c5bacd5b74ccaef6b27e4433b5168c605e3e2be",
        "hopper.xml": "3ce93a055ffdcd83c0c701d2400768e40d2cbb9532f3c4ae33377c27f8b39f9e",
        "walker2d.xml": "ac13373c7ac9003a5311c4704b314ed11149b3dd7600bbc02770487300f9ad2d",
    }


def test_render_returns_an_image_and_close_frees_the_renderer(monkeypatch):
    class Renderer:
        def __init__(self, model, height, width):
            assert model.vis.global_.offwidth >= width
            self.size, self.closed = (height, width, 3), False

        def update_scene(self, data, camera):
            assert camera == "track"

        def render(self):
            return np.zeros(self.size, np.uint8)

        def close(self):
            self.closed = True

    monkeypatch.setattr(mujoco, "Renderer", Renderer)
    env = HopperEnv(render_mode="rgb_array", width=800, height=100)
    assert env.render().shape == (100, 800, 3)
    renderer = env._renderer
    env.close()
    assert renderer.closed
    assert HopperEnv().render() is None
