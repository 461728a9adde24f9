"""Other methods on the same views: PCA, generalized CCA, MOFA and DMVAE.

Each takes the views of a cohort as arrays, (N, p) with rows of NaN where a patient lacks the view,
standardised here on the rows that have it, and returns its latent blocks with CPU seconds.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

__all__ = ["PEERS", "Found", "available", "mofa_run", "standardised"]

Views = Mapping[str, np.ndarray]
Blocks = dict[str, np.ndarray]

N_PRIVATE = 8
DMVAE_EPOCHS = 300


@dataclass
class Found:
    """Latent blocks of a method and the CPU seconds that it took."""

    blocks: Blocks
    seconds: float


def standardised(views: Views) -> dict[str, np.ndarray]:
    """Return columns of mean 0 and sd 1 over the rows that have them; NaN stays."""
    out = {}
    for name, x in views.items():
        x = np.asarray(x, dtype=np.float64)
        sd = np.nanstd(x, axis=0)
        out[name] = (x - np.nanmean(x, axis=0)) / np.where(sd > 0, sd, 1.0)
    return out


def pca(views: Views, n_factors: int, seed: int) -> Blocks:
    """Leading components of all views side by side, missing views at their mean."""
    from sklearn.decomposition import PCA

    x = np.concatenate([np.nan_to_num(v) for v in views.values()], axis=1)
    return {"shared": PCA(n_factors, random_state=seed).fit_transform(x)}


def gcca(views: Views, n_factors: int, seed: int) -> Blocks:
    """MAXVAR generalized CCA on the leading components of each view; what is left is private."""
    components = min(2 * n_factors, min(v.shape[1] for v in views.values()))
    n = len(next(iter(views.values())))
    bases, count = [], np.zeros(n)
    for x in views.values():
        seen = ~np.isnan(x).all(axis=1)
        left = np.linalg.svd(x[seen], full_matrices=False)[0][:, :components]
        block = np.zeros((n, components))
        block[seen] = left
        bases.append(block)
        count += seen
    stacked = np.concatenate(bases, axis=1) / np.sqrt(count)[:, None]
    z = np.linalg.svd(stacked, full_matrices=False)[0][:, :n_factors] / np.sqrt(count)[:, None]
    z = (z - z.mean(0)) / z.std(0)
    blocks = {"shared": z}
    for name, x in views.items():
        seen = ~np.isnan(x).all(axis=1)
        rest = x[seen] - z[seen] @ np.linalg.lstsq(z[seen], x[seen], rcond=None)[0]
        left, sd, _ = np.linalg.svd(rest, full_matrices=False)
        private = np.zeros((n, N_PRIVATE))
        private[seen] = (left * sd)[:, :N_PRIVATE]
        blocks[f"private:{name}"] = private
    return blocks


def mofa(views: Views, n_factors: int, seed: int) -> Blocks:
    """MOFA's factors: shared if they explain 1 % of two views or more, private if of one.

    References
    ----------
    Argelaguet et al. (2018), Multi-omics factor analysis.
    """
    nodes = mofa_run(views, n_factors, seed)
    z = np.asarray(nodes["Z"].getExpectation())
    weights = [np.asarray(w) for w in nodes["W"].getExpectation()]
    return _mofa_blocks(views, z, weights)


def mofa_run(views: Views, n_factors: int, seed: int) -> Mapping[str, Any]:
    """Nodes of a fitted MOFA model of standardised views: Z, W (p × k a view), Tau (n × p)."""
    from mofapy2.run.entry_point import entry_point

    with contextlib.redirect_stdout(io.StringIO()):
        run = entry_point()
        run.set_data_options(scale_views=False)
        run.set_data_matrix([[x] for x in views.values()], likelihoods=["gaussian"] * len(views))
        run.set_model_options(factors=n_factors)
        run.set_train_options(
            seed=seed, convergence_mode="fast", outfile=None, save_interrupted=None
        )
        run.build()
        run.run()
    return run.model.nodes


def _mofa_blocks(views: Views, z: np.ndarray, weights: list[np.ndarray]) -> Blocks:
    """Split the factors by the number of views in which each explains 1 % of the variance."""
    explained = np.zeros((len(weights), z.shape[1]))
    for m, (x, w) in enumerate(zip(views.values(), weights, strict=True)):
        total = np.nansum(x**2)
        for k in range(z.shape[1]):
            explained[m, k] = 1 - np.nansum((x - np.outer(z[:, k], w[:, k])) ** 2) / total
    active = explained > 0.01
    blocks = {"shared": z[:, active.sum(0) >= 2]}
    for m, name in enumerate(views):
        blocks[f"private:{name}"] = z[:, active[m] & (active.sum(0) == 1)]
    return blocks


def dmvae(views: Views, n_factors: int, seed: int) -> Blocks:
    """DMVAE of the MultiVae library: shared and private Gaussian latents, MLP networks.

    References
    ----------
    Lee & Pavlovic (2021), Private-shared disentangled multimodal VAE;
    Senellart et al. (2025), MultiVae.
    """
    from multivae.data.datasets import IncompleteDataset
    from multivae.models import DMVAE, DMVAEConfig

    torch.manual_seed(seed)
    seen = {k: torch.from_numpy(~np.isnan(x).all(axis=1)) for k, x in views.items()}
    data = {k: torch.from_numpy(np.nan_to_num(x)).float() for k, x in views.items()}
    model = DMVAE(
        DMVAEConfig(
            n_modalities=len(data),
            latent_dim=n_factors,
            input_dims={k: (x.shape[1],) for k, x in data.items()},
            modalities_specific_dim=dict.fromkeys(data, N_PRIVATE),
            decoders_dist=dict.fromkeys(data, "normal"),
        )
    )
    dataset = IncompleteDataset(data=data, masks=seen)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    rows = torch.Generator().manual_seed(seed)
    n = len(dataset)
    for _ in range(DMVAE_EPOCHS):
        for batch in torch.randperm(n, generator=rows).split(64):
            part = IncompleteDataset(
                data={k: x[batch] for k, x in data.items()},
                masks={k: m[batch] for k, m in seen.items()},
            )
            optimiser.zero_grad()
            model(part).loss.backward()
            optimiser.step()
    model.eval()
    with torch.no_grad():
        mean, _, _, private = model._infer_latent_parameters(dataset)
    blocks = {"shared": mean.numpy()}
    blocks |= {f"private:{k}": p[0].numpy() for k, p in private.items()}
    return blocks


PEERS: dict[str, tuple[Callable[[Views, int, int], Blocks], tuple[int, ...], str | None]] = {
    "PCA": (pca, (15,), None),
    "generalized CCA": (gcca, (5, 10, 15, 25, 40), None),
    "MOFA": (mofa, (15, 40), "mofapy2"),
    "DMVAE": (dmvae, (16,), "multivae"),
}


def available() -> Iterator[tuple[str, Callable[[Views, int], Found]]]:
    """Yield the methods that are installed, one a number of factors."""
    for name, (method, sizes, package) in PEERS.items():
        if package is not None and importlib.util.find_spec(package) is None:
            continue
        for size in sizes:
            yield f"{name}, {size}", _timed(method, size)


def _timed(method: Callable[[Views, int, int], Blocks], size: int) -> Callable[[Views, int], Found]:
    def run(views: Views, seed: int) -> Found:
        begun = time.process_time()
        blocks = method(standardised(views), size, seed)
        return Found(blocks, time.process_time() - begun)

    return run
