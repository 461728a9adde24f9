"""Pictures of what views say of one another."""
