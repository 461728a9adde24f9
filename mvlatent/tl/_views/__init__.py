"""What views say of one another."""
