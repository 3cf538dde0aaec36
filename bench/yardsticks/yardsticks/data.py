"""Reads a run's report and makes numbers of its placements."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import random
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]

#: What a task is to a model: see Task.vector.
TASK_WIDTH = 14


@dataclasses.dataclass(frozen=True)
class Task:
    """A task's place, and how its function behaves alone; times in ms."""

    stage: int
    wrap: int
    process: int
    forked: bool
    wall: float
    cpu: float
    native: float
    block: float
    periods: int

    def vector(self, cpus: int, switch_interval: float) -> list[float]:
        return [
            1.0,
            self.stage / 5,
            float(self.wrap == 0),
            self.wrap / 5,
            self.process / 5,
            float(self.forked),
            self.wall / 10,
            self.cpu / 10,
            self.native / 10,
            self.block / 10,
            float(np.log1p(self.periods)),
            self.cpu / max(self.wall, 1e-9),
            float(cpus),
            switch_interval,
        ]


@dataclasses.dataclass(frozen=True)
class Placement:
    """A measured placement."""

    workflow: str
    key: str
    cpus: int
    switch_interval: float
    measured: float
    tasks: tuple[Task, ...]

    def task_matrix(self) -> Array:
        return np.array([t.vector(self.cpus, self.switch_interval) for t in self.tasks])


def _ms(ns: float) -> float:
    return ns / 1e6


def _placement(workflow: str, row: dict[str, Any]) -> Placement:
    tasks = tuple(
        Task(
            stage=t["stage"],
            wrap=t["wrap"],
            process=t["process"],
            forked=t["forked"],
            wall=_ms(t["wall_ns"]),
            cpu=_ms(t["cpu_ns"]),
            native=_ms(t["native_ns"]),
            block=_ms(t["block_ns"]),
            periods=t["periods"],
        )
        for t in row["tasks"]
    )
    # CPython's own interval where the plan sets none.
    interval = _ms(row.get("switch_interval_ns", 0)) or 5.0
    return Placement(workflow, row["id"], row["cpus"], interval, _ms(row["measured_ns"]), tasks)


def read(directory: pathlib.Path) -> list[Placement]:
    """The placements of a run, but those for the switch interval."""
    report = json.loads((directory / "report.json").read_text())
    placements = []
    for workflow in report["workflows"]:
        rows = workflow["rows"] or []
        if any(row.get("switch_interval_ns") for row in rows):
            continue
        placements += [_placement(workflow["name"], row) for row in rows]
    return placements


def split(placements: list[Placement], seed: int) -> tuple[list[Placement], list[Placement]]:
    """Half of each workflow's placements to train with, and the other half."""
    train: list[Placement] = []
    test: list[Placement] = []
    generator = random.Random(seed)
    for workflow in sorted({p.workflow for p in placements}):
        own = sorted((p for p in placements if p.workflow == workflow), key=lambda p: p.key)
        generator.shuffle(own)
        train += own[: len(own) // 2]
        test += own[len(own) // 2 :]
    return train, test


#: Stages of a summary; later ones are added to the last.
STAGES = 5


def summary(placement: Placement) -> Array:
    """A placement as a row of fixed length, for models that know no graphs."""
    tasks = placement.tasks
    processes = {(t.wrap, t.process) for t in tasks}
    row: list[float] = [
        float(placement.cpus),
        placement.switch_interval,
        float(len({t.wrap for t in tasks})),
        float(len(processes)),
        float(len(tasks)),
    ]
    for stage in range(STAGES):
        own = [t for t in tasks if min(t.stage, STAGES - 1) == stage]
        cpu: dict[tuple[int, int], float] = {}
        wall: dict[tuple[int, int], float] = {}
        for t in own:
            at = (t.wrap, t.process)
            cpu[at] = cpu.get(at, 0.0) + t.cpu
            wall[at] = max(wall.get(at, 0.0), t.wall)
        row += [
            float(len(own)),
            float(len({t.wrap for t in own})),
            float(len(cpu)),
            float(len({(t.wrap, t.process) for t in own if t.forked})),
            max((t.wall for t in own), default=0.0),
            sum(t.cpu for t in own),
            sum(t.native for t in own),
            sum(t.block for t in own),
            max(cpu.values(), default=0.0),
            max((max(cpu[at], wall[at]) for at in cpu), default=0.0),
        ]
    return np.array(row)
