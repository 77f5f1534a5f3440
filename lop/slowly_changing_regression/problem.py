"""Slowly-changing regression (Extended Data figure 2): target network and examples.

The input has m bits. The first f bits change slowly: every `flip_after` examples, either one of them, chosen at random,
flips, or all of them are resampled. The other m - f bits are random in each example. The target is the output of a
fixed network of threshold units with more units than the learner, so that the best approximation depends on the slow
bits.

The target and the examples are not stored, but derived from the seed. Runs with the same seed see the same target and
examples, whatever the method.
"""

import numpy as np

from lop.algos.examples import Examples, examples
from lop.engines import generator

MOST_PATTERNS = 10  # fast bits up to which all patterns are enumerated; with more, each example is stored separately


class TargetNetwork:
    """NumPy version of `lop.nets.fix_ltu_net.FixLTUNet`, with the same weights for the same seed.

    Args:
        seed: seed of the weights.
        num_inputs: number of inputs.
        num_features: number of threshold units.
        beta: fraction of agreeing inputs at which a unit is active.
    """

    def __init__(self, seed: int, num_inputs: int, num_features: int, beta: float):
        rng = generator.seeded(seed)
        generator.built_linear(rng, num_inputs, num_features)
        generator.built_linear(rng, num_features, 1)
        self.weights, self.bias = signs(rng, num_features, num_inputs), signs(rng, num_features)
        self.out, self.out_bias = signs(rng, num_features), signs(rng, 1)
        # As published, a bias of -1 raises the threshold instead of lowering it (docs/differences.md).
        negatives = (num_inputs - self.weights.sum(1) + self.bias) / 2
        self.thresholds = (np.float32(beta * (num_inputs + 1)) - negatives).astype(np.float32)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the targets (n,) of inputs (n, num_inputs)."""
        active = x @ self.weights.T + self.bias > self.thresholds
        return (active @ self.out + self.out_bias).astype(np.float32)


def signs(rng: np.ndarray, *shape: int) -> np.ndarray:
    """Draw +1 and -1 with equal probability, float32, from a state of `lop.engines.generator`."""
    drawn = np.empty(np.prod(shape), np.float32)
    generator.signs(rng, drawn)
    return drawn.reshape(shape)


class Stream:
    """Examples of one seed, in stretches between two changes of the slow bits.

    Args:
        seed: seed of the examples and of the target network.
        num_inputs: number of input bits.
        flip_after: number of examples between two changes.
        num_flipping_bits: number of slow bits.
        flip_one: flip one slow bit at each change, instead of resampling all.
        num_target_features: number of threshold units of the target network.
        beta: see `TargetNetwork`.
    """

    def __init__(
        self,
        seed: np.random.SeedSequence,
        num_inputs: int,
        flip_after: int,
        num_flipping_bits: int,
        flip_one: bool,
        num_target_features: int,
        beta: float,
    ):
        target_seed, stream_seed = (int(word) for word in seed.generate_state(2))
        self.target = TargetNetwork(target_seed, num_inputs, num_target_features, beta)
        self.rng = np.random.Generator(np.random.PCG64(stream_seed))
        self.flip_after, self.flip_one = flip_after, flip_one
        self.n_fast = num_inputs - num_flipping_bits
        self.slow = np.zeros(num_flipping_bits, np.int8)
        self.stretches = 0
        if self.n_fast <= MOST_PATTERNS:
            self.patterns = np.arange(2**self.n_fast)[:, None] >> np.arange(self.n_fast) & 1

    def stretch(self) -> tuple[Examples, np.ndarray]:
        """Change the slow bits and return the next `flip_after` examples.

        Returns:
            Distinct examples, and indices (flip_after,) into them in the order of presentation.
        """
        if self.flip_one and self.stretches:
            if len(self.slow):
                self.slow[self.rng.integers(len(self.slow))] ^= 1
        else:
            self.slow = self.rng.integers(0, 2, len(self.slow), dtype=np.int8)
        self.stretches += 1
        if self.n_fast <= MOST_PATTERNS:
            fast, order = self.patterns, self.rng.integers(0, len(self.patterns), self.flip_after)
        else:
            fast = self.rng.integers(0, 2, (self.flip_after, self.n_fast), dtype=np.int8)
            order = np.arange(self.flip_after)
        x = np.concatenate([np.tile(self.slow, (len(fast), 1)), fast], 1).astype(np.float32)
        return examples(x, self.target(x)), order

    def state_dict(self) -> dict:
        """Return the state of the stream for a checkpoint; the target network is derived from the seed."""
        return {"rng": self.rng.bit_generator.state, "slow": self.slow.tolist(), "stretches": self.stretches}

    def load_state_dict(self, state: dict) -> None:
        """Restore the state of a checkpoint."""
        self.rng.bit_generator.state = state["rng"]
        self.slow, self.stretches = np.array(state["slow"], np.int8), state["stretches"]
