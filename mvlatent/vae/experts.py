"""Experts by name: what one view says of the shared latent, and of its own private one."""

from __future__ import annotations

from mvlatent.vae.amortised import Amortised, Network
from mvlatent.vae.expert import Expert, Seen
from mvlatent.vae.tied import Tied

__all__ = ["EXPERTS", "Amortised", "Expert", "Network", "Seen", "Tied"]

EXPERTS: dict[str, type[Expert]] = {"exact": Tied, "linear": Amortised, "mlp": Network}
