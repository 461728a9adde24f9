"""What a latent space holds, and whether it comes back."""
