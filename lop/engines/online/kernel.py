"""Per-example learning of a fully connected network, compiled for its shape and its spec."""

from functools import cache
from hashlib import sha256
from typing import Any

from lop.engines.activations import COMPILED
from lop.engines.compilation import Entry
from lop.engines.online.late import catch_up_all
from lop.engines.online.layout import KernelSpec, rule_of, shape_of
from lop.engines.online.passes import backward, forward, log_inactive, output_error
from lop.engines.online.replacement import generate_and_test, perturb, sum_weights

SUM_EVERY = 1024  # examples after which sums of weights are recomputed


@cache
def kernel(spec: KernelSpec) -> Any:
    """Return the compiled function for a spec.

    Its arguments are those of `lop.engines.online.learner.OnlineLearner.learn` and the arrays of
    `lop.engines.online.layout`.

    Args:
        spec: Network and method to compile for.
    """
    shape, rule = shape_of(spec), rule_of(spec)
    # Branches on variables outside `learn` are pruned by Numba, those on fields of `rule` only by LLVM. The former
    # shortens the compilation.
    keeps_sums = rule.uses_outgoing or rule.uses_incoming
    logs, replaces, delays = rule.logs, rule.replaces, rule.late
    perturbs_now = rule.perturbs and not rule.late

    def learn(order, inputs, settings, state, bounds, late, losses, predicted):
        for t in range(len(order)):
            example = order[t]
            first, last = inputs.start[example], inputs.start[example + 1]
            if keeps_sums and state.clock[0] % SUM_EVERY == 0:
                sum_weights(shape, state)
            forward(shape, rule, settings, state, late, t, inputs, first, last)
            losses[t], predicted[t] = output_error(shape, state, inputs.targets[example])
            backward(shape, rule, settings, state, late, t, inputs, first, last)
            if logs:
                log_inactive(shape, state)
            if perturbs_now:
                perturb(shape, settings, state, late.normal)
                if keeps_sums:
                    sum_weights(shape, state)
            if replaces:
                generate_and_test(shape, rule, settings, state, bounds)
        if delays:
            catch_up_all(shape, state, late, len(order))

    # Distinct names prevent concurrent processes from mixing up the cached code of different specs.
    learn.__qualname__ = f"learn_{sha256(repr(spec).encode()).hexdigest()[:16]}"
    return Entry(learn, **COMPILED)
