"""PPO for networks with two hidden layers, compiled for the CPU."""
