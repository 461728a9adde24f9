"""A fitted model's heads of one outcome, read for patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mvlatent.outcomes.role import Reading
from mvlatent.posterior import Latents

if TYPE_CHECKING:
    from mvlatent.fitting.trained import Trained

__all__ = ["reading_of"]


def reading_of(trained: Trained, latents: Latents, name: str, **options: Any) -> Reading:
    """What an outcome's role predicts from.

    Parameters
    ----------
    trained
        The fitted parts.
    latents
        Posterior of the patients.
    name
        Name of the outcome.
    **options
        ``n_samples``, ``seed`` and ``blocks`` of `mvlatent.outcomes.role.Reading`.
    """
    return Reading(
        heads=trained.outcomes[name],
        latents=latents,
        bases=trained.bases,
        name=name,
        coder=trained.preparation.outcomes[name],
        end=trained.roles.suffix(name),
        **options,
    )
