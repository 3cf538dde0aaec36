"""python -m yardsticks DIR: predicts half of a run's placements from the other half."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from . import forest, networks
from .data import Array, Placement, read, split
from .training import STEPS

#: Where the predictions go, in the run's folder.
FILE = "yardsticks.json"
#: Fewer placements than this teach nothing.
FEWEST = 8

Predictions = dict[str, dict[str, dict[str, float]]]


def learn(train: Sequence[Placement], test: Sequence[Placement], seed: int, steps: int) -> dict[str, Array]:
    """Each model's predictions of the test placements, in ms."""
    return {
        "random forest": forest.fit_predict(train, test, seed),
        "LSTM": networks.fit_predict("lstm", train, test, seed, steps),
        "graph network": networks.fit_predict("graph", train, test, seed, steps),
    }


def add(predictions: Predictions, name: str, test: Sequence[Placement], predicted: Array) -> None:
    for placement, latency in zip(test, predicted, strict=True):
        workflows = predictions.setdefault(name, {})
        workflows.setdefault(placement.workflow, {})[placement.key] = round(float(latency), 6)


def run(directory: pathlib.Path, seed: int, steps: int, unseen: bool) -> Predictions:
    """Trains, predicts, and writes the predictions into the run's folder."""
    placements = read(directory)
    if len(placements) < FEWEST:
        raise ValueError(f"{directory}: {len(placements)} placements are too few: measure {FEWEST} at least")
    train, test = split(placements, seed)
    predictions: Predictions = {}
    for name, predicted in learn(train, test, seed, steps).items():
        add(predictions, name, test, predicted)
    if unseen:
        for workflow in sorted({p.workflow for p in placements}):
            others = [p for p in train if p.workflow != workflow]
            own = [p for p in test if p.workflow == workflow]
            if others and own:
                for name, predicted in learn(others, own, seed, steps).items():
                    add(predictions, f"{name}, workflow unseen", own, predicted)
    temporary = directory / f"{FILE}.new"
    temporary.write_text(json.dumps(predictions, indent=1, sort_keys=True) + "\n")
    os.replace(temporary, directory / FILE)
    return predictions


def report(predictions: Predictions, placements: Sequence[Placement]) -> str:
    measured = {(p.workflow, p.key): p.measured for p in placements}
    lines = []
    for name, workflows in predictions.items():
        errors = [
            abs(latency / measured[workflow, key] - 1)
            for workflow, keys in workflows.items()
            for key, latency in keys.items()
        ]
        lines.append(f"{name}: mean error {100 * np.mean(errors):.1f} % over {len(errors)} placements")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="yardsticks", description=__doc__)
    parser.add_argument("dir", type=pathlib.Path, help="folder of chiron bench accuracy --out")
    parser.add_argument("--seed", type=int, default=1, help="decides the halves and the first weights")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of the networks' training")
    parser.add_argument(
        "--unseen", action="store_true", help="predict each workflow from the others' placements, too"
    )
    options = parser.parse_args(arguments)
    try:
        predictions = run(options.dir, options.seed, options.steps, options.unseen)
    except (OSError, ValueError, KeyError) as error:
        print(f"yardsticks: {error}", file=sys.stderr)
        return 1
    print(report(predictions, read(options.dir)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
