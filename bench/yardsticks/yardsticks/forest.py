"""A random forest over summaries of placements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from .data import Array, Placement, summary

TREES = 300


def fit_predict(train: Sequence[Placement], test: Sequence[Placement], seed: int) -> Array:
    """Predicts the logarithm of the latency, so that errors count by their part."""
    model = RandomForestRegressor(n_estimators=TREES, random_state=seed, n_jobs=1)
    model.fit(np.stack([summary(p) for p in train]), np.log([p.measured for p in train]))
    predicted: Array = np.exp(model.predict(np.stack([summary(p) for p in test])))
    return predicted
