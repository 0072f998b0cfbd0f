"""The only place that knows how many groups an interval takes: apart from what makes them, for it needs no NumPy."""

LEAST_GROUPS = 8
"""Groups (of each class, where it takes several) below which a score has no interval: with fewer, chance alone tells
classes apart without a doubt."""

NO_INTERVAL = f"fewer than {LEAST_GROUPS} patients or groups (of a class)"
"""Why a score has none, for people."""
