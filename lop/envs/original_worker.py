"""Original environments, gym 0.23.1 on mujoco-py, behind a pipe; runs in the old interpreter and does not import lop.

    python original_worker.py Ant-v3

The process reads requests from standard input and writes answers to standard output. Both consist of a letter, the
length of the payload as uint32, and the payload: numbers as float64, everything else as JSON. The process ignores
SIGINT and SIGTERM, which often reach a whole process group, because the run still requests the state that it saves. It
exits when its input ends.
"""

import json
import os
import signal
import struct
import sys

HEADER = struct.Struct("<cI")


def main(name):
    """Answer requests for the environment `name` until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # redirects output of libraries away from the answers
    world = World(name)
    send(answers, b"o", json.dumps(world.about()).encode())
    while True:
        header = requests.read(HEADER.size)
        if len(header) < HEADER.size:
            return
        letter, size = HEADER.unpack(header)
        payload = requests.read(size)
        try:
            send(answers, b"o", world.answer(letter, payload))
        except Exception as error:
            send(answers, b"e", f"{type(error).__name__}: {error}".encode())


def send(answers, letter, payload):
    """Write one answer."""
    answers.write(HEADER.pack(letter, len(payload)) + payload)
    answers.flush()


class World:
    """One environment, without its time limit."""

    def __init__(self, name):
        import gym
        import numpy

        self.numpy = numpy
        self.env = gym.make(name.replace("Slippery", "")).unwrapped
        self.env.reset()
        self.names = sorted(self.env.step(self.env.action_space.sample())[3])

    def about(self):
        """Return the spaces of the environment, the names of the terms of the reward, and the seconds per step."""
        space = self.env.action_space
        return {
            "observation": self.env.observation_space.shape[0],
            "low": space.low.tolist(),
            "high": space.high.tolist(),
            "info": self.names,
            "dt": self.env.dt,
        }

    def answer(self, letter, payload):
        """Return the answer to a request."""
        return {b"s": self.step, b"r": self.reset, b"f": self.friction, b"g": self.state, b"p": self.load}[letter](
            payload
        )

    def step(self, payload):
        """Simulate an action (float32); return observation, reward, whether the episode ended, terms of the reward."""
        action = self.numpy.frombuffer(payload, self.numpy.float32)
        observation, reward, done, info = self.env.step(action)
        return self.numpy.concatenate((observation, [reward, done], [info[name] for name in self.names])).tobytes()

    def reset(self, payload):
        """Start an episode with a seed or null (JSON); return the observation."""
        return self.env.reset(seed=json.loads(payload.decode())).tobytes()

    def friction(self, payload):
        """Set the sliding friction of all geoms."""
        self.env.sim.model.geom_friction[:, 0] = self.numpy.frombuffer(payload)[0]
        return b""

    def state(self, _):
        """Return the complete state (JSON)."""
        data, state = self.env.sim.data, self.env.sim.get_state()
        return json.dumps(
            {
                "time": state.time,
                "qpos": state.qpos.tolist(),
                "qvel": state.qvel.tolist(),
                "warmstart": data.qacc_warmstart.tolist(),
                "xpos": data.body_xpos.tolist(),
                "ctrl": data.ctrl.tolist(),
                "np_random": self.env.np_random.bit_generator.state,
            }
        ).encode()

    def load(self, payload):
        """Restore a state (JSON)."""
        state = json.loads(payload.decode())
        sim = self.env.sim
        sim.reset()
        self.env.np_random.bit_generator.state = state["np_random"]
        old = sim.get_state()
        for again in (True, False):  # discards what `forward` computes in between
            sim.set_state(old._replace(time=state["time"], qpos=state["qpos"], qvel=state["qvel"]))
            sim.data.ctrl[:] = state["ctrl"]
            sim.data.qacc_warmstart[:] = state["warmstart"]
            if again:
                sim.forward()
        sim.data.body_xpos[:] = state["xpos"]
        return b""


if __name__ == "__main__":
    main(sys.argv[1])
