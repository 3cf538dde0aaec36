"""Trains small networks by gradient descent (Adam, Kingma and Ba 2015)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Params = dict[str, jax.Array]
#: A batch is a dictionary of arrays, the first axis of each the placements.
Batch = dict[str, Any]
Model = Callable[[Params, Batch], jax.Array]

STEPS = 1500
RATE = 3e-3
DECAY = 1e-4


def dense(key: jax.Array, inputs: int, outputs: int) -> jax.Array:
    """Weights with the variance that keeps a signal's size (Glorot and Bengio 2010)."""
    return jax.random.normal(key, (inputs, outputs)) * jnp.sqrt(2.0 / (inputs + outputs))


def train(model: Model, params: Params, batch: Batch, target: jax.Array, steps: int = STEPS) -> Params:
    """Fits the model to targets, all placements in each step."""

    def loss(p: Params) -> jax.Array:
        decay = sum(jnp.sum(w * w) for w in p.values())
        return jnp.mean((model(p, batch) - target) ** 2) + DECAY * decay

    def step(p: Params, m: Params, v: Params, i: jax.Array) -> tuple[Params, Params, Params]:
        gradient = jax.grad(loss)(p)
        rate = RATE * 0.5 * (1 + jnp.cos(jnp.pi * i / steps))
        m = {k: 0.9 * m[k] + 0.1 * gradient[k] for k in p}
        v = {k: 0.999 * v[k] + 0.001 * gradient[k] ** 2 for k in p}
        p = {k: p[k] - rate * (m[k] / (1 - 0.9**i)) / (jnp.sqrt(v[k] / (1 - 0.999**i)) + 1e-8) for k in p}
        return p, m, v

    compiled = jax.jit(step)
    m = {k: jnp.zeros_like(w) for k, w in params.items()}
    v = dict(m)
    for i in range(1, steps + 1):
        params, m, v = compiled(params, m, v, jnp.asarray(float(i)))
    return params
