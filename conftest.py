"""What a run of the docstrings' examples needs, wherever it begins."""
