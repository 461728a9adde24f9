"""The training loop on Lightning Fabric: one for a laptop and for many devices."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import pyro
import torch

from mvlatent.data.batches import batches
from mvlatent.data.cohort import Cohort
from mvlatent.fitting.plan import Plan
from mvlatent.objectives.elbo import Terms
from mvlatent.objectives.objective import Objective

__all__ = ["Fitted", "fit"]

REBALANCE_EVERY = 10
VALIDATION_SEED = 20_000
# terms of what all patients share: no part of the bound of held-out ones
COUNTED_ONCE = tuple(f"kl:{s}:" for s in ("effect", "loadings", "precision", "local", "global"))


@dataclass
class Fitted:
    """What a run leaves beside the weights.

    ``history`` has a row an epoch and a column a term (nats a patient); ``best_epoch`` is the
    epoch whose weights were kept, ``stopped`` says why the run ended. ``sweeps`` is the number of
    sweeps of expectation–maximisation before the first epoch (``None`` if it was not kept),
    ``warm`` says whether a fitted model gave the start instead.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1
    stopped: str = "max_epochs"
    seconds: float = 0.0
    sweeps: int | None = None
    warm: bool = False


def fit(
    objective: Objective,
    train: Cohort,
    plan: Plan,
    *,
    validation: Cohort | None = None,
    progress: bool = True,
) -> Fitted:
    """Fit the objective to the training patients, in place.

    Parameters
    ----------
    objective
        Loss and model; its weights at the end are those of the best epoch.
    train, validation
        Cohorts of training and of held-out patients.
    plan
        Options.
    progress
        Show a progress bar with the terms.

    Returns
    -------
    Fitted
        History and reason of the end. An interrupt (Ctrl-C) ends the run early and keeps the best
        weights so far.

    Raises
    ------
    FloatingPointError
        If the loss becomes non-finite, naming the term and the view.
    """
    from lightning.fabric import Fabric

    fabric = Fabric(
        accelerator=plan.accelerator,
        devices=plan.devices,
        num_nodes=plan.num_nodes,
        strategy=plan.strategy,
        precision=plan.precision,  # type: ignore[arg-type]
    )
    if fabric.world_size > 1:
        fabric.launch()
    return _Run(fabric, objective, plan, len(train)).go(train, validation, progress=progress)


class _Run:
    """One run of the loop."""

    def __init__(self, fabric: Any, objective: Objective, plan: Plan, n: int) -> None:
        steps = max(1, round(n / plan.batch_of(n)))
        self.fabric, self.plan, self.objective = fabric, plan, objective
        optimizer = torch.optim.AdamW(_groups(objective, plan, steps), lr=plan.lr, fused=True)
        self.module, self.optimizer = fabric.setup(objective, optimizer)
        self.result = Fitted()
        self.best_loss = float("inf")
        self.best_weights: dict[str, Any] | None = None
        self.step = 0
        self.hiding = torch.Generator().manual_seed(plan.seed + 1 + fabric.global_rank)

    def go(self, train: Cohort, validation: Cohort | None, *, progress: bool) -> Fitted:
        plan, begun = self.plan, time.perf_counter()
        train = train.to(self.fabric.device)
        validation = None if validation is None else validation.to(self.fabric.device)
        generator = torch.Generator().manual_seed(plan.seed)  # processes share the shuffle
        bar = _bar(plan.epochs, progress and self.fabric.global_rank == 0)
        with torch.random.fork_rng(), pyro.validation_enabled(False), bar:
            torch.manual_seed(plan.seed + self.fabric.global_rank)
            try:
                for epoch in range(plan.epochs):
                    row = self.epoch(train, epoch, generator)
                    if validation is not None:
                        row |= self.validate(validation)
                    self.result.history.append(row)
                    bar.update(1)
                    bar.set_postfix(_postfix(row), refresh=False)
                    if self.keep_or_stop(row, epoch, validated=validation is not None):
                        break
            except KeyboardInterrupt:
                self.result.stopped = "interrupted"
        self.restore()
        self.result.seconds = time.perf_counter() - begun
        return self.result

    def epoch(self, train: Cohort, epoch: int, generator: torch.Generator) -> dict[str, float]:
        """Train for one epoch and return the mean of its terms."""
        total: Terms = {}
        count = 0
        kl_weight = self.plan.kl_weight(epoch)
        progress, shared_first = epoch / self.plan.epochs, self.plan.is_shared_first(epoch)
        if not self.module.training:
            self.module.train()
        for batch in self.batches(train, generator):
            loss, terms = self.module(
                batch,
                len(train),
                kl_weight,
                rebalance=self.step % REBALANCE_EVERY == 0,
                progress=progress,
                shared_first=shared_first,
            )
            self.optimizer.zero_grad(set_to_none=True)
            self.fabric.backward(loss)
            self.objective.vae.hold_inactive()
            self.optimizer.step()
            self.step += 1
            count += 1
            total = {k: v + total.get(k, 0.0) for k, v in terms.items()}
        row = dict(zip(total, (torch.stack(list(total.values())) / count).tolist(), strict=True))
        _check_finite(row)
        strengths = self.objective.strengths(progress, shared_first=shared_first)
        elbo = sum(value for name, value in row.items() if name not in strengths)
        return {"epoch": epoch, "kl_weight": kl_weight, "elbo": elbo, **row} | {
            **{f"weight:{head.site}": float(head.weight) for head in self.objective.heads},
            **{f"weight:{name}": weight for name, weight in strengths.items()},
        }

    def batches(self, train: Cohort, generator: torch.Generator) -> Iterator[Cohort]:
        """Shuffled batches of this process, some views hidden."""
        size = self.plan.batch_of(len(train))
        whole = size >= len(train) and self.fabric.world_size == 1
        rows = [None] if whole else batches(len(train), size, generator)
        for index in rows:
            if index is not None and self.fabric.world_size > 1:
                index = index[self.fabric.global_rank :: self.fabric.world_size]
            batch = train if index is None else train.subset(index.to(self.fabric.device))
            yield self.hide(batch.dense(), self.hiding)

    def hide(self, batch: Cohort, generator: torch.Generator) -> Cohort:
        """Hide views at random, never the last one of a patient."""
        if self.plan.view_dropout == 0:
            return batch
        presence = batch.presence
        drawn = torch.rand(presence.shape, generator=generator).to(presence.device)
        keep = drawn >= self.plan.view_dropout
        first = torch.where(presence, drawn, -1.0).argmax(1, keepdim=True)
        keep.scatter_(1, first, True)
        views = {
            name: replace(view, present=view.present & kept)
            for (name, view), kept in zip(batch.views.items(), keep.T, strict=True)
        }
        return replace(batch, views=views)

    @torch.no_grad()
    def validate(self, validation: Cohort) -> dict[str, float]:
        """Loss on held-out patients, on the same noise every time."""
        self.module.eval()
        with torch.random.fork_rng():
            torch.manual_seed(VALIDATION_SEED)
            n = len(validation)
            terms: Terms = {}
            for rows in validation.chunks():
                _, part = self.module(validation.subset(rows).dense(), n, 1.0)
                terms = {k: terms.get(k, 0.0) + v * len(rows) / n for k, v in part.items()}
        beside = {name: float(terms.pop(name)) for name in self.objective.names}
        held_out = [v for k, v in terms.items() if not k.startswith(COUNTED_ONCE)]
        row = {"validation_elbo": float(torch.stack(held_out).sum())}
        if beside:
            full = self.objective.strengths()
            row |= {f"validation_{name}": value for name, value in beside.items()}
            row["validation_objective"] = row["validation_elbo"] + sum(
                full[name] * value for name, value in beside.items()
            )
        for head in self.objective.heads:
            row[f"validation:{head.site}"] = float(terms[head.site] / head.weight)
        return row

    def keep_or_stop(self, row: dict[str, float], epoch: int, *, validated: bool) -> bool:
        """Keep the weights if they are the best so far; say whether patience is over."""
        if not validated:
            self.result.best_epoch = epoch
            return False
        loss = -row.get("validation_objective", row["validation_elbo"])
        if loss < self.best_loss:
            self.best_loss, self.result.best_epoch = loss, epoch
            self.best_weights = deepcopy(self.objective.state_dict())
        if self.plan.early_stopping and epoch - self.result.best_epoch >= self.plan.patience:
            self.result.stopped = "early_stopping"
            return True
        return False

    def restore(self) -> None:
        """Put the best weights back, where the readers of the model expect them: on the CPU."""
        if self.best_weights is not None:
            self.objective.load_state_dict(self.best_weights)
        self.objective.cpu()


def _groups(objective: Objective, plan: Plan, steps: int) -> list[dict[str, Any]]:
    """Parameters with and without decay: matrices shrink, scales, intercepts and effects do not.

    Nor do loadings that have a prior of their own; the prior of z says how much its own do.
    """
    point = objective.vae.design.loadings == "point"
    own_prior = ("effects.loc", *(() if point else ("decoder.shared", "decoder.private")))
    decayed: list[torch.nn.Parameter] = []
    free: list[torch.nn.Parameter] = []
    free += objective.states.parameters()
    for name, parameter in objective.vae.named_parameters():
        shrinks = parameter.dim() > 1 and not name.endswith(own_prior) and ".spread." not in name
        kept = name.startswith(("heads.", "prior.")) or ".likelihood." in name
        (decayed if shrinks and not kept else free).append(parameter)
    prior = objective.vae.prior
    bent = [p for p in prior.parameters() if p.dim() > 1] if prior.decay else []
    own = {id(p) for p in bent}
    free = [p for p in free if id(p) not in own]
    groups = [
        {"params": decayed, "weight_decay": plan.weight_decay / steps},
        {"params": free, "weight_decay": 0.0},
    ]
    if bent:
        groups.append({"params": bent, "weight_decay": prior.decay * plan.weight_decay / steps})
    return groups


def _check_finite(row: dict[str, float]) -> None:
    for name, value in row.items():
        if not math.isfinite(value):
            kind, _, view = name.rpartition(":")
            where = f"term {name!r}" + (f" of view {view!r}" if kind else "")
            raise FloatingPointError(
                f"the loss is not finite ({value}): {where} is at fault. Look for extreme values "
                "there, or lower lr."
            )


def _bar(total: int, show: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, disable=not show, desc="fit", unit="epoch", mininterval=0.5)


def _postfix(row: dict[str, float]) -> dict[str, str]:
    shown = {"elbo": row["elbo"], "val": row.get("validation_elbo"), "kl z": row.get("kl:z")}
    shown |= {k: v for k, v in row.items() if k.startswith("outcome:")}
    return {k: f"{v:.1f}" for k, v in shown.items() if v is not None}
