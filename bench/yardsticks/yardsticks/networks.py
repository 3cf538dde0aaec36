"""A small LSTM over a placement's tasks, and a small graph network."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from .data import TASK_WIDTH, Array, Placement
from .training import Batch, Model, Params, dense, train

HIDDEN = 24
#: Relations of the graph: same process, same wrap, same stage, the stage before.
RELATIONS = 4
LAYERS = 2


def batch_of(placements: Sequence[Placement], width: int) -> Batch:
    """Placements as arrays, filled up to the same number of tasks."""
    n = len(placements)
    tasks = np.zeros((n, width, TASK_WIDTH))
    mask = np.zeros((n, width))
    edges = np.zeros((n, RELATIONS, width, width))
    for i, p in enumerate(placements):
        k = len(p.tasks)
        tasks[i, :k] = p.task_matrix()
        mask[i, :k] = 1
        for a, x in enumerate(p.tasks):
            for b, y in enumerate(p.tasks):
                together = x.stage == y.stage and a != b
                edges[i, 0, a, b] = together and (x.wrap, x.process) == (y.wrap, y.process)
                edges[i, 1, a, b] = together and x.wrap == y.wrap
                edges[i, 2, a, b] = together
                edges[i, 3, a, b] = y.stage == x.stage - 1
    # A neighbour's weight is its part of the neighbours.
    edges /= np.maximum(edges.sum(axis=-1, keepdims=True), 1)
    return {"tasks": jnp.asarray(tasks), "mask": jnp.asarray(mask), "edges": jnp.asarray(edges)}


def lstm_params(key: jax.Array) -> Params:
    keys = jax.random.split(key, 3)
    return {
        "gates": dense(keys[0], TASK_WIDTH + HIDDEN, 4 * HIDDEN),
        "bias": jnp.zeros(4 * HIDDEN),
        "hidden": dense(keys[1], HIDDEN, HIDDEN),
        "out": dense(keys[2], HIDDEN, 1),
        "offset": jnp.zeros(1),
    }


def lstm(params: Params, batch: Batch) -> jax.Array:
    tasks, mask = batch["tasks"], batch["mask"]
    n = tasks.shape[0]

    def step(
        state: tuple[jax.Array, jax.Array], at: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        hidden, cell = state
        x, present = at
        gates = jnp.concatenate([x, hidden], axis=-1) @ params["gates"] + params["bias"]
        i, f, o, g = jnp.split(gates, 4, axis=-1)
        new_cell = jax.nn.sigmoid(f + 1) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        new_hidden = jax.nn.sigmoid(o) * jnp.tanh(new_cell)
        keep = present[:, None]
        return (keep * new_hidden + (1 - keep) * hidden, keep * new_cell + (1 - keep) * cell), None

    zero = jnp.zeros((n, HIDDEN))
    (hidden, _), _ = jax.lax.scan(step, (zero, zero), (jnp.swapaxes(tasks, 0, 1), mask.T))
    return jnp.squeeze(jnp.tanh(hidden @ params["hidden"]) @ params["out"] + params["offset"], -1)


def graph_params(key: jax.Array) -> Params:
    keys = iter(jax.random.split(key, 3 + LAYERS * (RELATIONS + 1)))
    params: Params = {"in": dense(next(keys), TASK_WIDTH, HIDDEN)}
    for layer in range(LAYERS):
        params[f"self{layer}"] = dense(next(keys), HIDDEN, HIDDEN)
        for relation in range(RELATIONS):
            params[f"edge{layer}.{relation}"] = dense(next(keys), HIDDEN, HIDDEN)
    params["hidden"] = dense(next(keys), 2 * HIDDEN, HIDDEN)
    params["out"] = dense(next(keys), HIDDEN, 1)
    params["offset"] = jnp.zeros(1)
    return params


def graph(params: Params, batch: Batch) -> jax.Array:
    mask, edges = batch["mask"][..., None], batch["edges"]
    nodes = jnp.tanh(batch["tasks"] @ params["in"]) * mask
    for layer in range(LAYERS):
        update = nodes @ params[f"self{layer}"]
        for relation in range(RELATIONS):
            update += edges[:, relation] @ (nodes @ params[f"edge{layer}.{relation}"])
        nodes = (nodes + jax.nn.relu(update)) * mask
    total = nodes.sum(axis=1) / 5
    most = jnp.where(mask > 0, nodes, -jnp.inf).max(axis=1)
    pooled = jnp.concatenate([total, most], axis=-1)
    return jnp.squeeze(jax.nn.relu(pooled @ params["hidden"]) @ params["out"] + params["offset"], -1)


def fit_predict(
    kind: str, training: Sequence[Placement], test: Sequence[Placement], seed: int, steps: int
) -> Array:
    """Predicts the logarithm of the latency, as the forest does."""
    models: dict[str, tuple[Model, Params]] = {
        "lstm": (lstm, lstm_params(jax.random.key(seed))),
        "graph": (graph, graph_params(jax.random.key(seed))),
    }
    model, params = models[kind]
    width = max(len(p.tasks) for p in [*training, *test])
    target = np.log([p.measured for p in training])
    centre, spread = float(target.mean()), float(target.std()) or 1.0
    scaled = jnp.asarray((target - centre) / spread)
    fitted = train(model, params, batch_of(training, width), scaled, steps)
    predicted: Array = np.exp(np.asarray(model(fitted, batch_of(test, width))) * spread + centre)
    return predicted
