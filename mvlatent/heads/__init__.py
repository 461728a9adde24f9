"""Heads beside the latents: what is predicted from them and from what they leave."""
