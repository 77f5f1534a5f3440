"""The paper's learning algorithms."""
