"""Reinforcement learning with PPO on MuJoCo's Ant, Hopper and Walker2d."""

from lop.runs.problem import Problem

PROBLEM = Problem("rl", "lop.rl.run_ppo", "lop.rl.parameters:PPOParameters")
