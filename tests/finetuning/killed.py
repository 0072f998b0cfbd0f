"""A small fine-tuning to be killed: `python -m tests.finetuning.killed DATA NETWORK OUT EPOCHS`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from cxrfeat.finetuning.recipe import DEFAULT
from cxrfeat.workflow.finetune import finetune


def main(data: str, network: str, out: str, epochs: str) -> None:
    head = replace(DEFAULT.head, epochs=int(epochs), batch=8, learning_rate=1e-3, patience=None)

    def tell(name: str, done: int, total: int) -> None:
        print(name, done, total, flush=True)

    finetune(
        data, backbone=network, preprocess="tf", spec=replace(DEFAULT, head=head), features=Path(out) / "features",
        runs=Path(out) / "runs", name="run", checkpoint_every=0.0, progress=tell,
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
