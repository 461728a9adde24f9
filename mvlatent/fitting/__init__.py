"""Fitting: the loop, its options, its history."""
