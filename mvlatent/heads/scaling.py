"""Blocks of features: checked, centred and brought to one scale a block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BlockScaling", "checked_blocks", "starting_sds"]

PRIOR_VARIANCE = 0.5  # of the linear predictor, shared by the free blocks at the start


@dataclass(frozen=True)
class BlockScaling:
    """Centre of every column and one scale a block, in the order of the blocks."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    mean: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, blocks: Mapping[str, Tensor]) -> BlockScaling:
        """Learn the scaling of blocks (n, p_b)."""
        names, sizes = tuple(blocks), tuple(b.shape[-1] for b in blocks.values())
        means, scales = [], []
        for x in blocks.values():
            means.append(x.mean(0))
            variance = (x - means[-1]).square().mean() if x.shape[1] else x.new_zeros(())
            level = x.square().mean() if x.shape[1] else x.new_zeros(())
            scales.append(torch.where(variance > 1e-20 * level, variance.sqrt(), 1.0))
        return cls(names, sizes, torch.cat(means), torch.stack(scales))

    def by_column(self, values: Tensor) -> Tensor:
        """Repeat values of blocks (B,) for the columns of each, (P,)."""
        return values.repeat_interleave(torch.tensor(self.sizes))

    def __call__(self, blocks: Mapping[str, Tensor]) -> list[Tensor]:
        """Scaled blocks in order; KeyError or ValueError where they do not fit."""
        missing = [name for name in self.names if name not in blocks]
        if missing:
            raise KeyError(
                f"the head was fitted on blocks {missing} too; give them beside {sorted(blocks)}."
            )
        out = []
        for name, size, mean, scale in zip(
            self.names, self.sizes, self.mean.split(self.sizes), self.scale, strict=True
        ):
            x = blocks[name].double()
            if x.shape[-1] != size:
                raise ValueError(
                    f"block {name!r} has {x.shape[-1]} columns; the head was fitted on {size}."
                )
            out.append((x - mean) / scale)
        return out


def checked_blocks(blocks: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the blocks; ValueError where they are none, not finite or differ in rows."""
    if not blocks:
        raise ValueError("a head needs at least one block of features.")
    if len({len(x) for x in blocks.values()}) > 1:
        rows = {name: len(x) for name, x in blocks.items()}
        raise ValueError(f"blocks differ in rows: {rows}; give each a row a patient.")
    bad = [name for name, x in blocks.items() if not bool(torch.isfinite(x).all())]
    if bad:
        raise ValueError(
            f"blocks {bad} hold values that are not finite; impute or drop them first."
        )
    return blocks


def starting_sds(scaling: BlockScaling, fixed_sd: Mapping[str, float]) -> tuple[Tensor, Tensor]:
    """Sds (B,) that share the prior variance evenly, and which of them are fixed (B,)."""
    unknown = sorted(set(fixed_sd) - set(scaling.names))
    if unknown:
        raise ValueError(f"fixed_sd names {unknown}; the blocks are {list(scaling.names)}.")
    blocks = list(zip(scaling.names, scaling.sizes, strict=True))
    fixed = torch.tensor([name in fixed_sd or size == 0 for name, size in blocks])
    share = PRIOR_VARIANCE / max(1, int((~fixed).sum()))
    tau = [
        float(fixed_sd[name]) if name in fixed_sd else (share / size) ** 0.5 if size else 0.0
        for name, size in blocks
    ]
    return torch.tensor(tau, dtype=torch.float64), fixed
