"""Noise that is a patient's own: the same whoever else is asked about, and in whatever order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["OwnNoise"]

FRESH: dict[Any, Callable[..., Tensor]] = {torch.randn: torch.randn, torch.rand: torch.rand}
LIKE: dict[Any, Callable[..., Tensor]] = {
    torch.randn_like: torch.randn,
    torch.rand_like: torch.rand,
}
BY_ENTRY = {
    torch.normal,
    torch.bernoulli,
    torch.poisson,
    torch.binomial,
    torch._standard_gamma,
    torch._sample_dirichlet,
}
IN_PLACE = {
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
    torch.Tensor.exponential_,
    torch.Tensor.bernoulli_,
}


class OwnNoise(TorchFunctionMode):
    """Within it, what torch draws for a patient comes from a stream of that patient.

    The stream is told by the patient's name, a seed and what is drawn. So a patient has the same
    draws alone as in a cohort, and draws of two patients are independent.

    Parameters
    ----------
    names
        The patients.
    seed
        Same seed, same draws.
    what
        What is drawn, so that two things of a patient differ.
    axis
        Axis of the patients in all that is drawn, counted from the front: 1 behind draws, else 0.

    Examples
    --------
    >>> with OwnNoise(["a", "b", "c"], 0, "z"):
    ...     together = torch.randn(5, 3, 2)
    >>> with OwnNoise(["c"], 0, "z"):
    ...     alone = torch.randn(5, 1, 2)
    >>> bool((alone[:, 0] == together[:, 2]).all())
    True
    """

    def __init__(self, names: Sequence[str], seed: int, what: str, *, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis
        self.streams = [_stream(seed, what, name) for name in names]
        self.common = _stream(seed, what, "")

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Draw for each patient in turn; anything that is not random is left to torch."""
        kwargs = dict(kwargs or {})
        if func in FRESH:
            shape = torch.Size(args[0] if len(args) == 1 and _is_size(args[0]) else args)
            return self._fresh(FRESH[func], shape, kwargs)
        if func in LIKE:
            like = args[0]
            return self._fresh(LIKE[func], like.shape, {"dtype": like.dtype, **kwargs})
        if func is torch.multinomial:
            return self._multinomial(*args, **kwargs)
        if func in BY_ENTRY:
            return self._by_entry(func, args, kwargs)
        if func in IN_PLACE:
            for rows, stream in self._split(args[0]):
                own = rows.clone(memory_format=torch.contiguous_format)
                rows.copy_(func(own, *args[1:], **{**kwargs, "generator": stream}))
            return args[0]
        return func(*args, **kwargs)

    def _split(self, x: Tensor) -> list[tuple[Tensor, torch.Generator]]:
        """Rows of each patient with the patient's stream; all with one where there are no such."""
        if x.dim() <= self.axis or x.shape[self.axis] != len(self.streams):
            return [(x, self.common)]
        return list(zip(x.split(1, self.axis), self.streams, strict=True))

    def _fresh(self, draw: Callable[..., Tensor], shape: torch.Size, options: Any) -> Tensor:
        out = torch.empty(shape, **options)
        for rows, stream in self._split(out):
            rows.copy_(draw(rows.shape, generator=stream, dtype=out.dtype))
        return out

    def _by_entry(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        tensors = torch.broadcast_tensors(*(x for x in args if isinstance(x, Tensor)))
        by_patient = [self._split(x) for x in tensors]
        parts = []
        for pieces in zip(*by_patient, strict=True):
            left = iter(rows.contiguous() for rows, _ in pieces)  # filled as they lie in memory
            own = [next(left) if isinstance(x, Tensor) else x for x in args]
            parts.append(func(*own, **{**kwargs, "generator": pieces[0][1]}))
        return parts[0] if len(parts) == 1 else torch.cat(parts, self.axis)

    def _multinomial(self, weights: Tensor, n: int, replacement: bool = False, **_: Any) -> Tensor:
        """Classes of (draws, patients) from the same weights, flattened as torch flattens them."""
        patients = len(self.streams)
        if len(weights) != 1 or not patients or n % patients:
            return torch.multinomial(weights, n, replacement, generator=self.common)
        own = [
            torch.multinomial(weights[0], n // patients, replacement, generator=stream)
            for stream in self.streams
        ]
        return torch.stack(own, 1).reshape(1, n)


def _is_size(value: Any) -> bool:
    return isinstance(value, Sequence)


def _stream(seed: int, what: str, name: str) -> torch.Generator:
    """A generator told by a seed and names; names that differ at all have streams that do."""
    key = "\0".join([str(seed), what, name]).encode("utf-8", "surrogatepass")
    number = int.from_bytes(blake2b(key, digest_size=8).digest(), "little") >> 1
    return torch.Generator().manual_seed(number)
