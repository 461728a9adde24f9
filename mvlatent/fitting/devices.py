"""The devices of a fit by gradients, asked for before anything is computed."""

from __future__ import annotations

import os
from typing import Any

from mvlatent.fitting.plan import Plan
from mvlatent.process import quiet
from mvlatent.specs.checks import shown

__all__ = ["check_devices", "fabric_of", "launched"]

SEVERAL = (
    "ddp_find_unused_parameters_true"  # clamped latents and switched-off terms have no gradient
)


def fabric_of(plan: Plan) -> Any:
    """The `lightning.fabric.Fabric` of a plan; nothing is started yet."""
    from lightning.fabric import Fabric

    asked: dict[str, Any] = {
        "accelerator": plan.accelerator,
        "devices": plan.devices,
        "num_nodes": plan.num_nodes,
        "precision": plan.precision,
    }
    if plan.strategy == "auto":
        fabric = Fabric(strategy="auto", **asked)
        if fabric.world_size == 1 or _in_notebook(fabric):
            return fabric
    return Fabric(strategy=SEVERAL, **asked)


def launched(plan: Plan) -> Any:
    """The Fabric of a plan, with the other processes started where there are some."""
    fabric = fabric_of(plan)
    if fabric.world_size > 1 or plan.strategy != "auto":
        fabric.launch()
    return fabric


def check_devices(plan: Plan) -> None:
    """ValueError if this machine has not the devices that are asked for, or they not the precision.

    Examples
    --------
    >>> check_devices(Plan(precision="64-true"))
    """
    asked = plan.of_devices
    if not asked:
        return
    said = ", ".join(f"{name}={shown(value)}" for name, value in asked.items())
    try:
        with quiet():
            fabric = fabric_of(plan)
    except Exception as error:
        reason = " ".join(str(error).split()).partition(". ")[0].rstrip(".!")
        raise ValueError(
            f"{said} cannot be had on this machine: {reason}. Leave it out to take what there is."
        ) from None
    _check_precision(plan.precision, fabric.device.type)
    cores = os.cpu_count() or 1
    if fabric.device.type == "cpu" and fabric.world_size > cores * plan.num_nodes:
        raise ValueError(
            f"devices={shown(plan.devices)} is more than the {cores} cores of this machine; take "
            "as many or fewer."
        )
    if plan.num_nodes > 1 and "MASTER_ADDR" not in os.environ:
        raise ValueError(
            f"num_nodes={plan.num_nodes} needs a launcher on each node that says where the first "
            "is (MASTER_ADDR); take 1, or start the script with torchrun."
        )
    if fabric.world_size > 1 and _in_notebook(fabric):
        raise ValueError(
            f"devices={shown(plan.devices)} starts the program once a device, which a notebook is "
            "not; take 1, or run a script."
        )


def _check_precision(precision: str, device: str) -> None:
    if precision == "16-mixed" and device == "cpu":
        raise ValueError(
            "precision='16-mixed' is for a GPU, and this fit is on the processor; take "
            "'bf16-mixed' or '32-true'."
        )
    if precision == "64-true" and device == "mps":
        raise ValueError("precision='64-true' is not to be had on a Mac's GPU; take '32-true'.")


def _in_notebook(fabric: Any) -> bool:
    """Whether Fabric would fork the other processes, as it does where there is no script."""
    return "MultiProcessing" in type(fabric.strategy.launcher).__name__
