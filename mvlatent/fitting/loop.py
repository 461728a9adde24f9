"""The training loop on Lightning Fabric: one for a laptop and for many devices."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import pyro
import torch
from torch import nn

from mvlatent.data.batches import batches
from mvlatent.data.cohort import Cohort
from mvlatent.fitting.devices import launched
from mvlatent.fitting.fitted import Fitted
from mvlatent.fitting.plan import Plan
from mvlatent.objectives.elbo import Terms
from mvlatent.objectives.objective import Objective
from mvlatent.process import seeded

__all__ = ["fit"]

REBALANCE_EVERY = 10
VALIDATION_SEED = 20_000
# terms of what all patients share: no part of the bound of held-out ones
COUNTED_ONCE = (
    "prior:weights",
    *(f"kl:{s}:" for s in ("effect", "loadings", "precision", "local", "global")),
)
MOST_JUDGED = 1024  # patients on whom the criterion is taken on fixed noise
TOLERANCE = 0.02  # nats a patient that the best state must gain over the patience


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
    return _Run(launched(plan), objective, plan).go(train, validation, progress=progress)


class _Run:
    """One run of the loop."""

    def __init__(self, fabric: Any, objective: Objective, plan: Plan) -> None:
        self.fabric, self.plan, self.objective = fabric, plan, objective
        optimizer = torch.optim.AdamW(
            objective.parameters(), lr=plan.lr, weight_decay=0.0, fused=True
        )
        self.module, self.optimizer = fabric.setup(_Step(objective), optimizer)
        self.result = Fitted()
        self.best_loss = float("inf")
        self.best_losses: list[float] = []
        self.best_weights: dict[str, Any] | None = None
        self.step = 0
        self.hiding = torch.Generator().manual_seed(plan.seed + 1 + fabric.global_rank)

    def go(self, train: Cohort, validation: Cohort | None, *, progress: bool) -> Fitted:
        plan, begun = self.plan, time.perf_counter()
        train = self.placed(train)
        validation = None if validation is None else self.placed(validation)
        generator = torch.Generator().manual_seed(plan.seed)  # processes share the shuffle
        bar = _bar(plan.epochs, progress and self.fabric.global_rank == 0)
        with seeded(plan.seed + self.fabric.global_rank), pyro.validation_enabled(False), bar:
            start = self.judge(train)
            self.consider(start if validation is None else start | self.validate(validation), -1)
            try:
                for epoch in range(plan.epochs):
                    row = self.epoch(train, epoch, generator)
                    row |= self.judge(train, shared_first=plan.is_shared_first(epoch))
                    if validation is not None:
                        row |= self.validate(validation)
                    self.result.history.append(row)
                    bar.update(1)
                    bar.set_postfix(_postfix(row), refresh=False)
                    if self.keep_or_stop(row, epoch):
                        break
            except KeyboardInterrupt:
                self.result.stopped = "interrupted"
        self.restore()
        self.result.seconds = time.perf_counter() - begun
        return self.result

    def placed(self, cohort: Cohort) -> Cohort:
        """The cohort on the device, in the precision of the weights."""
        cohort = cohort.to(self.fabric.device)
        dtype = next(self.objective.parameters()).dtype
        return cohort if dtype == torch.float32 else _cast(cohort, dtype)

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
                _Batch(batch),
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
        return {"epoch": epoch, "kl_weight": kl_weight, **row} | {
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
            name: view.where(kept)
            for (name, view), kept in zip(batch.views.items(), keep.T, strict=True)
        }
        return replace(batch, views=views)

    def judge(self, train: Cohort, *, shared_first: bool = False) -> dict[str, float]:
        """The criterion and its terms for the training patients, on the same noise every time.

        ``shared_first``: the bound of private latents that are clamped to their prior.
        """
        some = train
        if len(train) > MOST_JUDGED:
            some = train.subset(torch.linspace(0, len(train) - 1, MOST_JUDGED).long())
        terms = self.terms_of(some, len(train), shared_first=shared_first)
        _check_finite(terms)
        row = {"elbo": sum(v for k, v in terms.items() if k not in self.objective.names), **terms}
        if self.objective.names:
            row["criterion"] = row["elbo"] + self.beside(terms)
        return row

    def validate(self, validation: Cohort) -> dict[str, float]:
        """The same of held-out patients, what all patients share left out."""
        terms = self.terms_of(validation, len(validation))
        counted = {k: v for k, v in terms.items() if not k.startswith(COUNTED_ONCE)}
        row = {
            "validation_elbo": sum(v for k, v in counted.items() if k not in self.objective.names)
        }
        if self.objective.names:
            row |= {f"validation_{name}": terms[name] for name in self.objective.names}
            row["validation_objective"] = row["validation_elbo"] + self.beside(terms)
        for head in self.objective.heads:
            row[f"validation:{head.site}"] = float(terms[head.site] / head.weight)
        return row

    def beside(self, terms: dict[str, float]) -> float:
        """The terms beside the ELBO at full strength."""
        full = self.objective.strengths()
        return sum(full[name] * terms[name] for name in self.objective.names)

    @torch.no_grad()
    def terms_of(self, cohort: Cohort, n: int, *, shared_first: bool = False) -> dict[str, float]:
        """Terms of the criterion for patients of a cohort of n, on fixed noise, a patient."""
        self.module.eval()
        with seeded(VALIDATION_SEED):
            terms: Terms = {}
            for rows in cohort.chunks():
                batch = cohort.subset(rows).dense()
                _, part = self.module(_Batch(batch), n, 1.0, shared_first=shared_first)
                share = len(rows) / len(cohort)
                terms = {k: terms.get(k, 0.0) + v * share for k, v in part.items()}
        return {name: float(value) for name, value in terms.items()}

    def keep_or_stop(self, row: dict[str, float], epoch: int) -> bool:
        """Keep the weights if they are the best so far; say whether patience is over."""
        self.consider(row, epoch)
        if not self.plan.early_stopping or epoch - self.result.best_epoch < self.plan.patience:
            recent = self.best_losses[-self.plan.patience - 1 :]
            settled = len(recent) > self.plan.patience and recent[0] - recent[-1] < TOLERANCE
            if not (self.plan.early_stopping and settled):
                return False
            self.result.stopped = "converged"
            return True
        self.result.stopped = "early_stopping" if "validation_elbo" in row else "converged"
        return True

    def consider(self, row: dict[str, float], epoch: int) -> None:
        """Keep these weights if no earlier ones were better; the start is among the choices.

        With in-training heads, whose weights move, the criterion of one epoch is not that of
        another: without validation the last weights are kept then.
        """
        held_out = row.get("validation_objective", row.get("validation_elbo"))
        loss = -(row.get("criterion", row["elbo"]) if held_out is None else held_out)
        if held_out is None and self.objective.heads:
            loss = -float(epoch)
        if loss < self.best_loss:
            self.best_loss, self.result.best_epoch = loss, epoch
            self.best_weights = deepcopy(self.objective.state_dict())
        self.best_losses.append(self.best_loss)

    def restore(self) -> None:
        """Put the best weights back, where the readers of the model expect them: on the CPU."""
        if self.best_weights is not None:
            self.objective.load_state_dict(self.best_weights)
        self.objective.cpu().float()


class _Batch:
    """Patients on their way through Fabric, which would take a dataclass apart."""

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort


class _Step(nn.Module):
    """The objective as Fabric calls it."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, batch: _Batch, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, Terms]:
        return cast(tuple[torch.Tensor, Terms], self.objective(batch.cohort, *args, **kwargs))


def _cast(held: Any, dtype: torch.dtype) -> Any:
    """Records, and what holds them, with numbers of another precision; masks and codes stay."""
    if isinstance(held, torch.Tensor):
        return held.to(dtype) if held.is_floating_point() else held
    if is_dataclass(held) and not isinstance(held, type):
        parts = {each.name: getattr(held, each.name) for each in fields(held) if each.init}
        return replace(held, **{name: _cast(part, dtype) for name, part in parts.items()})
    return {k: _cast(v, dtype) for k, v in held.items()} if isinstance(held, dict) else held


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
