"""A device that is not the CPU, without one: torch sees tensors on `pretended:0`, and their numbers are CPU tensors.

It is as strict as a GPU: an operation refuses tensors of both kinds, but for numbers (0 dimensions), copies, and
indices from the CPU; NumPy does not get at its numbers; it has a random generator of its own, and the CPU's does not
draw for it. What it cannot tell is what the kernels of a real device calculate, and how fast.
"""

import torch
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend


class Module(_DummyBackendModule):
    """What `torch.cuda` is for CUDA."""

    generator = torch.Generator()

    def get_rng_state(self, device):
        return self.generator.get_state()

    def set_rng_state(self, state, device):
        self.generator.set_state(state)

    def _is_in_bad_fork(self):
        return False

    def manual_seed_all(self, seed):
        self.generator.manual_seed(seed)


MODULE = Module()
_setup_privateuseone_for_python_backend("pretended", MODULE)
DEVICE = torch.device("pretended:0")
COPIES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
INDEXED = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten._index_put_impl_.default}


class Pretended(torch.Tensor):
    """A tensor on the device; `numbers` is where they are."""

    @staticmethod
    def __new__(cls, numbers):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=DEVICE,
        )

    def __init__(self, numbers):
        self.numbers = numbers

    def __repr__(self):
        return f"Pretended({self.numbers})"

    def __deepcopy__(self, memo):
        copy = Pretended(self.numbers.clone())
        return torch.nn.Parameter(copy, self.requires_grad) if isinstance(self, torch.nn.Parameter) else copy

    def __reduce_ex__(self, protocol):
        return self.detach().cpu().__reduce_ex__(protocol)  # a checkpoint's tensors are loaded to the CPU

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return executed(operation, args, kwargs or {})


def executed(operation, args, kwargs):
    """What the operation gives on the CPU, put where a device would have it."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = any(isinstance(tensor, Pretended) for tensor in tensors)
    if there and operation not in COPIES:
        refuse_mixed(operation, args, kwargs)
    if "device" in kwargs and kwargs["device"] is not None:
        there = torch.device(kwargs["device"]).type == DEVICE.type
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if there and torch.Tag.nondeterministic_seeded in operation.tags:
        kwargs = {**kwargs, "generator": MODULE.generator}
    owners = {id(tensor.numbers if isinstance(tensor, Pretended) else tensor): tensor for tensor in tensors}
    args, kwargs = tree_map_only(Pretended, lambda tensor: tensor.numbers, (args, kwargs))
    found = operation(*args, **kwargs)
    put = Pretended if there else lambda tensor: tensor
    return tree_map_only(torch.Tensor, lambda x: owners[id(x)] if id(x) in owners else put(x), found)


def refuse_mixed(operation, args, kwargs):
    """As a GPU does."""
    looked_at = (args[0], args[2:], kwargs) if operation in INDEXED else (args, kwargs)
    for leaf in tree_leaves(looked_at):
        if isinstance(leaf, torch.Tensor) and not isinstance(leaf, Pretended) and leaf.ndim:
            raise RuntimeError(f"Expected all tensors to be on the same device: {operation}")
        if isinstance(leaf, torch.Generator):
            raise RuntimeError(f"Expected a generator of the device: {operation}")


_fallback = torch.library.Library("_", "IMPL")
_fallback.fallback(lambda operation, *args, **kwargs: executed(operation, args, kwargs), "PrivateUse1")
