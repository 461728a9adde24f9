"""Where a model that is trained by gradients begins, and its closing steps in closed form.

`started` is the way in: the `spectral` start (`rank`, `newton`), as many sweeps of `em` as
`chosen_sweeps` finds good, then learnt priors and random loadings (`refine`, `settle`). `warm`
begins at a fitted model instead; `rescale` and `settle` follow the loop.
"""
