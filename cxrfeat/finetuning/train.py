"""The training of a network and its head: what a step sees, when to stop, which epoch is kept, and how it continues."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from cxrfeat.errors import InputError
from cxrfeat.finetuning.checkpoint import Checkpoints, TrainingState
from cxrfeat.finetuning.images import Images, Indices
from cxrfeat.finetuning.trainable import Trainable, Weights, one_hot
from cxrfeat.head.network_head import learning_rates
from cxrfeat.head.sampling import epoch_rows
from cxrfeat.head.training_set import importance
from cxrfeat.metric.calibrate import fit_temperature, log_loss
from cxrfeat.run.table import Epoch, History
from cxrfeat.spec import FinetuneSpec
from cxrfeat.types import Labels, Progress, named

CHECKPOINT_EVERY = 120.0
"""Seconds between checkpoints within an epoch: what a kill can cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came of a training run."""

    weights: Weights
    """Of the kept epoch."""
    history: History
    """One row per epoch, 0 being the start: `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`, `kept`."""
    seconds: float
    """Of training and validation, whatever was interrupted in between."""
    notes: list[str]
    diverged: str | None
    """Where the loss was no number any more, and what to do; the weights are the last good ones."""


def train(
    trainable: Trainable,
    spec: FinetuneSpec,
    images: Images,
    labels: Labels,
    training: Indices,
    validation: Indices,
    checkpoints: Checkpoints,
    *,
    every: float = CHECKPOINT_EVERY,
    tell: Progress | None = None,
) -> Trained:
    """Train a network and its head together, going on from a checkpoint where there is one.

    Each epoch sees one view of every training image, drawn anew. With `patience`, the epoch of the least validation
    loss is kept, the start among them; without, the last one is. Where the head is to be calibrated, that loss is the
    one at the best temperature.

    Args:
        trainable: Network and head.
        spec: The protocol.
        images: All images.
        labels: `(images,)` class indices.
        training: Places of the images to train on.
        validation: Places of those to validate on; may be empty.
        checkpoints: Where the run keeps what it has.
        every: Seconds between checkpoints within an epoch.
        tell: Called after every batch.

    Raises:
        InputError: If an image can no longer be used.
        UsageError: If the device has too little memory.
        StorageError: If a checkpoint cannot be written.
    """
    head, classes = spec.head, len(trainable.classes)
    y = labels[training]
    targets = one_hot(y, classes)
    weights_of_rows = importance(y, classes, head.class_weights).astype(np.float32)
    steps = -(-len(training) // head.batch)
    rates = learning_rates(head, steps * head.epochs)
    views = images.plain(validation, named(tell, "validation images"))
    stops = head.patience is not None and len(validation) > 0

    def validate() -> dict[str, float | None]:
        if not len(validation):
            return {"val_loss": None, "val_accuracy": None}
        features = trainable.features(views, named(tell, "validation"))
        decision, found = trainable.weights().head.decision(features), labels[validation]
        # Training goes on sharpening probabilities long after it has stopped to tell classes apart better; where they
        # are calibrated in the end, that is no reason to stop.
        temperature = fit_temperature(decision, found) if head.calibrate else 1.0
        return {
            "val_loss": log_loss(decision / temperature, found),
            "val_accuracy": float((decision.argmax(1) == found).mean()),
        }

    begun = checkpoints.load()
    if begun is None:
        now, kept = TrainingState(), trainable.weights()
        start = time.perf_counter()
        now.history.append({"epoch": 0, "loss": None, "accuracy": None, **validate()})
        now.seconds = time.perf_counter() - start
        checkpoints.keep(0, kept)
        checkpoints.save(now, trainable.state())
    else:
        now, state, kept = begun
        try:
            trainable.set_state(state)
        except ValueError as error:
            raise InputError(
                f"The checkpoints in {checkpoints.folder} are of another version of Keras or cxrfeat ({error}). "
                "Delete that folder, and run the command again."
            ) from error
    diverged: str | None = None
    start, before = time.perf_counter(), now.seconds
    while now.epoch < head.epochs and diverged is None:
        if stops and now.epoch - now.kept >= (head.patience or 0):
            break
        number = now.epoch + 1
        order, _ = epoch_rows(len(training), 1, None, head.seed, now.epoch)
        saved = time.perf_counter()
        rest = order[now.batch * head.batch :]
        for drawn in images.batches(training[rest], now.epoch, head.batch):
            rows = order[now.batch * head.batch : (now.batch + 1) * head.batch]
            rate = float(rates[now.epoch * steps + now.batch])
            loss, accuracy = trainable.learn(drawn, targets[rows], weights_of_rows[rows], rate)
            if not np.isfinite(loss):
                diverged = _advice(number, now, rate)
                break
            now.batch += 1
            now.loss, now.hits = now.loss + loss * len(rows), now.hits + accuracy * len(rows)
            now.seconds = before + time.perf_counter() - start
            if tell:
                tell(f"epoch {number} of {head.epochs}", min(now.batch * head.batch, len(training)), len(training))
            if now.batch < steps and time.perf_counter() - saved >= every:
                checkpoints.save(now, trainable.state())
                saved = time.perf_counter()
        if diverged is not None:
            break
        if not trainable.finite():
            diverged = _advice(number, now, rate)
            break
        told = validate()
        now.history.append(
            {"epoch": number, "loss": now.loss / len(training), "accuracy": now.hits / len(training), **told}
        )
        now.epoch, now.batch, now.loss, now.hits = number, 0, 0.0, 0.0
        now.seconds = before + time.perf_counter() - start
        least = now.history[now.kept]["val_loss"]
        if not stops or told["val_loss"] < least - head.min_delta:
            now.kept, kept = number, trainable.weights()
            checkpoints.keep(number, kept)
        checkpoints.save(now, trainable.state())
    trainable.set_weights(kept)
    history = History(tuple(Epoch(**row, kept=row["epoch"] == now.kept) for row in now.history))
    return Trained(
        weights=kept, history=history, seconds=now.seconds, notes=_notes(spec, now, stops=stops), diverged=diverged
    )


def _advice(number: int, now: TrainingState, rate: float) -> str:
    return (
        f"Training diverged in epoch {number}, step {now.batch + 1}: the loss is not a number any more. Steps of "
        f"learning rate {rate:g} are too long for this network; try `learning_rate={rate / 10:.2g}`, and `clip=1`. "
        f"The weights of epoch {now.kept}, the last good ones, are kept."
    )


def _notes(spec: FinetuneSpec, now: TrainingState, *, stops: bool) -> list[str]:
    if not stops:
        return []
    notes = [f"Trained for {now.epoch} epochs of at most {spec.head.epochs}; epoch {now.kept} is kept."]
    if now.epoch and not now.kept:
        notes.append(
            "No epoch lowered the validation loss, so network and head are as they began: training did not help here."
        )
    return notes
