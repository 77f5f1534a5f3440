"""Private parts of other libraries that `lop._compat` and `lop.common._compat` use behave as documented there."""

import copy
from types import SimpleNamespace

import gymnasium
import numba
import numpy as np
import pytest
import torch
from gymnasium.wrappers import TimeLimit
from snakemake.scheduling.job_scheduler import JobRateLimiter
from snakemake.script import PythonScript
from snakemake.settings.types import MaxJobsPerTimespan, StorageSettings
from snakemake.utils import format
from torch import nn
from torch.nn.utils import parametrizations, prune

from lop import _compat
from lop.common import _compat as plumbing

ADAM = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1}


def parameters():
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((3, 4), (3,))]


def test_without_dynamo_returns_the_wrapped_method():
    wrapped = torch.optim.Optimizer.zero_grad
    plain = _compat.without_dynamo(wrapped)
    assert plain is not wrapped
    assert not hasattr(plain, "__wrapped__")
    (p, _) = parameters()
    p.grad = torch.ones_like(p)
    plain(torch.optim.SGD([p], lr=0.1))
    assert p.grad is None


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_step_without_dynamo_is_bit_identical_to_torch(optimizer):
    class Plain(optimizer):
        step = _compat.step_without_dynamo(optimizer)

    found, hooked = [], []
    for kind in (Plain, optimizer):
        params = parameters()
        opt = kind(params, lr=0.1, weight_decay=0.1)
        opt.register_step_post_hook(lambda *_: hooked.append(True))
        for _ in range(3):
            opt.step(lambda params=params, opt=opt: descend(params, opt))
        found.append(params)
    assert all(torch.equal(p, q) for p, q in zip(*found, strict=True))
    assert len(hooked) == 6


def descend(params, optimizer):
    optimizer.zero_grad()
    loss = sum(p.square().sum() for p in params)
    loss.backward()
    return loss


def test_registered_parameter_is_none_for_computed_weights():
    layer = nn.Linear(2, 3)
    assert _compat.registered_parameter(layer, "weight") is layer.weight
    assert _compat.registered_parameter(layer, "scale") is None
    assert _compat.registered_parameter(nn.Linear(2, 3, bias=False), "bias") is None
    for compute in (parametrizations.weight_norm, lambda net: prune.l1_unstructured(net, "weight", 1)):
        computed = compute(nn.Linear(2, 3))
        assert computed.weight.shape == (3, 2)
        assert _compat.registered_parameter(computed, "weight") is None


class Counter(_compat.Converted, nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(2))
        self.seen = []

    def after_conversion(self, buffers):
        self.seen.append((buffers["count"].dtype, self.count.dtype, self.count.device.type))


def test_hook_after_a_conversion_receives_the_previous_buffers():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(Counter()))
    counter = net[1][0]
    net.to(torch.float64)
    assert net.half() is net
    net.to("meta")
    assert counter.seen == [
        (torch.float32, torch.float64, "cpu"),
        (torch.float64, torch.float16, "cpu"),
        (torch.float16, torch.float16, "meta"),
    ]


def test_uncompiled_returns_the_network_inside_a_compiled_one():
    net = nn.Linear(2, 3)
    assert _compat.uncompiled(torch.compile(net, backend="eager")) is net
    assert _compat.uncompiled(net) is net


def test_without_reference_counts_removes_them_from_compiled_code():
    def last(x, y, swaps):
        for _ in range(swaps):
            x, y = y, x
        return x[0]

    for options, counts in (({}, True), (_compat.without_reference_counts(), False)):
        function = numba.njit(**options)(last)
        assert function(np.zeros(2), np.ones(2), 3) == 1
        assert any("incref" in code for code in function.inspect_llvm().values()) == counts


def test_elapsed_steps_of_a_time_limit_can_be_read_and_set():
    env = TimeLimit(gymnasium.make("CartPole-v1").unwrapped, max_episode_steps=5)
    assert _compat.elapsed_steps(env) is None
    env.reset(seed=0)
    env.step(0)
    assert _compat.elapsed_steps(env) == 1
    another = copy.deepcopy(env)
    _compat.set_elapsed_steps(another, 4)
    assert another.step(1)[3]
    assert not env.step(1)[3]


def test_default_job_rate_limit_is_lifted_and_others_are_kept():
    """This test uses Snakemake's own rate limiter."""
    for text, stays in (("100/1s", False), ("20/10s", True)):
        asked = MaxJobsPerTimespan.parse_choice(text)
        workflow = SimpleNamespace(scheduler=SimpleNamespace(job_rate_limiter=JobRateLimiter(asked)))
        plumbing.lift_default_job_rate_limit(workflow)
        assert bool(workflow.scheduler.job_rate_limiter) == stays


def test_default_storage_is_recognised():
    """This test uses Snakemake's settings; tests/workflow/test_storage.py tests a whole build."""
    for provider in (None, "fs"):
        workflow = SimpleNamespace(storage_settings=StorageSettings(default_storage_provider=provider))
        assert plumbing.keeps_files_in_storage(workflow) == (provider is not None)


def test_snakemake_quotes_the_interpreter_of_scripts(monkeypatch):
    executed = []
    monkeypatch.setattr(
        PythonScript, "_execute_cmd", lambda self, cmd, **values: executed.append(format(cmd, **values))
    )
    monkeypatch.setattr("sys.executable", "/a folder/python")
    script = object.__new__(PythonScript)
    script.container_img = script.conda_env = script.env_modules = None
    script.execute_script("a.py")
    plumbing.quote_interpreter_of_scripts()
    script.execute_script("a.py")
    assert executed == ["/a folder/python a.py", "'/a folder/python' a.py"]
