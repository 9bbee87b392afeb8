"""Checkpoint Inspector: see what is inside a PyTorch checkpoint without running it."""

__version__ = "0.1.0"
