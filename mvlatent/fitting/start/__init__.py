"""Where a model that is trained by gradients begins, and its closing steps in closed form."""
