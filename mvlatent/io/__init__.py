"""A fitted model as a folder: ``spec.json`` and ``weights.safetensors``, and nothing else."""

from mvlatent.io.folder import load_trained, save_trained
from mvlatent.io.state import FORMAT

__all__ = ["FORMAT", "load_trained", "save_trained"]
