"""The evidence lower bound, kept as one tensor a term."""

from __future__ import annotations

from typing import Any

import torch
from pyro import poutine
from pyro.distributions.util import scale_and_mask
from pyro.infer import TraceMeanField_ELBO
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions import kl_divergence

__all__ = ["Terms", "TermsELBO"]

Terms = dict[str, Tensor]


class TermsELBO(TraceMeanField_ELBO):
    """`TraceMeanField_ELBO` that returns its terms and never leaves the device.

    ``TermsELBO()(model, guide)`` is Pyro's ``ELBOModule``; its value is a dictionary: the log
    likelihood of each observed site under the site's name, minus the analytic KL of each latent
    site under ``"kl:<site>"``. Their sum is the ELBO. Scale and mask of a KL come from the guide.

    Raises
    ------
    NotImplementedError
        If a latent site has no analytic KL: nothing falls back to sampling silently. A prior that
        is to be estimated by the draw, log q - log p, says so by ``kl_by_draw = True``.
    """

    def differentiable_loss(self, model: Any, guide: Any, *args: Any, **kwargs: Any) -> Terms:
        """Terms of the ELBO for one draw of the guide."""
        guide_trace = poutine.trace(guide).get_trace(*args, **kwargs)
        model_trace = poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(
            *args, **kwargs
        )
        terms: Terms = {}
        for name, site in model_trace.nodes.items():
            if site["type"] != "sample" or site_is_subsample(site):
                continue
            if site["is_observed"]:
                log_prob = site["fn"].log_prob(site["value"])
                scaled = scale_and_mask(log_prob, site["scale"], site["mask"])
                terms[name] = scaled.sum()
            else:
                q = guide_trace.nodes[name]
                kl = _divergence(q["fn"], site["fn"], site["value"])
                scaled = scale_and_mask(kl, q["scale"], q["mask"])
                terms[f"kl:{name}"] = -scaled.sum()
        self.draw = {
            name: site["value"]
            for name, site in guide_trace.nodes.items()
            if site["type"] == "sample" and torch.is_tensor(site["value"])
        }
        return terms


def _divergence(q: Any, p: Any, value: Tensor) -> Tensor:
    """KL of a latent site, or its estimate at the drawn value where the prior asks for it."""
    if getattr(p, "kl_by_draw", False):
        drawn: Tensor = q.log_prob(value) - p.log_prob(value)
        return drawn
    return kl_divergence(q, p)
