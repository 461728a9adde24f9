"""Whether intervals hold what they promise, and intervals that do."""
