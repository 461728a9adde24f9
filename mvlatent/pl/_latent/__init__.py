"""Pictures of a latent space."""
