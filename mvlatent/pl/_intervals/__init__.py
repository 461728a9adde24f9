"""Pictures of intervals: whether they hold what they promise."""
