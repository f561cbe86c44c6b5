"""What all reports are told: whose networks are measured, on which faces, and where what is made is kept."""

from dataclasses import dataclass
from pathlib import Path

from difface import folders, profiles
from eval.datasets import Dataset
from eval.run import Runner
from eval.tables.data import dataset, known


@dataclass(frozen=True)
class Study:
    """The faces and the networks of a report; the seed of a face comes from its file's name.

    Attributes:
        test: folder of aligned faces of the profile's size that no network was trained on, to degrade and restore.
        train: folder of its training faces, which distances between sets refer to.
        work: folder for pictures and scores; what is there is not made again.
        profile: whose networks.
        limit: only so many test faces.
        dtype: of the networks, as in `difface.profiles.load`; the sampler's state is float32 in any case.
    """

    test: Path
    train: Path
    work: Path
    profile: str = "tiny"
    limit: int | None = None
    dtype: str = "float32"

    @property
    def size(self) -> int:
        """Side of the faces in pixels."""
        return profiles.profile(self.profile).size

    @property
    def files(self) -> list[Path]:
        """The test faces."""
        return folders.find([self.test])[: self.limit]

    def runner(self, batch: int) -> Runner:
        """Which restores and scores, `batch` pictures at once."""
        return Runner(self.work, dtype=self.dtype, batch=batch, reference=self.train)

    def degraded(self, scale: float) -> Dataset:
        """The test faces, made worse by Eq. 17 with s = `scale`."""
        return dataset(str(self.test), self.work / "data", self.profile, self.limit, scale)[1]

    def known(self, kind: str) -> Dataset:
        """The test faces, made worse by a kind of `eval.datasets.KINDS`."""
        return known(str(self.test), self.work / "data", self.profile, self.limit, kind)
