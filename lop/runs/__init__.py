"""What every problem's runs share: parameters, folders, checkpoints, metrics, progress."""
