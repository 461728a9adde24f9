"""The public methods of `mvlatent.MVLatent`, a file a subject."""
