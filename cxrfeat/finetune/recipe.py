"""Named ways to train a network and its head."""

from __future__ import annotations

from cxrfeat.spec import FinetuneSpec, HeadSpec

PAPER = FinetuneSpec(head=HeadSpec(kind="dropout"), clip=None, batchnorm="trained")
"""The study's: the protocol of its heads, everything trainable, from a head that knows nothing; the last epoch is kept.
It destroyed VGG16 (test accuracy 0.3388). Source: PAPER.md, protocol, "V3 / -FT"."""

DEFAULT = FinetuneSpec(
    head=HeadSpec(
        kind="softmax", epochs=12, optimizer="adam", learning_rate=1e-4, schedule="cosine", patience=4, batch=32
    )
)
"""From a warm head: short steps that get shorter, batch normalisation as it was, no gradient longer than 1."""

SCRATCH = FinetuneSpec(
    head=HeadSpec(
        kind="softmax", epochs=40, optimizer="adam", learning_rate=1e-3, schedule="cosine", patience=10, batch=32
    ),
    batchnorm="trained",
)
"""From nothing: longer steps, more epochs, and batches normalised by what they hold."""
