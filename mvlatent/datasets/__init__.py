"""Cohorts to try things on."""

from mvlatent.datasets._simulated import demo

__all__ = ["demo"]
