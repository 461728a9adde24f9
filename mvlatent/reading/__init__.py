"""From a posterior to what users read: imputed views, loadings, shares of variance, outcomes.

Nothing here fits: what has to be learnt first is in `mvlatent.heads` or `mvlatent.fitting`.
"""
