"""What every likelihood of an outcome is: made of, scored on and bound to a record of outcomes."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, Self, TypeVar

from torch import Tensor, nn

from mvlatent.data.outcome_data import OutcomeData

__all__ = ["OutcomeLikelihood"]

Data = TypeVar("Data", bound=OutcomeData)


class OutcomeLikelihood(nn.Module, Generic[Data]):
    """A likelihood of one kind of outcome, with the parameters that are not coefficients.

    Its data are a record of N patients, such as `mvlatent.data.cohort.SurvivalData`. Patients whose
    outcome is not observed never count.

    Attributes
    ----------
    n_outputs
        Linear predictors a patient, C.
    factorises
        Whether the likelihood is a product over patients.
    several
        Whether `log_prob` takes a column an output, (n, C), however many there are; else the only
        one, (n,).
    """

    n_outputs: int = 1
    factorises: bool = True
    several: ClassVar[bool] = False

    @classmethod
    def from_data(cls, data: Data, spec: Any) -> Self:
        """Start at what the observed outcomes say without covariates.

        Parameters
        ----------
        data
            Outcomes of patients.
        spec
            The outcome's specification.

        Raises
        ------
        ValueError
            If there is nothing to learn from: no event, or no value.
        """
        raise NotImplementedError(f"{cls.__name__} is not made from data.")

    def log_prob(self, eta: Tensor, data: Data) -> Tensor:
        """Log-likelihood of each patient, (..., n), 0 where the outcome is not observed.

        Parameters
        ----------
        eta
            Linear predictors without intercept, (..., n), or (..., n, C) where there are
            `several`; of survival they are log relative hazards.
        data
            Outcomes of the n patients.

        Returns
        -------
        Tensor
            One value a patient; of a likelihood that does not factorise their sum.
        """
        raise NotImplementedError(f"{type(self).__name__} has no log_prob.")

    def log_prior(self) -> Tensor:
        """Log prior of the parameters, up to a constant; 0 where it is flat."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prior.")

    def bind(self, data: Data) -> Any:
        """Bind the likelihood to outcomes for the reported head, which profiles its parameters."""
        raise NotImplementedError(f"{type(self).__name__} cannot be bound to outcomes.")
