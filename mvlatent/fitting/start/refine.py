"""Where learnt priors and random loadings begin: after, and from, the spectral start."""

from __future__ import annotations

import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort
from mvlatent.fitting.start.settle import settle_loadings
from mvlatent.vae.priors import Clusters
from mvlatent.vae.structured import StructuredVAE

__all__ = ["clusters_of", "refine_start"]

SWEEPS, PRUNE = 100, 50  # of loadings with a posterior
MIN_PATIENTS = 5  # of a cluster: no component starts at one patient


@torch.no_grad()
def refine_start(vae: StructuredVAE, cohort: Cohort, *, seed: int = 0) -> None:
    """Start the prior of z and the sds of random loadings from a started model, in place.

    Nothing happens to a standard normal prior or to point loadings.

    Parameters
    ----------
    vae
        Model after `mvlatent.fitting.start.spectral.spectral_start`.
    cohort
        Training patients.
    seed
        Seed of the clustering.
    """
    if vae.design.loadings != "point":
        _start_loadings(vae, cohort)
        settle_loadings(vae, cohort, sweeps=SWEEPS, prune=PRUNE)
    if not vae.prior.analytic:
        vae.prior.start(clusters_of(vae, cohort, vae.design.n_components, seed=seed))


@torch.no_grad()
def clusters_of(vae: StructuredVAE, cohort: Cohort, n: int, *, seed: int = 0) -> Clusters:
    """Cluster the posterior means of z by k-means, into ``n`` or as many as have five patients.

    The other components begin around the mean of all patients, with little weight.

    Parameters
    ----------
    vae
        Started model.
    cohort
        Patients.
    n
        Number of clusters.
    seed
        Seed of the clustering and of the components without one.
    """
    from sklearn.cluster import KMeans

    cohort = cohort.subset(torch.nonzero(cohort.presence.any(1))[:, 0])
    q, evidence = vae.posterior(cohort)
    z, unsure = q.mean, q.variance
    at_most = max(1, min(n, len(z) // MIN_PATIENTS))
    labels = KMeans(at_most, n_init=4, random_state=seed).fit_predict(z.double().numpy())
    code = torch.from_numpy(labels).long()
    members = [code == c for c in range(at_most)]
    members = [rows for rows in members if int(rows.sum()) >= MIN_PATIENTS] or [code >= 0]
    total = vae.evidence_precision() + torch.eye(z.shape[1], dtype=z.dtype)
    everyone = code >= 0
    weight = [float(rows.sum()) for rows in members]
    mean = [z[rows].mean(0) for rows in members]
    variance = [z[rows].var(0, correction=0) + unsure[rows].mean(0) for rows in members]
    potential = []
    for rows in members:
        views = [(evidence[v].potential, cohort.views[v].present) for v in vae.names]
        each = [_mean_potential(h, seen, rows, everyone) for h, seen in views]
        potential.append(sum(each, torch.zeros_like(each[0])))
    generator = torch.Generator().manual_seed(seed)
    complete = list(torch.linalg.solve(total, torch.stack(potential).T).T)
    scale = (z.var(0, correction=0) + unsure.mean(0)).sqrt()
    for _ in range(n - len(mean)):
        jitter = 0.5 * scale * torch.randn(z.shape[1], generator=generator, dtype=z.dtype)
        weight.append(1.0)
        mean.append(z.mean(0) + jitter)
        complete.append(z.mean(0) + jitter)
        variance.append(scale.square())
    share = torch.tensor(weight, dtype=z.dtype)
    return Clusters(
        share / share.sum(), torch.stack(mean), torch.stack(variance), torch.stack(complete)
    )


def _mean_potential(potential: Tensor, seen: Tensor, rows: Tensor, everyone: Tensor) -> Tensor:
    """Mean over the cluster's patients who have the view; over all where too few have it."""
    use = rows & seen if int((rows & seen).sum()) >= MIN_PATIENTS else everyone & seen
    return potential[use].sum(0) / use.sum().clamp_min(1)


def _start_loadings(vae: StructuredVAE, cohort: Cohort) -> None:
    q, evidence = vae.posterior(cohort)
    for name, part in vae.items:
        random = part.decoder.random_loadings
        if random is None:
            continue
        seen = cohort.views[name].present
        given = evidence[name].private(q.mean)
        energy = [
            (f.mean.square() + f.variance)[seen].sum(0)  # E[f²] over the patients with the view
            for f in (q, given)
        ]
        random.start(part.decoder.loadings, part.weight(), torch.cat(energy))
