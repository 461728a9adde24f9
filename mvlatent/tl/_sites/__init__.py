"""What a latent says of the site."""
