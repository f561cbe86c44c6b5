"""Test sets: clean faces with their degraded inputs, or real photos alone, each in a folder with a manifest.

`build` makes one from faces sampled from the embedded prior, from CelebA-HQ or from a folder; `build_real` takes a
folder of real photos; `open_dataset` reads one back.
"""

from eval.datasets.manifest import Dataset, Item, generator_of, name_seed, open_dataset
from eval.datasets.real import REAL_WORLD, build_real
from eval.datasets.reference import ffhq_statistics
from eval.datasets.synthetic import build

__all__ = [
    "REAL_WORLD",
    "Dataset",
    "Item",
    "build",
    "build_real",
    "ffhq_statistics",
    "generator_of",
    "name_seed",
    "open_dataset",
]
