"""Trends: the measured contraction against Eq. 13, slopes against numpy, and the paper's claims in kept files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from eval.reports import trends

RESULTS = Path(__file__).resolve().parents[3] / "eval" / "results"


@pytest.mark.parametrize("timestep", [0, 96, 396])
def test_the_error_is_contracted_as_eq_13_says(timestep):
    generator = torch.Generator().manual_seed(1)
    x_0, error = torch.rand(8, 3, 32, 32, generator=generator), torch.randn(8, 3, 32, 32, generator=generator) * 0.2
    betas = np.linspace(1e-4, 0.02, 1000)
    expected = np.sqrt(np.cumprod(1 - betas)[timestep])
    assert abs(trends.contracted(x_0, x_0 - error, timestep, draws=64) / expected - 1) < 0.02


def test_slopes_are_those_of_a_straight_fit():
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"s": [1, 1.5, 3, 8], "a": generator.normal(size=4), "b": [2.0, 3, 6, 16]})
    found = trends.slopes(table, ["a", "b"])
    assert np.allclose(found, [np.polyfit(table.s, table.a, 1)[0], 2])


@pytest.fixture(scope="module")
def committed():
    return {name: pd.read_csv(RESULTS / f"trends_{name}.csv") for name in ("contraction", "n", "eta", "s")}


def test_contraction_on_the_test_faces(committed):
    table = committed["contraction"]
    assert list(table.N) == list(trends.STARTS)
    assert (np.diff(table.kappa) < 0).all()
    assert (np.abs(table.measured / table.factor - 1) < 0.01).all()
    alphas_cumprod = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[table.timestep]
    assert np.allclose(table.factor, np.sqrt(alphas_cumprod), rtol=1e-4)


def test_fidelity_falls_with_n(committed):
    assert list(committed["n"].N) == list(trends.STARTS) and (np.diff(committed["n"].PSNR) < 0).all()


def test_fidelity_falls_with_eta(committed):
    assert list(committed["eta"].eta) == list(trends.ETAS) and (np.diff(committed["eta"].PSNR) < 0).all()


def test_every_level_of_s_is_there(committed):
    assert list(committed["s"].s) == [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8] and committed["s"].notna().all(axis=None)
