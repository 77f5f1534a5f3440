"""A simulated device other than the CPU, for machines without a GPU.

Torch sees tensors on the device `pretended:0`, which wrap CPU tensors. The device is as strict as a GPU: operations
reject a mix of its tensors and CPU tensors, except for scalars (0 dimensions), copies and indices on the CPU; NumPy
cannot access its tensors; random numbers come from its own generator and not from that of the CPU. It does not
reproduce the numerical results or the speed of the kernels of a real device.
"""

import torch
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend


class Module(_DummyBackendModule):
    """Device module, the counterpart of `torch.cuda`."""

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
    """Tensor on the simulated device; `numbers` is the CPU tensor that it wraps."""

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
        return self.detach().cpu().__reduce_ex__(protocol)  # tensors of a checkpoint are loaded to the CPU

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return executed(operation, args, kwargs or {})


def executed(operation, args, kwargs):
    """Run an operation on the CPU, and return its results on the device where a real device would."""
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
    """Raise an error if tensors or generators are on the wrong device, as a GPU does."""
    looked_at = (args[0], args[2:], kwargs) if operation in INDEXED else (args, kwargs)
    for leaf in tree_leaves(looked_at):
        if isinstance(leaf, torch.Tensor) and not isinstance(leaf, Pretended) and leaf.ndim:
            raise RuntimeError(f"Expected all tensors to be on the same device: {operation}")
        if isinstance(leaf, torch.Generator):
            raise RuntimeError(f"Expected a generator of the device: {operation}")


_fallback = torch.library.Library("_", "IMPL")
_fallback.fallback(lambda operation, *args, **kwargs: executed(operation, args, kwargs), "PrivateUse1")
