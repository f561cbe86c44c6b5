"""The score and the identity filter of the NTIRE 2025 challenge on real-world face restoration (Chen et al., CVPRW
2025; zhengchen1999/NTIRE2025_RealWorld_Face_Restoration, eval.py), made of a row's other columns."""

from collections.abc import Iterable, Mapping

SCORE = "NTIRE score"
PARTS = ("CLIP-IQA", "MANIQA", "MUSIQ", "NIQE", "Q-Align", "FID-F")
"""Columns that it is made of."""
BELOW = "below NTIRE's limit"
"""Pictures that the filter takes for another person; a submission fails with more than ten of the 450."""
COSINE = "AdaFace cosine"
"""The column that it is made of."""
LIMITS = {"celeba": 0.5, "lfw": 0.6, "celebchild": 0.6, "webphoto": 0.3, "wider": 0.3}
"""Set of the challenge -> the least cosine of input and result."""


def score(means: Mapping[str, float]) -> float:
    """CLIP-IQA + MANIQA + MUSIQ / 100 + Q-Align / 5 + max(0, (10 - NIQE) / 10) + max(0, (100 - FID) / 100), higher is
    better.

    Args:
        means: of each of `PARTS`, over all pictures.

    Example:
        >>> score({"CLIP-IQA": 0.9, "MANIQA": 0.7, "MUSIQ": 75, "Q-Align": 4.5, "NIQE": 4, "FID-F": 40})
        4.45
        >>> score({"CLIP-IQA": 0.9, "MANIQA": 0.7, "MUSIQ": 75, "Q-Align": 4.5, "NIQE": 14, "FID-F": 140})
        3.25
    """
    plain = means["CLIP-IQA"] + means["MANIQA"] + means["MUSIQ"] / 100 + means["Q-Align"] / 5
    return plain + max(0, (10 - means["NIQE"]) / 10) + max(0, (100 - means["FID-F"]) / 100)


def limit(name: str) -> float | None:
    """The least cosine for a data set of that name, whatever its case and with -Test or without; None of other sets.

    Example:
        >>> limit("lfw"), limit("CelebChild-Test"), limit("sampled")
        (0.6, 0.6, None)
    """
    return LIMITS.get(name.lower().removesuffix("-test"))


def below(cosines: Iterable[float], least: float) -> int:
    """How many pictures fall below a set's limit.

    Example:
        >>> below([0.59, 0.6, 0.9], 0.6)
        1
    """
    return sum(cosine < least for cosine in cosines)
