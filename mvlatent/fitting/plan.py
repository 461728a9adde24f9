"""How a model is to be fitted: options that check themselves."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from mvlatent.specs.checks import (
    as_python,
    check_choice,
    check_flag,
    check_number,
    check_seed,
    check_whole,
    is_whole,
    shown,
)

__all__ = ["Plan"]

EPOCHS = 60
EPOCHS_VALIDATED = 200  # at most: early stopping ends it
ON_DEVICES = {
    "accelerator": ("auto", "cpu", "gpu", "cuda", "mps"),
    "strategy": ("auto", "ddp"),
    "precision": ("32-true", "64-true", "bf16-mixed", "16-mixed"),
}
ALIASES = {"32": "32-true", "64": "64-true", "bf16": "bf16-mixed", "16": "16-mixed"}
DEVICES = ("accelerator", "devices", "num_nodes", "strategy", "precision")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Options of the training loop.

    Parameters
    ----------
    max_epochs
        Passes over the training patients (of a closed-form fit: sweeps), 0 for the start alone.
        ``None``: until the criterion settles; where a network is trained 60, with validation at
        most 200.
    batch_size
        Patients a step; ``None`` is the whole cohort up to 1,024 patients, else 512.
    lr
        Learning rate of AdamW.
    weight_decay
        Precision of the normal prior of loadings and network weights (a column ``prior:weights`` of
        the history); technical effects have their own. Of models trained by gradients.
    warmup
        Share of ``max_epochs`` over which the KL weight rises from 0 to 1.
    shared_first
        Share of ``max_epochs`` for which, at the beginning, private latents are clamped to their
        prior and the shared one learns from the cross-view term (which `objectives` must hold).
    early_stopping
        Stop when the validation loss has not improved for ``patience`` epochs; the best weights are
        restored either way.
    patience
        See above.
    refit_epochs
        Epochs on all rows, validation rows included, after the best weights are restored.
    view_dropout
        Probability that a view of a patient is hidden for a step (amortised encoders need it; for
        exact ones any subset works without).
    seed
        Seed of every draw in the loop.
    accelerator, devices, num_nodes, strategy, precision
        As in Lightning Fabric, of models trained by gradients; a fit in closed form runs on the
        processor and says if it was asked for something else. ``accelerator``: ``"auto"``,
        ``"cpu"``, ``"gpu"``, ``"cuda"`` or ``"mps"``; ``strategy``: ``"auto"`` or ``"ddp"``;
        ``precision``: ``"32-true"``, ``"64-true"``, ``"bf16-mixed"`` or, on a GPU, ``"16-mixed"``.

    Raises
    ------
    TypeError
        If an option is of another kind than it has to be.
    ValueError
        If a number is out of its range, or a word none of the choices.

    Examples
    --------
    >>> Plan(max_epochs=3).batch_of(400)
    400
    """

    max_epochs: int | None = None
    batch_size: int | None = None
    lr: float = 1e-2
    weight_decay: float = 1.0
    warmup: float = 0.0
    shared_first: float = 0.0
    early_stopping: bool = True
    patience: int = 25
    refit_epochs: int = 0
    view_dropout: float = 0.0
    seed: int = 0
    accelerator: str = "auto"
    devices: int | str | list[int] = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "32-true"

    def __post_init__(self) -> None:
        """Check kinds and ranges."""
        for option in fields(self):
            object.__setattr__(self, option.name, as_python(getattr(self, option.name)))
        for name, least in (("max_epochs", 0), ("batch_size", 2)):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), least)
        for name, least in (("patience", 1), ("num_nodes", 1), ("refit_epochs", 0)):
            check_whole(name, getattr(self, name), least)
        check_seed("seed", self.seed)
        check_number("lr", self.lr, 0, above=True)
        check_number("weight_decay", self.weight_decay, 0)
        for name in ("warmup", "shared_first", "view_dropout"):
            check_number(name, getattr(self, name), 0, 1)
        check_flag("early_stopping", self.early_stopping)
        alias = ALIASES.get(str(self.precision), self.precision)
        object.__setattr__(self, "precision", alias)
        for name, choices in ON_DEVICES.items():
            check_choice(name, getattr(self, name), choices)
        self._check_devices()

    def _check_devices(self) -> None:
        """Raise unless devices are a number of them, their indices, or ``"auto"``."""
        asked = self.devices
        if isinstance(asked, str):
            sound = asked == "auto"
        elif isinstance(asked, list | tuple):
            sound = len(asked) > 0 and all(is_whole(each) and each >= 0 for each in asked)
        else:
            sound = is_whole(asked) and (asked == -1 or asked > 0)
        if sound:
            return
        raise ValueError(
            "devices must be a number of devices, a list of their indices, -1 or 'auto' for all, "
            f"not {shown(asked)}."
        )

    @property
    def epochs(self) -> int:
        """Epochs of the run."""
        return EPOCHS if self.max_epochs is None else self.max_epochs

    def resolved(self, *, validated: bool) -> Plan:
        """The plan with its number of epochs settled."""
        if self.max_epochs is not None:
            return self
        return replace(self, max_epochs=EPOCHS_VALIDATED if validated else EPOCHS)

    def batch_of(self, n: int) -> int:
        """Batch size for ``n`` training patients."""
        if self.batch_size is not None:
            return min(self.batch_size, n)
        return n if n <= 1024 else 512

    def kl_weight(self, epoch: int) -> float:
        """KL weight of an epoch, in (0, 1]."""
        rise = self.warmup * self.epochs
        return 1.0 if rise < 1 else min(1.0, (epoch + 1) / rise)

    def is_shared_first(self, epoch: int) -> bool:
        """Whether private latents are clamped in an epoch."""
        return epoch < self.shared_first * self.epochs

    @property
    def of_devices(self) -> dict[str, Any]:
        """Options of Fabric that were given another value than their default."""
        named = {option.name: option.default for option in fields(self)}
        given = {name: getattr(self, name) for name in DEVICES}
        return {name: value for name, value in given.items() if value != named[name]}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)
