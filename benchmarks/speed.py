"""Seconds an epoch of our loop against a hand-written one, and the memory of start and loop.

``python benchmarks/speed.py`` simulates three views of 400 patients, times one full-batch epoch of
our loop and of `_plain_loop.PlainLoop` (the same networks, KLs by hand, no Pyro) in turn, A B A B,
and measures the peak memory in a fresh process. Writes ``results/speed.md``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyro
import torch
from _arguments import parse, parser
from _markdown import number, publish, table
from _memory import peak
from _plain_loop import PlainLoop

from mvlatent.data.cohort import Cohort, CohortView, Group
from mvlatent.fitting.loop import _Run
from mvlatent.fitting.plan import Plan
from mvlatent.fitting.start.spectral import spectral_start
from mvlatent.objectives.objective import Objective
from mvlatent.vae.basis import fit_bases, rotate
from mvlatent.vae.structured import Design, StructuredVAE, ViewDesign

N, N_SITES, N_SHARED, N_PRIVATE = 400, 30, 16, 8
SIZES = (1_500, 20_000)
MEMORY = "--memory"
HEADER = ("features", "loop", "wall ms", "CPU ms", "wall ratio", "CPU ratio")
RESULT = Path(__file__).parent / "results" / "speed.md"


def simulate(n_features: int, noise: str = "feature", *, n: int = N, seed: int = 0) -> Cohort:
    """Return three complete views (half, quarter, quarter) with ten factors and site effects."""
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 10, generator=rng)
    site = torch.nn.functional.one_hot(torch.randint(N_SITES, (n,), generator=rng), N_SITES).float()
    views = {}
    for name, share in (("a", 2), ("b", 4), ("c", 4)):
        p = n_features // share
        x = torch.addmm(
            torch.randn(n, p, generator=rng),
            torch.cat([z, site], 1),
            0.3 * torch.randn(10 + N_SITES, p, generator=rng),
        )
        x = (x - x.mean(0)) / x.std(0)
        views[name] = complete(x, noise)
    names = tuple(map(str, range(n)))
    levels = Group("site", slice(0, N_SITES), "categorical", tuple(map(str, range(N_SITES))))
    return Cohort(names, views, site, (levels,), torch.zeros(n, 0), ())


def complete(x: torch.Tensor, noise: str = "feature") -> CohortView:
    """Return a view that every patient has."""
    n, p = x.shape
    names = tuple(map(str, range(p)))
    return CohortView(x, torch.ones(n, dtype=torch.bool), None, "normal", noise, names)


def build(cohort: Cohort) -> StructuredVAE:
    """Return our model of the cohort after its spectral start."""
    torch.manual_seed(0)
    views = tuple(
        ViewDesign(k, v.likelihood, v.noise, v.x.shape[1], v.n_outside, N_PRIVATE)
        for k, v in cohort.views.items()
    )
    vae = StructuredVAE(
        Design(views, N_SHARED, technical_groups=((0, N_SITES),), n_technical=N_SITES)
    )
    spectral_start(vae, cohort, kind="svd")
    return vae


def our_epoch(cohort: Cohort, vae: StructuredVAE) -> Callable[[], object]:
    """Return one epoch of `mvlatent.fitting.loop.fit`, without the row of history that follows."""
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=1)
    run = _Run(fabric, Objective(vae), Plan(max_epochs=1_000))
    rng = torch.Generator().manual_seed(0)
    return lambda: run.epoch(cohort, 0, rng)


def plain_epoch(cohort: Cohort, vae: StructuredVAE) -> Callable[[], object]:
    """Return one epoch of the hand-written loop, started where ours is."""
    xs = [view.x for view in cohort.views.values()]
    plain = PlainLoop(N_SHARED, N_PRIVATE, N_SITES, [x.shape[1] for x in xs])
    with torch.no_grad():
        for view, part in zip(plain.views, vae.parts, strict=True):
            view.loadings.copy_(torch.cat([part.decoder.shared, part.decoder.private]))
            view.intercept.copy_(part.decoder.intercept)
            view.effects.copy_(part.effects.loc)
            view.log_scale.copy_(part.likelihood.log_scale)
            view.prior_precision.copy_(part.effects.prior_sd[:, None] ** -2)
            view.energy.copy_(part.effects.energy[:, None])
    optimizer = torch.optim.AdamW(plain.parameters(), lr=Plan().lr, weight_decay=0.0, fused=True)

    def epoch() -> float:
        loss = plain(xs, cohort.technical)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()  # a row of history needs it too

    return epoch


def interleaved(arms: dict[str, Callable[[], object]], n: int) -> dict[str, np.ndarray]:
    """Return seconds of ``n`` calls of each arm in turn: columns wall clock and CPU."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    with pyro.validation_enabled(False):
        for repeat in range(n + 3):
            for name, arm in arms.items():
                begun = time.perf_counter(), time.process_time()
                arm()
                if repeat >= 3:  # the first ones warm up
                    done = time.perf_counter(), time.process_time()
                    taken[name].append((done[0] - begun[0], done[1] - begun[1]))
    return {name: np.asarray(seconds) for name, seconds in taken.items()}


def time_size(n_features: int, n_epochs: int, *, rotated: bool) -> list[list[str]]:
    """Return rows of the table for one number of features."""
    cohort = simulate(n_features)
    vae = build(cohort)
    arms = {"plain": plain_epoch(cohort, vae), "ours": our_epoch(cohort, vae)}
    if rotated:
        homoscedastic = simulate(n_features, "view")
        turned = rotate(homoscedastic, fit_bases(homoscedastic))
        arms["ours, noise='view', rotated"] = our_epoch(turned, build(turned))
    taken = interleaved(arms, n_epochs)
    reference = np.median(taken["plain"], axis=0)
    rows = []
    for name, seconds in taken.items():
        wall, cpu = np.median(seconds, axis=0)
        ratio = np.median(seconds[:, 0] / taken["plain"][:, 0])
        times = [number(1e3 * wall, ".1f"), number(1e3 * cpu, ".1f")]
        ratios = [number(ratio, ".2f"), number(cpu / reference[1], ".2f")]
        rows.append([f"{n_features:,}", name, *times, *ratios])
    return rows


def measure_memory(file: str) -> None:
    """Print the growth of the peak while a cohort is read and fitted, as a multiple of its bytes.

    That of tensors, spectral start and ten epochs; ``fits.py`` has whole fits. Everything is
    imported and warmed up on a small cohort first.
    """
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        small = Path(folder) / "small.npz"
        save(simulate(60, n=60), small)
        _fit_tensors(small)
    before = peak()
    n_bytes = _fit_tensors(Path(file))
    print((peak() - before) / n_bytes)


def save(cohort: Cohort, path: Path) -> None:
    """Write views and sites."""
    site = cohort.technical.argmax(1).numpy()
    np.savez(path, site=site, **{k: v.x.numpy() for k, v in cohort.views.items()})


def _fit_tensors(path: Path) -> int:
    with np.load(path) as arrays:
        data = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    site = torch.nn.functional.one_hot(data.pop("site").long(), N_SITES).float()
    n = len(site)
    views = {name: complete(x) for name, x in data.items()}
    cohort = Cohort(("",) * n, views, site, (), torch.zeros(n, 0), ())
    epoch = our_epoch(cohort, build(cohort))
    with pyro.validation_enabled(False):
        for _ in range(10):
            epoch()
    return sum(x.nbytes for x in data.values())


def memory(n_features: int) -> float:
    """Return the peak of start and loop in a fresh process, as a multiple of the data's bytes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cohort.npz"
        save(simulate(n_features), path)
        command = [sys.executable, __file__, MEMORY, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Time, measure, print and write the table."""
    command_line = parser(__doc__)
    command_line.add_argument("--epochs", type=int, default=40, help="timed at the largest size")
    arguments = parse(command_line)
    rows = []
    for p in SIZES:
        n_epochs = arguments.epochs * (1 if p == max(SIZES) else 4)
        rows += time_size(p, n_epochs, rotated=p == max(SIZES))
    lines = [
        f"One full-batch epoch of {N} patients, three views, k = {N_SHARED}, d = {N_PRIVATE}, "
        f"{N_SITES} sites; medians, arms in turn, {arguments.threads} thread(s). Ratios are to the "
        "hand-written loop: wall clock (paired, median) and CPU time.",
        "",
        *table(
            ["features", "loop", "wall ms", "CPU ms", "wall ratio", "CPU ratio"], rows, n_left=2
        ),
        "",
        "Growth of the peak resident memory of a fresh process, the data included, as a multiple "
        f"of the data's float32 bytes ({4 * N * max(SIZES) / 2**20:.0f} MiB):",
        "",
        *table(
            ["features", "tensors, start and loop"],
            [[f"{max(SIZES):,}", number(memory(max(SIZES)), ".1f")]],
        ),
    ]
    publish(RESULT, "Speed and memory", lines)


if __name__ == "__main__":
    if sys.argv[1:2] == [MEMORY]:
        measure_memory(sys.argv[2])
    else:
        main()
