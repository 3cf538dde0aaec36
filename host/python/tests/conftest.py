"""Fixtures: functions in a folder, a host that serves them."""

import textwrap
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

import pytest
from driver import Host

Source = Mapping[str, str]
Start = Callable[..., Host]


def write(folder: Path, files: Source) -> None:
    """Write files, indented as it reads best in the test."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start hosts: ``start(name="source", …)``; function i is the i-th name."""
    hosts: List[Host] = []

    def start(
        functions: Mapping[str, str], env: Optional[Mapping[str, Dict[str, str]]] = None, **config: Any
    ) -> Host:
        folder = tmp_path_factory.mktemp("functions")
        host = Host()
        hosts.append(host)
        specs: List[Dict[str, Any]] = []
        for name, source in functions.items():
            write(folder / name, {"handler.py": source})
            specs.append({"name": name, "file": str(folder / name / "handler.py")})
            if env and name in env:
                specs[-1]["env"] = env[name]
        report = host.configure(specs, **config)
        assert report["failed"] == []
        return host

    yield start
    for host in hosts:
        host.close()
