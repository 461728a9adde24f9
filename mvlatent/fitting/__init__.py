"""How a model is fitted, from raw tables to reported heads; `train.py` reads like the story.

What is asked for: `options` (shape), `plan` (loop), `checks` (what is refused). Two ways of
fitting, each from a prepared cohort to a `FitResult`:

- `closed`, where everything has a closed form. Views become `surfaces` in their thin-SVD bases
  with a `private` covariance each; z begins at `canonical` scores beside the effects of `sites`,
  and the `shared` model is climbed by `climb`, as far as `honest` held-out patients ask. Then
  `install` and `decoders` put it into the generative model, `caution` learns how far evidence is
  to be trusted, `view_heads` (`ridge`, `judged`) predict views from one another, and
  `convergence` says how it ended.
- `gradients`, for networks, learnt priors, random loadings, objectives and minibatches: a start
  (`start`), the `loop`, closing steps.

What is left: `fitted` (history and end) and `trained` (all that is kept and saved). `crossed` says
to which blocks of the training patients the reported heads of `mvlatent.heads` are fitted.
"""
