"""Pictures of predicted outcomes."""
