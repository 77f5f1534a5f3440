"""Fused ReLU and pooling is bit-identical to torch's separate operations."""

import pytest
import torch
from torch.nn import functional as F

from lop.nets import pooling
from lop.nets.conv_net import ConvNet
from lop.nets.pooling import _fits, relu_pool


@pytest.fixture(autouse=True, params=[0, pooling.WORTH_IT])
def _from(request, monkeypatch):
    """Fuse inputs of every size, or only those that exceed the default size."""
    monkeypatch.setattr(pooling, "WORTH_IT", request.param)


def test_small_inputs_are_not_fused():
    for size, one_pass in ((8, True), (1, pooling.WORTH_IT == 0)):
        out = relu_pool(maps(size, 32, 28, 28).requires_grad_())
        assert (out.grad_fn.name() == "_ReluPoolBackward") == one_pass


def both(x, gradient):
    """Return (output, gradient) of the separate operations and of the fused one."""
    answers = []
    for function in (lambda x: F.max_pool2d(F.relu(x), 2), relu_pool):
        leaf = x.detach().clone().requires_grad_()
        out = function(leaf)
        out.backward(gradient)
        answers.append((out.detach(), leaf.grad))
    return answers


def maps(*shape, dtype=torch.float32, memory_format=torch.channels_last):
    torch.manual_seed(0)
    return torch.randn(*shape).to(dtype).contiguous(memory_format=memory_format)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("shape", [(3, 5, 6, 4), (2, 32, 28, 28), (4, 3, 5, 5), (1, 1, 2, 2), (0, 3, 4, 4)])
def test_outputs_and_gradients_equal_those_of_torch(shape, memory_format, dtype):
    x = maps(*shape, dtype=dtype, memory_format=memory_format)
    n, channels, height, width = shape
    gradient = torch.randn(n, channels, height // 2, width // 2).to(dtype)
    (out, grad), (found, found_grad) = both(x, gradient)
    assert torch.equal(out, found)
    assert torch.equal(grad, found_grad)


def test_ties_signed_zeros_and_infinities_are_treated_as_in_torch():
    x = maps(64, 8, 4, 4).sign() * maps(64, 8, 4, 4).abs().round()  # many ties, and zeros of both signs
    x[0, :4], x[1, :4] = float("inf"), -float("inf")
    (out, grad), (found, found_grad) = both(x, torch.ones(64, 8, 2, 2))
    assert torch.equal(out, found)
    # A window without positive values has no gradient; among equal values, torch's pooling takes the first.
    assert torch.equal(grad, found_grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sign", [1, -1])
def test_nan_is_propagated(dtype, sign):
    x = maps(4, 3, 4, 4, dtype=dtype)
    x[2, 1, 3, 0] = torch.tensor(float("nan"), dtype=dtype).copysign(torch.tensor(float(sign), dtype=dtype))
    assert _fits(x)
    found = relu_pool(x)
    assert found.isnan().nonzero().tolist() == [[2, 1, 1, 0]]


def test_gradients_of_a_network_do_not_depend_on_the_memory_format():
    torch.manual_seed(0)
    net, x, y = ConvNet(), torch.randn(20, 3, 32, 32), torch.randint(0, 2, (20,))
    F.cross_entropy(net(x), y).backward()
    expected = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    net.to(memory_format=torch.channels_last)
    F.cross_entropy(net(x.contiguous(memory_format=torch.channels_last)), y).backward()
    for p, gradient in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient, rtol=1e-4, atol=1e-6)
