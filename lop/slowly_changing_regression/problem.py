"""Slowly-changing regression (Extended Data figure 2): what is learned, and in which order.

The input has m bits. The first f of them change slowly: every `flip_after` examples one of them, chosen at random,
flips, or all are drawn anew. The other m - f are drawn anew for every example. The target is the output of a fixed
network of threshold units, wider than the learner: as its input moves, so does the best that the learner can do.

Everything follows from the seed, and nothing of it is stored. Runs of the same seed see the same target and the same
examples, whatever learns from them.
"""

import numpy as np

from lop.engines import generator
from lop.engines.online.learner import Examples, examples

MOST_PATTERNS = 10  # fast bits of which all patterns are written down; with more, every example is


class TargetNetwork:
    """`lop.nets.fix_ltu_net.FixLTUNet` with the same seed, in NumPy."""

    def __init__(self, seed: int, num_inputs: int, num_features: int, beta: float):
        rng = generator.seeded(seed)
        generator.built_linear(rng, num_inputs, num_features)
        generator.built_linear(rng, num_features, 1)
        self.weights, self.bias = signs(rng, num_features, num_inputs), signs(rng, num_features)
        self.out, self.out_bias = signs(rng, num_features), signs(rng, 1)
        # As published: a bias of -1 makes the threshold lower, not higher (docs/differences.md).
        negatives = (num_inputs - self.weights.sum(1) + self.bias) / 2
        self.thresholds = (np.float32(beta * (num_inputs + 1)) - negatives).astype(np.float32)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Targets (n,) of inputs (n, num_inputs)."""
        active = x @ self.weights.T + self.bias > self.thresholds
        return (active @ self.out + self.out_bias).astype(np.float32)


def signs(rng: np.ndarray, *shape: int) -> np.ndarray:
    drawn = np.empty(np.prod(shape), np.float32)
    generator.signs(rng, drawn)
    return drawn.reshape(shape)


class Stream:
    """The examples of one seed, a stretch between two changes of the slow bits at a time.

    Args:
        seed: of this stream; the target's comes from it too.
        flip_after: examples between two changes.
        num_flipping_bits: slow bits. flip_one: flip one of them rather than draw all.
        num_target_features, beta: see `lop.nets.fix_ltu_net.FixLTUNet`.
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
        """Change the slow bits, and give the next `flip_after` examples: what they are, and their order (n,)."""
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
        return {"rng": self.rng.bit_generator.state, "slow": self.slow.tolist(), "stretches": self.stretches}

    def load_state_dict(self, state: dict) -> None:
        self.rng.bit_generator.state = state["rng"]
        self.slow, self.stretches = np.array(state["slow"], np.int8), state["stretches"]
