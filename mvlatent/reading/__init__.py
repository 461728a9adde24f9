"""From a posterior to what users read: imputed views, loadings, shares of variance, outcomes."""
