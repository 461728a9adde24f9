"""Objectives: the ELBO, its terms, and what stands beside it."""
