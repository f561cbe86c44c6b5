"""Weights: what exists (`CATALOG`), where it is (`find`, `fetch`), official checkpoints for diffusers (`convert`)."""

from difface.weights.catalog import CATALOG, Weight, lookup
from difface.weights.convert import ConversionError, convert, converted, is_converted
from difface.weights.download import cache_folder, fetch, find, find_any, places
from difface.weights.formats import (
    LicenceNotAccepted,
    WeightError,
    WeightMissing,
    WeightRefused,
    check_format,
    load_state_dict,
)

__all__ = [
    "CATALOG",
    "ConversionError",
    "LicenceNotAccepted",
    "Weight",
    "WeightError",
    "WeightMissing",
    "WeightRefused",
    "cache_folder",
    "check_format",
    "convert",
    "converted",
    "fetch",
    "find",
    "find_any",
    "is_converted",
    "load_state_dict",
    "lookup",
    "places",
]
