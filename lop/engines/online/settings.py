"""Conversion of a problem's parameters to the arguments of `lop.engines.online.learner.OnlineLearner`."""

from typing import Any


def learner_settings(p: Any) -> dict[str, Any]:
    """Return the learner's keyword arguments for the given `lop.runs.online_parameters.OnlineParameters`."""
    return {
        "step_size": p.step_size,
        "activation": p.hidden_activation,
        "opt": "adam_gnt" if p.agent == "cbp" and p.opt == "adam" else p.opt,
        "betas": (p.beta_1, p.beta_2),
        "weight_decay": p.weight_decay,
        "perturb_scale": p.perturb_scale,
        "replacement_rate": p.replacement_rate if p.agent == "cbp" else 0.0,
        "decay_rate": p.decay_rate,
        "maturity_threshold": p.mt,
        "util_type": p.util_type,
        "accumulate": p.accumulate,
        "init": p.init,
    }
