"""What a latent says of the site, and a block of another."""
