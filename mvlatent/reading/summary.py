"""What was set up, guessed, dropped and fitted, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mvlatent.reading.loadings import active_factors
from mvlatent.reading.outcome import Reported
from mvlatent.specs import Roles
from mvlatent.trained import Options, Trained

__all__ = ["summarise"]


def summarise(
    roles: Roles, options: Options, trained: Trained | None, notes: Sequence[str] = ()
) -> str:
    """Describe a model, fitted or not.

    Parameters
    ----------
    roles, options
        What was asked for.
    trained
        Fitted parts, ``None`` before fitting.
    notes
        What was guessed on registration (a fitted model has them in its own notes).
    """
    lines = [f"MVLatent: {options.n_shared} shared, {options.n_private} private factors a view"]
    if options.prior != "normal":
        lines.append(f"  prior of z: {options.prior}")
    lines += _views(roles, trained)
    lines += [
        f"  technical: {', '.join(_technical(roles)) or 'none'}  ({options.effects} effects)",
        f"  clinical:  {', '.join(roles.clinical) or 'none'}",
    ]
    if options.objectives:
        beside = ", ".join(f"{term.name} {term.weight:g}" for term in options.objectives)
        lines.append(f"  beside the ELBO: {beside}")
    if roles.survival is not None:
        survival = roles.survival
        more = [("strata", survival.strata), ("entry", survival.entry)]
        said = "".join(f", {what} {column}" for what, column in more if column is not None)
        lines.append(f"  survival:  {survival.time}, {survival.event} ({survival.kind}){said}")
    if roles.labels is not None:
        lines.append(f"  labels:    {roles.labels.column}")
    if trained is None:
        return "\n".join([*lines, *_noted(notes), "not fitted yet"])
    return "\n".join([*lines, *_noted(trained.preparation.notes), *_fit(trained)])


def _technical(roles: Roles) -> list[str]:
    return ([roles.batch] if roles.batch else []) + list(roles.technical)


def _views(roles: Roles, trained: Trained | None) -> Iterator[str]:
    for name, view in roles.views.items():
        line = f"  view {name}: {view.likelihood}, scaling {view.scaling}, noise a {view.noise}"
        line += "" if view.offset in (None, "none") else f", offset {view.offset}"
        if trained is not None:
            line += f", {len(trained.preparation.features(name))} features"
            line += ", rotated" if trained.bases[name].rotated else ""
        yield line


def _noted(notes: Sequence[str]) -> list[str]:
    return ["notes:", *(f"  - {note}" for note in notes)] if notes else []


def _fit(trained: Trained) -> Iterator[str]:
    fitted = trained.fitted
    yield (
        f"fitted: {len(fitted.history)} epochs in {fitted.seconds:.1f} s, weights of epoch "
        f"{fitted.best_epoch} ({fitted.stopped})"
    )
    if trained.options.loadings != "point":
        active = active_factors(trained).sum()
        listed = ", ".join(f"{view} {count}" for view, count in active.items())
        yield f"{trained.options.loadings} loadings, active factors a view: {listed}"
    for name in ("survival", "labels"):
        reported: Reported | None = getattr(trained, name)
        if reported is not None:
            tau = reported.full.tau
            kept = ", ".join(f"{block} {sd:.3f}" for block, sd in tau.items() if sd > 0)
            off = [block for block, sd in tau.items() if sd == 0]
            yield f"{name} head, prior sd a block: {kept or 'none'}"
            for kinds, score in reported.inner_scores.items():
                yield f"  inner folds, {kinds}: {score:.3f}"
            if off:
                yield f"  switched off: {', '.join(off)}"
