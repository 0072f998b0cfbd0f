"""Whether a batch fits into memory, asked before training: else a CPU's process is killed without a word."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cxrfeat.errors import UsageError

MARGIN = 0.9
"""Share of the free memory that may be planned with."""


def available_memory() -> int | None:
    """Bytes that this process may still take, `None` where the system does not say."""
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(int(line.split()[1]) * 1024)
    except (OSError, ValueError):
        pass
    try:  # a container's own limit
        most = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if most.isdigit():
            # What files left behind in memory is given up when it is needed.
            told = dict(line.split() for line in Path("/sys/fs/cgroup/memory.stat").read_text().splitlines())
            used = int(Path("/sys/fs/cgroup/memory.current").read_text()) - int(told.get("inactive_file", 0))
            limits.append(int(most) - used)
    except (OSError, ValueError):
        pass
    if not limits and hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits, default=None)


def activation_bytes(body: Any) -> int:  # noqa: ANN401  # Keras has no types
    """Bytes that one image's values take on their way through a network, all of them kept for the way back."""
    total = 0
    for layer in layers_of(body):
        for node in getattr(layer, "_inbound_nodes", [])[:1]:
            for tensor in node.outputs:
                sizes = tensor.shape[1:]
                if all(isinstance(size, int) for size in sizes):
                    count = 4
                    for size in sizes:
                        count *= size
                    total += count
    return total


def layers_of(model: Any) -> list[Any]:  # noqa: ANN401  # Keras has no types
    """Every layer of a network, those of networks inside it too, in order."""
    found: list[Any] = []
    for layer in model.layers:
        found += layers_of(layer) if getattr(layer, "layers", None) else [layer]
    return found


def check_batch(body: Any, batch: int, parameters: int, free: int | None) -> None:  # noqa: ANN401  # Keras has no types
    """Refuse a batch that cannot fit.

    Args:
        body: The network.
        batch: Images per step.
        parameters: How many numbers are trained; each has a gradient, and up to two memories in the optimiser.
        free: Bytes of memory, `None` where unknown: then nothing is refused.

    Raises:
        UsageError: Naming the largest batch that would fit.
    """
    each, fixed = activation_bytes(body), 16 * parameters
    if free is None or fixed + batch * each <= MARGIN * free:
        return
    most = int((MARGIN * free - fixed) // each) if each else 0
    remedy = (
        f"The largest that fits is `batch={most}`." if most > 0 else "Not even one image fits: take a smaller `size`."
    )
    raise UsageError(
        f"`batch={batch}` takes about {(fixed + batch * each) / 2**30:.1f} GB of memory for this network, and "
        f"{free / 2**30:.1f} GB are free. {remedy} (Or close other programs.)"
    )
