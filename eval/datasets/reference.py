"""The reference of FID-F: Inception statistics of FFHQ, as BasicSR publishes them."""

from pathlib import Path

from difface import weights

FFHQ_STATISTICS = {512: "inception_FFHQ_512-f7b384ab.pth", 256: "inception_FFHQ_256-0948f50d.pth"}
"""Side of the images in pixels -> file in the catalog of `difface.weights`; 50,000 images each."""


def ffhq_statistics(size: int) -> Path:
    """Where the statistics of FFHQ at that size are, a dict with `name`, `size`, `mean` (2048,) and `cov` (2048, 2048).

    Raises:
        ValueError: there are none for this size.
        difface.weights.WeightMissing: the file is not there; the message says where it comes from and where to put it.
    """
    if size not in FFHQ_STATISTICS:
        raise ValueError(f"FFHQ statistics are published for sizes {', '.join(map(str, FFHQ_STATISTICS))}; got {size}.")
    return weights.find(FFHQ_STATISTICS[size])
