"""Generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438), in NumPy."""

import numpy as np


def advantage_estimates(
    rewards: np.ndarray, dones: np.ndarray, values: np.ndarray, gamma: float, gae_lambda: float
) -> np.ndarray:
    """Compute generalised advantage estimates in float64.

    Args:
        rewards: rewards (n,).
        dones: episode ends (n,), 1 if the episode ended with the transition, else 0.
        values: values (n + 1,) of the observations, including the one after the last transition.
        gamma: discount factor.
        gae_lambda: decay rate lambda of the estimates.

    Returns:
        Advantages (n,) float32.
    """
    rewards, dones, values = (x.astype(np.float64) for x in (rewards, dones, values))
    continues = 1 - dones
    deltas = (rewards + gamma * continues * values[1:] - values[:-1]).tolist()
    decays = (gamma * gae_lambda * continues).tolist()
    advantage, advantages = 0.0, [0.0] * len(deltas)
    for t in reversed(range(len(deltas))):
        advantages[t] = advantage = deltas[t] + decays[t] * advantage
    return np.array(advantages, np.float32)


def normalised(advantages: np.ndarray) -> np.ndarray:
    """Return advantages (n,) with mean 0 and standard deviation 1.

    If all advantages are equal, the result is 0.
    """
    advantages = advantages - advantages.mean(dtype=np.float64).astype(np.float32)
    std = advantages.std(ddof=1, dtype=np.float64).astype(np.float32) if len(advantages) > 1 else np.float32(0)
    return advantages / std if std > 0 else advantages


def explained_variance(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Return 1 - Var(targets - predictions) / Var(targets).

    Args:
        predictions: predictions (n,).
        targets: targets (n,).

    Returns:
        The explained variance; NaN if all targets are equal.
    """
    variance = np.var(targets, dtype=np.float64)
    return float(1 - np.var(targets - predictions, dtype=np.float64) / variance) if variance > 0 else float("nan")
