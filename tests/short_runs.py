"""Runs of every problem that take a fraction of a second."""

from lop.imagenet import run_imagenet
from lop.incremental_cifar import run_cifar
from lop.permuted_mnist import run_mnist
from lop.rl import run_ppo
from lop.slowly_changing_regression import run_regression

PPO = ["-c", "cfg/sant/cbp.yml", "--bs", 256, "--n_slices", 4, "--h_dim", "[32, 32]", "--n_steps", 700]
PPO += ["--change_time", 200, "--mt", 5, "--rr", 0.05]
REGRESSION = ["-c", "cfg/sgd/cbp/relu.yml", "--setting", "replacement_rate=0.01", "--flip_after", 1000]
REGRESSION += ["--num_data_points", 4000]
MNIST = ["--num_features", 30, "--num_examples", 4000, "--change_after", 1000]
IMAGENET = ["-c", "cfg/cbp.yml", "--num_tasks", 2, "--num_showings", 2, "--mini_batch_size", 16, "--total_classes", 4]
IMAGENET += ["--train_images_per_class", 20, "--test_images_per_class", 10, "--channels", 3]
IMAGENET += ["--replacement_rate", 0.02, "--maturity_threshold", 2]
CIFAR = ["-c", "cfg/shrink_and_perturb.yml", "--total_classes", 4, "--class_increase", 2, "--mini_batch_size", 10]
CIFAR += ["--class_increase_frequency", 2, "--train_images_per_class", 12, "--validation_images_per_class", 5]
CIFAR += ["--test_images_per_class", 5, "--measured_images", 16, "--width", 2, "--noise_std", 0.01]
RUNS = {  # script, arguments
    "PPO": (run_ppo, PPO),
    "PPO, reference": (run_ppo, [*PPO, "--engine", "reference"]),
    "regression": (run_regression, REGRESSION),
    "MNIST": (run_mnist, ["-c", "cfg/cbp.yml", "--setting", "replacement_rate=0.0001", *MNIST, "--mt", 10]),
    "MNIST, dropout": (run_mnist, ["-c", "cfg/dropout.yml", "--setting", "dropout=0.1", *MNIST]),
    "ImageNet": (run_imagenet, IMAGENET),
    "CIFAR": (run_cifar, CIFAR),
}
