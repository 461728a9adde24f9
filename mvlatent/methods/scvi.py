"""What scvi-tools' model class offers beside this model: answered, or refused with what to use.

The base class reads a torch module and a registry of AnnData objects, neither of which is here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch

from mvlatent.methods.arguments import check_one_of
from mvlatent.methods.worth import WorthReader

__all__ = ["AsScvi", "refused"]

REGISTER = "MVLatent.setup_mudata(mdata, ...) registers a cohort, and leaves it as it is"
MANAGER = "model.adata_manager is the manager of its patients, model.data_registry(name) its data"
SUMMARY = "print(model.summary()) shows what was set up, guessed and dropped"
FOLDER = "print(MVLatent.load(path).summary()) shows what a folder holds"
REFUSAL = "Not for this model"
OURS = {"roles", "options", "registry"}  # of the attributes that a model is given
READ = "give new patients to the reading methods as mdata=; nothing is written into them"
HELD_OUT = (
    "patients are set aside only by fit(validation_size=...), and then not listed; fit to "
    "mdata[train] and read mdata[test] with mdata=, or see mvlatent.study"
)


def refused(name: str, instead: str) -> Callable[..., NoReturn]:
    """A method that only says what to use in its place.

    Examples
    --------
    >>> refused("to_device", "models are read on the CPU")()
    Traceback (most recent call last):
    ...
    AttributeError: MVLatent has no to_device: models are read on the CPU.
    """

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise AttributeError(f"MVLatent has no {name}: {instead}.")

    refuse.__name__, refuse.__qualname__ = name, f"MVLatent.{name}"
    always = "Raises\n------\nAttributeError\n    Always."
    refuse.__doc__ = f"{REFUSAL}: {instead}.\n\n{always}"
    return refuse


def _refused_property(name: str, instead: str) -> property:
    refuse = refused(name, instead)
    return property(refuse, refuse, doc=refuse.__doc__)


def _is_refused(member: object) -> bool:
    """Whether an attribute of the class only says what to use in its place."""
    return str(getattr(member, "__doc__", "")).startswith(REFUSAL)


class AsScvi(WorthReader):
    """Attributes that users of scvi-tools look for, on fitted and on loaded models."""

    def __dir__(self) -> list[str]:
        """Names without those that are only refused, or that scvi-tools keeps for itself."""
        hidden = {n for c in type(self).__mro__ for n, of in vars(c).items() if _is_refused(of)}
        set_by_scvi = {name for name in vars(self) if not name.startswith("_")}
        return sorted({*super().__dir__()} - hidden - (set_by_scvi - OURS) - {"id"})

    # --- answered ---------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the weights are: a model is read on the CPU, wherever it was fitted."""
        return torch.device("cpu")

    @property
    def summary_string(self) -> str:
        """The text of `summary`."""
        return self.summary()

    def get_var_names(self) -> dict[str, list[str]]:
        """Names of the features by view: those that the model takes, once it is fitted.

        Returns
        -------
        dict
            View to names; columns without information are left out of a fitted model's.

        Examples
        --------
        >>> model.get_var_names()["rna"][:2]
        ['rna_001', 'rna_002']
        """
        if self._trained is not None:
            return {name: self._trained.preparation.features(name) for name in self.roles.views}
        return {name: list(view.features) for name, view in self.tables().views.items()}

    def data_registry(self, registry_key: str) -> Any:
        """Data of the model's patients as scvi-tools registered them.

        Parameters
        ----------
        registry_key
            Name of a view, for its matrix (rows are the patients who have it), or ``"batch"``.

        Returns
        -------
        array
            Values, patients × features, or codes of the sites.

        Raises
        ------
        KeyError
            If nothing is registered under that name.
        ValueError
            If the model was loaded without data.

        Examples
        --------
        >>> model.data_registry("rna").shape[1]
        300
        """
        self._registered(registry_key)
        return self._manager().get_from_registry(registry_key)

    def get_state_registry(self, registry_key: str) -> dict[str, Any]:
        """What scvi-tools noted of a view or the batch when it was registered.

        Parameters
        ----------
        registry_key
            As in `data_registry`.

        Returns
        -------
        dict
            Names of the features of a view, or the sites and the column they stand in.

        Raises
        ------
        KeyError
            If nothing is registered under that name.
        ValueError
            If the model was loaded without data.

        Examples
        --------
        >>> sorted(model.get_state_registry("batch"))
        ['categorical_mapping', 'original_key']
        """
        return dict(self._registered(registry_key)["state_registry"])

    def get_setup_arg(self, setup_arg: str) -> Any:
        """One of the arguments that the model was set up with.

        Parameters
        ----------
        setup_arg
            ``"roles"`` (views, columns and outcomes) or ``"notes"`` (what was guessed).

        Returns
        -------
        dict or list
            The roles in the form that a folder holds, or a sentence a guess.

        Raises
        ------
        ValueError
            If there is no such argument.

        Examples
        --------
        >>> model.get_setup_arg("roles")["batch"]
        'site'
        """
        arguments: dict[str, Any] = self.registry_["setup_args"]
        check_one_of("setup_arg", setup_arg, tuple(arguments))
        return arguments[setup_arg]

    def _registered(self, key: str) -> dict[str, Any]:
        """The registry's entry of a view or the batch."""
        fields: dict[str, dict[str, Any]] = self._manager().registry["field_registries"]
        if key not in fields:
            raise KeyError(f"nothing is registered as {key!r}; there are {', '.join(fields)}.")
        return fields[key]

    # --- refused ----------------------------------------------------------------------------------

    to_device = refused(
        "to_device", "a model is read on the CPU; fit(accelerator=..., devices=...) places the fit"
    )
    register_manager = refused("register_manager", REGISTER)
    update_setup_method_args = refused("update_setup_method_args", REGISTER)
    deregister_manager = refused(
        "deregister_manager", "a model alone holds its patients; del model sets them free"
    )
    get_anndata_manager = refused("get_anndata_manager", MANAGER)
    get_from_registry = refused("get_from_registry", MANAGER)
    transfer_fields = refused("transfer_fields", READ)
    view_anndata_setup = refused("view_anndata_setup", SUMMARY)
    view_registry = refused("view_registry", SUMMARY)
    view_setup_method_args = refused("view_setup_method_args", SUMMARY)
    view_setup_args = refused("view_setup_args", FOLDER)
    load_registry = refused("load_registry", FOLDER)
    convert_legacy_save = refused(
        "convert_legacy_save", "there is one format, which save(path) writes and load(path) reads"
    )
    get_normalized_expression = refused(
        "get_normalized_expression", "impute(view, given=...) predicts a view in its own units"
    )
    differential_abundance = refused(
        "differential_abundance", "compare groups of patients in what transform() returns"
    )
    get_normalized_function_name = _refused_property(
        "get_normalized_function_name", "impute(view) is what predicts a view"
    )
    train_indices = _refused_property("train_indices", HELD_OUT)
    validation_indices = _refused_property("validation_indices", HELD_OUT)
    test_indices = _refused_property("test_indices", HELD_OUT)
