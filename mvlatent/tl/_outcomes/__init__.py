"""What predictions of outcomes are worth."""
