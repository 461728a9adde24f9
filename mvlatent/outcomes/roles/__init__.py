"""Outcome roles: one file a role, named in `mvlatent.specs.outcomes.OUTCOME_ROLES`."""
