"""Cohorts to try things on."""

from mvlatent.datasets.simulated import demo

__all__ = ["demo"]
