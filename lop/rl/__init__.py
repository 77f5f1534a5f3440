"""Reinforcement learning with PPO on MuJoCo's Ant, Hopper and Walker2d."""
