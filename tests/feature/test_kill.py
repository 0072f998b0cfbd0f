"""Killed at any moment: no row lost or doubled, and little computed twice."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.shard import read_shard
from cxrfeat.system.files import TEMPORARY
from tests.feature.images import make_data
from tests.feature.killed import SHARD_VIEWS

REPOSITORY = Path(__file__).parents[2]
VIEWS = 2


class Killing:
    """One data set, extracted again and again by processes that are killed."""

    def __init__(self, kind: str, folder: Path, per_class: int) -> None:
        self.kind, self.folder = kind, folder
        self.data = make_data(folder / "data", per_class)
        self.seconds = 0.0
        """The last run took, from its `begin`."""
        assert self.run(folder / "whole", None)
        self.whole = files(folder / "whole")
        self.longest = self.seconds
        """Of an undisturbed run."""
        self.total = 2 * per_class * VIEWS
        """Views of each network."""
        self.wasted: list[int] = []
        """Views of the worst network that each kill made worthless."""

    def run(self, features: Path, delay: float | None) -> bool:
        """Extract in a process of its own and kill it after `delay` seconds; whether it ended by itself."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.feature.killed", self.kind, self.data, features, self.log(features)],
            cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        with process.stdout:
            assert process.stdout.readline() == "begin\n"
            begin = time.perf_counter()
            try:
                code = process.wait(timeout=delay)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                return False
        self.seconds = time.perf_counter() - begin
        assert code == 0
        return True

    def log(self, features: Path) -> Path:
        return self.folder / f"{features.name}.log"

    def computed(self, features: Path) -> Counter[str]:
        """Views computed so far, by network, in all processes."""
        log = self.log(features)
        return Counter(log.read_text().splitlines() if log.exists() else [])

    def committed(self, features: Path) -> Counter[str]:
        """Views that are safe, by network."""
        safe: Counter[str] = Counter()
        for path in features.glob("*.h5"):
            safe[path.stem.split("-")[1]] = self.total
        for path in features.glob(".*.work/*.shard"):
            name = path.parent.name.split("-")[1]
            shard = read_shard(path)
            assert shard is not None, "what has its final name is whole"
            safe[name] = min(self.total, safe[name] + VIEWS * len(shard.content_sha256))
        return safe

    def kill(self, kills: int, *, seed: int) -> None:
        """Kill, go on, and begin anew whenever a file is done; each time all files must come out the same."""
        dice = random.Random(seed)
        rounds = 0
        while len(self.wasted) < kills:
            features = self.folder / f"f{rounds}"
            lost: Counter[str] = Counter()
            while not self.run(features, dice.uniform(0, 0.7 * self.longest) if len(self.wasted) < kills else None):
                for path in features.glob("*.h5"):
                    assert path.read_bytes() == self.whole[path.name], "a file in place is a whole one"
                before, lost = lost, self.computed(features) - self.committed(features)
                self.wasted.append(max((lost - before).values(), default=0))
            assert files(features) == self.whole
            assert not [path for path in features.rglob("*") if TEMPORARY in path.name or path.suffix == ".work"]
            assert self.computed(features) == Counter(dict.fromkeys(lost | self.computed(features), self.total)) + lost
            rounds += 1


def files(features: Path) -> dict[str, bytes]:
    """The feature files, each checked to hold every row once."""
    for path in features.glob("*.h5"):
        with FeatureFile(path) as file:
            assert len(set(file.content_sha256)) == file.images
    return {path.name: path.read_bytes() for path in features.glob("*.h5")}


def check_waste(killing: Killing, kills: int) -> None:
    assert len(killing.wasted) >= kills
    assert sum(killing.wasted) <= SHARD_VIEWS * len(killing.wasted), "one shard per kill"
    # The shard that was being computed, and rarely a whole one before it that was just being written.
    assert max(killing.wasted) < 2 * SHARD_VIEWS


def test_a_killed_run_loses_nothing_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    killing = Killing("two", tmp_path, 12)
    killing.kill(3, seed=11)
    check_waste(killing, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "kills", "per_class"), [("two", 100, 12), ("one", 100, 24), ("densenet121", 20, 40)])
def test_many_kills_lose_nothing(tmp_path: Path, kind: str, kills: int, per_class: int) -> None:
    killing = Killing(kind, tmp_path, per_class)
    killing.kill(kills, seed=12)
    check_waste(killing, kills)
