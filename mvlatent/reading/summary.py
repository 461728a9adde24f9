"""What was set up, guessed, dropped and fitted, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mvlatent.outcomes.role import role_of
from mvlatent.reading.loadings import active_factors
from mvlatent.specs import OutcomeSpec, Roles

if TYPE_CHECKING:
    from mvlatent.data.covariates import Encoder
    from mvlatent.fitting.options import Options
    from mvlatent.fitting.trained import Trained
    from mvlatent.heads.reported import Reported

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
    size = f"{options.n_shared} shared, {options.n_private} private factors a view"
    none = not roles.views and not roles.every_view
    lines = [f"MVLatent: {'no view, heads on columns of obs alone' if none else size}"]
    if options.prior != "normal":
        lines.append(f"  prior of z: {options.prior}")
    lines += _views(roles, trained)
    lines += [
        f"  technical: {', '.join(_technical(roles)) or 'none'}  ({options.effects} effects)",
        *_taken({} if trained is None else _encoded(trained.preparation.technical)),
        f"  clinical:  {', '.join(roles.clinical) or 'none'}",
        *_taken({} if trained is None else _encoded(trained.preparation.clinical)),
    ]
    if options.objectives:
        beside = ", ".join(f"{term.name} {term.weight:g}" for term in options.objectives)
        lines.append(f"  beside the ELBO: {beside}")
    for spec in roles.outcome_specs:
        lines.append(f"  {_titled(roles, spec):<10} {spec.said}")
        if trained is not None:
            lines += _taken({spec.name: trained.preparation.outcomes[spec.name].taken})
    if trained is None:
        return "\n".join([*lines, *_noted(notes), "not fitted yet"])
    return "\n".join([*lines, *_noted(trained.preparation.notes), *_fit(trained)])


def _titled(roles: Roles, spec: OutcomeSpec) -> str:
    """``survival:``, and with its name where it differs from the column or there are several."""
    plain = roles.title(spec) == spec.role and spec.name in spec.outcome_columns
    return f"{spec.role}:" if plain else f"{spec.role} {spec.name}:"


def _encoded(encoders: Iterable[Encoder]) -> dict[str, str]:
    """What each covariate was taken as, those that do not vary left out."""
    return {encoder.name: encoder.taken for encoder in encoders}


def _taken(columns: Mapping[str, str]) -> Iterator[str]:
    """A line a column: what it was taken as, how many are missing, patients of each class."""
    yield from (f"    {name}: {taken}" for name, taken in columns.items() if taken)


def _technical(roles: Roles) -> list[str]:
    return ([roles.batch] if roles.batch else []) + list(roles.technical)


def _views(roles: Roles, trained: Trained | None) -> Iterator[str]:
    for name, view in roles.views.items():
        line = f"  view {name}: {view.likelihood}, scaling {view.scaling}, noise a {view.noise}"
        line += "" if view.offset in (None, "none") else f", offset {view.offset}"
        if trained is not None:
            prepared = trained.preparation.views[name]
            line += f", {len(prepared.features)} features of {prepared.patients} patients"
            line += ", rotated" if trained.bases[name].rotated else ""
        yield line
    if trained is not None and roles.views:
        held = trained.preparation.views_held
        listed = ", ".join(f"{k} ({n} patients)" for k, n in enumerate(held) if n)
        yield f"  views a patient: {listed}"


def _noted(notes: Sequence[str]) -> list[str]:
    return ["notes:", *(f"  - {note}" for note in notes)] if notes else []


def _start(trained: Trained) -> str:
    """Where the loop began."""
    if trained.fitted.warm:
        return "a fitted model"
    start, sweeps = trained.options.start, trained.fitted.sweeps
    if trained.is_closed:  # its sweeps are its epochs
        return start
    return start if not sweeps else f"{start} and {sweeps} sweeps of expectation-maximisation"


def _kept(trained: Trained) -> str:
    """How many factors the start left on."""
    vae = trained.vae
    private = ", ".join(f"{name} {int(part.shown.sum())}" for name, part in vae.members)
    return f"{int(vae.active.sum())} of {len(vae.active)} shared, private {private}"


_STOPPED = {
    "converged": "converged",
    "max_epochs": "stopped at max_epochs: raise it if the elbo of the history still rises",
    "early_stopping": "held-out patients were predicted no better after it",
}


def _fit(trained: Trained) -> Iterator[str]:
    fitted = trained.fitted
    if trained.is_closed:
        yield f"fitted in closed form in {fitted.seconds:.1f} s"
    else:
        kept = "the start" if fitted.best_epoch < 0 else f"epoch {fitted.best_epoch}"
        yield (
            f"fitted: {len(fitted.history)} epochs in {fitted.seconds:.1f} s, weights of {kept} "
            f"({_STOPPED.get(fitted.stopped, fitted.stopped)})"
        )
    yield from (f"  {said}" for said in fitted.said)
    yield f"started from {_start(trained)}; factors kept: {_kept(trained)}"
    if trained.options.loadings != "point":
        active = active_factors(trained).sum()
        listed = ", ".join(f"{view} {count}" for view, count in active.items())
        yield f"{trained.options.loadings} loadings, active factors a view: {listed}"
    roles = trained.roles
    for spec in roles.outcome_specs:
        reported, what = trained.outcomes[spec.name], roles.title(spec)
        yield from _head(reported, what)
        yield from role_of(spec).remarks(reported, _technical(roles))


def _head(reported: Reported, what: str) -> Iterator[str]:
    """Which blocks tell, and how much: of a sampled head, which has all on, only how much."""
    head = reported.full
    likely = head.effect_probability if reported.off else {}
    if any(p < 1 for p in likely.values()):
        listed = ", ".join(f"{b} {p:.2f}" for b, p in likely.items())
        yield f"{what} head, probability that a block has an effect: {listed}"
        return
    kept = ", ".join(f"{b} {sd:.3f}" for b, sd in head.tau.items() if sd > 0)
    yield f"{what} head, prior sd a block: {kept or 'none'}"
    if off := [b for b, sd in head.tau.items() if sd == 0]:
        yield f"  switched off: {', '.join(off)}"
