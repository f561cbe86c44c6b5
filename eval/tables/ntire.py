"""The score of the NTIRE 2025 challenge on real-world face restoration, made of a row's other columns."""

from collections.abc import Mapping

SCORE = "NTIRE score"
PARTS = ("CLIP-IQA", "MANIQA", "MUSIQ", "NIQE", "Q-Align", "FID-F")
"""Columns that it is made of."""


def score(means: Mapping[str, float]) -> float:
    """CLIP-IQA + MANIQA + MUSIQ / 100 + Q-Align / 5 + max(0, (10 - NIQE) / 10) + max(0, (100 - FID) / 100), higher is
    better (Chen et al., CVPRW 2025, eval.py of the challenge).

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
