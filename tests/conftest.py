"""What the tests share: where outside data is, and small pieces."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder in `DIFFACE_TESTDATA` (parity fixtures, portraits, ONNX models, real photos)."""
    folder = os.environ.get("DIFFACE_TESTDATA")
    if not folder:
        pytest.skip("DIFFACE_TESTDATA is not set")
    return Path(folder)
