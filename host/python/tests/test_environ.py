"""Variables on which functions of one process disagree."""

import os
import subprocess
import sys
import threading
from typing import Dict, Iterator, List, Optional

import pytest

from chiron_host import environ


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CHIRON_SHARED", "shared")
    monkeypatch.delenv("CHIRON_OWN", raising=False)
    before = os.environ
    environ.install()
    yield
    environ.use({})
    os.environ = before  # noqa: B003


def test_own_come_first() -> None:
    environ.use({"CHIRON_OWN": "mine", "CHIRON_SHARED": "mine too"})
    assert os.environ["CHIRON_OWN"] == "mine"
    assert os.getenv("CHIRON_SHARED") == "mine too"
    assert os.environ.get("CHIRON_OWN") == "mine"
    assert "CHIRON_OWN" in os.environ
    assert dict(os.environ)["CHIRON_SHARED"] == "mine too"
    assert list(os.environ).count("CHIRON_SHARED") == 1
    assert len(os.environ) == len(list(os.environ))
    environ.use({})
    assert os.getenv("CHIRON_OWN") is None
    assert os.environ["CHIRON_SHARED"] == "shared"
    assert "CHIRON_OWN" not in os.environ


def test_changes_stay_with_their_owner() -> None:
    own = {"CHIRON_OWN": "mine"}
    environ.use(own)
    os.environ["CHIRON_OWN"] = "changed"
    os.environ["CHIRON_SHARED"] = "for all"
    assert own == {"CHIRON_OWN": "changed"}
    environ.use({"CHIRON_OWN": "other's"})
    assert os.environ["CHIRON_OWN"] == "other's"
    assert os.environ["CHIRON_SHARED"] == "for all"
    environ.use(own)
    del os.environ["CHIRON_OWN"]
    assert own == {}
    del os.environ["CHIRON_SHARED"]
    assert "CHIRON_SHARED" not in os.environ
    with pytest.raises(KeyError):
        os.environ["CHIRON_SHARED"]


def test_each_thread_has_its_own() -> None:
    barrier = threading.Barrier(4)
    seen: Dict[int, List[Optional[str]]] = {}

    def run(n: int) -> None:
        environ.use({"CHIRON_OWN": str(n)})
        barrier.wait(10)
        seen[n] = [os.getenv("CHIRON_OWN"), os.environ.get("CHIRON_SHARED")]
        os.environ["CHIRON_OWN"] = f"{n} again"
        barrier.wait(10)
        seen[n].append(os.environ["CHIRON_OWN"])

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == {n: [str(n), "shared", f"{n} again"] for n in range(4)}
    assert os.getenv("CHIRON_OWN") is None


def test_child_processes_inherit_what_the_function_sees() -> None:
    environ.use({"CHIRON_OWN": "mine"})
    code = "import os; print(os.environ['CHIRON_OWN'], os.environ['CHIRON_SHARED'])"
    out = subprocess.run(
        [sys.executable, "-c", code], env=os.environ.copy(), stdout=subprocess.PIPE, check=True, timeout=20
    )
    assert out.stdout.split() == [b"mine", b"shared"]
    assert os.environ.copy()["CHIRON_OWN"] == "mine"
