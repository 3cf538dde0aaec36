from __future__ import annotations

import json
import pathlib
import random
from typing import Any

import pytest

pytest.importorskip("jax", reason="the requirements of bench/yardsticks are not installed")
pytest.importorskip("sklearn", reason="the requirements of bench/yardsticks are not installed")

from yardsticks.__main__ import FILE, main
from yardsticks.data import STAGES, TASK_WIDTH, Placement, read, split, summary
from yardsticks.networks import batch_of

MS = 1_000_000


def task(stage: int, wrap: int, process: int, cpu: float, block: float, forked: bool) -> dict[str, Any]:
    return {
        "name": f"t{stage}",
        "stage": stage,
        "wrap": wrap,
        "process": process,
        "forked": forked,
        "wall_ns": (cpu + block) * MS,
        "cpu_ns": cpu * MS,
        "native_ns": 0,
        "block_ns": block * MS,
        "periods": 3,
    }


def write_run(directory: pathlib.Path, count: int) -> None:
    """Writes a run whose latencies follow a rule that can be learned."""
    generator = random.Random(1)
    workflows: list[dict[str, Any]] = []
    for name, width in (("narrow", 2), ("wide", 4)):
        rows = []
        for i in range(count):
            forked = generator.random() < 0.5
            tasks = [
                task(0, 0, p if forked else 0, generator.uniform(2, 12), generator.uniform(0, 8), forked)
                for p in range(width)
            ]
            tasks.append(task(1, 0, 0, 3, 0, False))
            cpu, walls = [t["cpu_ns"] for t in tasks[:-1]], [t["wall_ns"] for t in tasks[:-1]]
            first = max(walls) + 4 * MS if forked else max(sum(cpu), max(walls))
            rows.append({"id": f"{i:03}", "cpus": 2, "measured_ns": first + 3 * MS, "tasks": tasks})
        workflows.append({"name": name, "rows": rows})
    switching = [{"id": "s", "cpus": 1, "measured_ns": MS, "switch_interval_ns": MS, "tasks": []}]
    workflows += [{"name": "switch", "rows": switching}, {"name": "pending", "rows": None}]
    (directory / "report.json").write_text(json.dumps({"workflows": workflows}))


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    write_run(tmp_path, 60)
    return tmp_path


def test_read(directory: pathlib.Path) -> None:
    placements = read(directory)
    assert len(placements) == 120
    assert {p.workflow for p in placements} == {"narrow", "wide"}
    first = placements[0]
    assert first.switch_interval == 5
    assert first.task_matrix().shape == (3, TASK_WIDTH)
    assert 2 <= first.tasks[0].cpu <= 12


def test_split_halves_every_workflow(directory: pathlib.Path) -> None:
    placements = read(directory)
    train, test = split(placements, 1)
    keys = [(p.workflow, p.key) for p in train + test]
    assert len(set(keys)) == len(keys) == 120
    for workflow in ("narrow", "wide"):
        assert sum(p.workflow == workflow for p in train) == 30
    assert split(placements, 1) == (train, test)
    assert split(placements, 2) != (train, test)


def test_summary_tells_processes_apart(directory: pathlib.Path) -> None:
    placement = next(p for p in read(directory) if p.workflow == "wide" and p.tasks[0].forked)
    row = summary(placement).tolist()
    assert len(row) == 5 + 10 * STAGES
    assert row[3] == 4  # processes: the last task's is one of them
    assert row[5] == row[7] == row[8] == 4  # tasks, processes and forks of the first stage
    assert row[13] == max(t.cpu for t in placement.tasks[:4])


def test_batch_is_filled_up(directory: pathlib.Path) -> None:
    placements = read(directory)
    batch = batch_of(placements, 5)
    assert batch["tasks"].shape == (120, 5, TASK_WIDTH)
    assert [int(n) for n in batch["mask"].sum(axis=1)] == [len(p.tasks) for p in placements]
    # A task's neighbours' weights add up to 1, or to 0 where it has none.
    sums = batch["edges"].sum(axis=-1)
    assert bool(((abs(sums - 1) < 1e-6) | (sums == 0)).all())


def errors_of(directory: pathlib.Path, name: str) -> float:
    predictions = json.loads((directory / FILE).read_text())[name]
    measured = {(p.workflow, p.key): p.measured for p in read(directory)}
    parts = [
        abs(latency / measured[workflow, key] - 1)
        for workflow, keys in predictions.items()
        for key, latency in keys.items()
    ]
    assert len(parts) == 60
    return float(sum(parts) / len(parts))


def constant_error(placements: list[Placement]) -> float:
    """The error of who always answers with the mean."""
    mean = sum(p.measured for p in placements) / len(placements)
    return sum(abs(mean / p.measured - 1) for p in placements) / len(placements)


def test_models_learn(directory: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(directory), "--steps", "200"]) == 0
    ignorant = constant_error(read(directory))
    for name in ("random forest", "LSTM", "graph network"):
        assert errors_of(directory, name) < ignorant / 2, name
        assert f"{name}: mean error" in capsys.readouterr().out or name != "random forest"


def test_unseen_workflows(directory: pathlib.Path) -> None:
    assert main([str(directory), "--steps", "5", "--unseen"]) == 0
    predictions = json.loads((directory / FILE).read_text())
    assert set(predictions["random forest, workflow unseen"]) == {"narrow", "wide"}


def test_bad_input(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert "report.json" in capsys.readouterr().err
    write_run(tmp_path, 2)
    assert main([str(tmp_path)]) == 1
    assert "too few" in capsys.readouterr().err
    assert not (tmp_path / FILE).exists()
