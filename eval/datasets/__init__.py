"""Test sets: clean faces with their degraded inputs, or real photos alone, each in a folder with a manifest.

`build` makes one from faces sampled from the embedded prior, from CelebA-HQ or from a folder, degraded by Eq. 17;
`build_known` one of a mask, grey or small pictures; `build_real` takes a folder of real photos; `open_dataset` reads
one back.
"""

from eval.datasets.degradations import BlockMeans, Grey, Known
from eval.datasets.known import KINDS, build_known
from eval.datasets.manifest import (
    PRIOR,
    Dataset,
    Item,
    generator_of,
    name_seed,
    noise_of,
    open_dataset,
    read_description,
)
from eval.datasets.real import REAL_WORLD, build_real
from eval.datasets.reference import ffhq_statistics
from eval.datasets.synthetic import build

__all__ = [
    "KINDS",
    "PRIOR",
    "REAL_WORLD",
    "BlockMeans",
    "Dataset",
    "Grey",
    "Item",
    "Known",
    "build",
    "build_known",
    "build_real",
    "ffhq_statistics",
    "generator_of",
    "name_seed",
    "noise_of",
    "open_dataset",
    "read_description",
]
