"""PSNR after each channel was given the truth's moments."""

import numpy as np
import pytest
import torch

from difface.metrics import METRICS


def test_matched_colours_forgive_a_tint_and_nothing_else():
    """By the formula on one channel: what is left is the error after the best straight line through the moments."""
    draw = torch.Generator().manual_seed(1)
    truth, noise = (torch.rand(2, 3, 16, 16, generator=draw) for _ in range(2))
    restored = 0.7 * truth + 0.1 * noise
    for tint in (0.0, 0.2):
        metric = METRICS["PSNR (colours matched)"]()
        metric.update((restored + tint).clamp(0, 2), truth)
        expected = []
        for one, whole in zip(restored.double().numpy(), truth.double().numpy(), strict=True):
            errors = [
                ((a - a.mean()) / a.std(ddof=1) * b.std(ddof=1) + b.mean() - b) ** 2
                for a, b in zip(one, whole, strict=True)
            ]
            expected.append(-10 * np.log10(np.mean(errors)))
        assert metric.values == pytest.approx(expected, abs=1e-4)
