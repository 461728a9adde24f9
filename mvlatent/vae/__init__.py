"""The generative model and its guide, in Pyro."""
