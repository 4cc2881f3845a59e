"""Noise for differential privacy, by OpenDP: an optional dependency that only `inkling prior build` needs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module


def laplace(values: Sequence[float], scale: float) -> list[float]:
    """Add Laplace noise to each value, sampled so that floating point gives nothing away.

    Raises ImportError where OpenDP isn't installed.
    """
    dp = import_module("opendp.prelude")
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=float, nan=False)), dp.l1_distance(T=float)
    return [float(v) for v in (space >> dp.m.then_laplace(scale=scale))(list(values))]
