"""Cohorts to try things on: `demo`, simulated, is the one that every example can be run on."""

from mvlatent.datasets._simulated import demo

__all__ = ["demo"]
