"""From MuData to tensors: roles, aligned tables, scaling, and the `Cohort` the model sees."""
