"""What the truth allows: posteriors, predictions and ceilings."""
