"""What is deprecated and called by our own code fails the tests; what other packages do to each other does not."""

import warnings

import pytest


@pytest.mark.parametrize("kind", [DeprecationWarning, FutureWarning])
def test_our_own_deprecations_are_errors(kind) -> None:
    for module in ("difface", "difface.metrics.fid", "eval.run", "space.page"):
        with pytest.raises(kind, match="old"):
            warnings.warn_explicit("old", kind, "file.py", 1, module)
    for module in ("diffusers.models", "evaluate", "torch.onnx"):
        warnings.warn_explicit("old", kind, "file.py", 1, module)
