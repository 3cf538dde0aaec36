"""How functions are imported: apart from each other, and with a reason where not."""

import sys
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from conftest import Source, write

from chiron_host import environ, functions


@pytest.fixture
def loader() -> Iterator[functions.Loader]:
    meta_path, modules = list(sys.meta_path), dict(sys.modules)
    yield functions.Loader()
    sys.meta_path[:] = meta_path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    environ.use({})


def load(loader: functions.Loader, folder: Path, name: str, files: Source, **spec: Any) -> functions.Function:
    write(folder / name, files)
    file = str(folder / name / spec.pop("file", "handler.py"))
    return loader.load(functions.Spec({"name": name, "file": file, **spec}))


def call(function: functions.Function, body: bytes = b"") -> bytes:
    nothing = memoryview(b"")
    return function.invoke(memoryview(body), nothing, nothing, 0).body


def test_modules_of_the_same_name(loader: functions.Loader, tmp_path: Path) -> None:
    made = []
    for name in ("a", "b", "c"):
        made.append(
            load(
                loader,
                tmp_path,
                name,
                {
                    "handler.py": """
                        import rules
                        import pack.deep as deep
                        import pack.other
                        from pack import other
                        from rules import NAME

                        def handle(req):
                            import late  # at call time
                            from pack.deep import NAME as n
                            return [NAME, rules.NAME, deep.NAME, pack.other.NAME, other.NAME, late.NAME, n]
                        """,
                    "rules.py": f"NAME = {name!r}",
                    "late.py": f"import rules\nNAME = rules.NAME + 'late' + {name!r}",
                    "pack/__init__.py": "",
                    "pack/deep.py": f"import rules\nNAME = rules.NAME + 'deep' + {name!r}",
                    "pack/other.py": f"from .deep import NAME as n\nNAME = n + 'other' + {name!r}",
                },
            )
        )
    for name, function in zip(("a", "b", "c"), made):
        d, o = f"{name}deep{name}", f"{name}deep{name}other{name}"
        want = f'["{name}","{name}","{d}","{o}","{o}","{name}late{name}","{d}"]'
        assert call(function).decode() == want
    assert "rules" not in sys.modules
    assert "pack" not in sys.modules


def test_openfaas_package(loader: functions.Loader, tmp_path: Path) -> None:
    function = load(
        loader,
        tmp_path,
        "f",
        {
            "handler.py": """
                import function
                import function.rules
                from function import rules as r1
                from function.rules import NAME as n1
                from . import rules as r2
                from .rules import NAME as n2
                import rules as r3

                def handle(req):
                    same = r1 is r2 is r3 is function.rules
                    return [n1, n2, same]
                """,
            "__init__.py": "",
            "rules.py": "NAME = 'x'",
        },
    )
    assert call(function) == b'["x","x",true]'


def test_the_standard_library_stays_itself(loader: functions.Loader, tmp_path: Path) -> None:
    """A folder that is no package does not hide a module of its name; a file does, for its function only."""
    source = {
        "handler.py": """
            import json, random
            def handle(req):
                return [random.__name__, hasattr(json, "dumps"), hasattr(random, "MINE")]
            """,
        "json/data.txt": "no package",
    }
    assert call(load(loader, tmp_path, "plain", source)) == b'["random",true,false]'
    mine = load(loader, tmp_path, "mine", {**source, "random.py": "MINE = 1"})
    assert call(mine) == b'["chiron_functions.mine.random",true,true]'
    import random

    assert random.__name__ == "random"
    assert not hasattr(random, "MINE")


def test_missing_module_is_an_ordinary_import_error(loader: functions.Loader, tmp_path: Path) -> None:
    function = load(
        loader,
        tmp_path,
        "f",
        {
            "handler.py": """
                try:
                    import no_such_module
                except ImportError as err:
                    MISSING = err.name

                def handle(req):
                    return MISSING
                """
        },
    )
    assert call(function) == b"no_such_module"


def test_module_names(loader: functions.Loader, tmp_path: Path) -> None:
    names = ["a-b", "a_b", "a.b", "a_2d_b", "ä", "1st", "class"]
    source = {"handler.py": "NAME = __name__\ndef handle(req):\n    return NAME\n"}
    got = [call(load(loader, tmp_path, name, source)).decode() for name in names]
    assert len(set(got)) == len(names)
    assert got[0] == "chiron_functions.a_2d_b.handler"
    dotted = load(
        loader, tmp_path, "v2", {"handler.v2.py": "def handle(req):\n    return 'v2'\n"}, file="handler.v2.py"
    )
    assert call(dotted) == b"v2"


def test_mangle_is_one_to_one() -> None:
    import random

    numbers = random.Random(5)
    seen: Dict[str, str] = {}
    for _ in range(20_000):
        name = "".join(numbers.choice("a_2d-.é") for _ in range(numbers.randrange(1, 7)))
        assert seen.setdefault(functions.mangle(name), name) == name
        assert functions.mangle(name).isidentifier() or functions.mangle(name)[0].isdigit()


def test_pickle_and_dataclass(loader: functions.Loader, tmp_path: Path) -> None:
    """What looks a class up by its module's name finds it."""
    function = load(
        loader,
        tmp_path,
        "f",
        {
            "handler.py": """
                import pickle
                from dataclasses import dataclass
                from typing import get_type_hints
                from rules import Rule

                @dataclass
                class Trade:
                    rule: "Rule"

                def handle(req):
                    trade = pickle.loads(pickle.dumps(Trade(Rule(3))))
                    return [trade.rule.limit, get_type_hints(Trade)["rule"] is Rule]
                """,
            "rules.py": """
                from typing import NamedTuple
                class Rule(NamedTuple):
                    limit: int
                """,
        },
    )
    assert call(function) == b"[3,true]"


@pytest.mark.parametrize(
    ("source", "symbol", "kind"),
    [
        ("def handle(req): return 1", "handle", "text"),
        ("def handle(event, context): return 1", "handle", "event"),
        ("def handler(event, context): return 1", "handler", "lambda"),
        ("def lambda_handler(event, context): return 1", "lambda_handler", "lambda"),
        ("def handler(e): return 1\ndef handle(req): return 1", "handle", "text"),
    ],
)
def test_symbol(loader: functions.Loader, tmp_path: Path, source: str, symbol: str, kind: str) -> None:
    function = load(loader, tmp_path, "f", {"handler.py": source})
    assert (function.symbol, function.kind) == (symbol, kind)
    assert call(function, b"1") == b"1"


def test_symbol_and_kind_that_are_asked_for(loader: functions.Loader, tmp_path: Path) -> None:
    source = {"handler.py": "def handle(req): return 1\ndef other(e, c): return [e, c.function_name]"}
    function = load(loader, tmp_path, "f", source, symbol="other", kind="lambda")
    assert call(function, b"7") == b'[7,"f"]'


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "handler.py does not exist"),
        ({"handler.py": "x = 1"}, "defines no function named handle or handler or lambda_handler"),
        ({"handler.py": "handle = 3"}, "handler.py: handle is not a function"),
        ({"handler.py": "def handle(): pass"}, "handle takes 0 arguments"),
        ({"handler.py": "def handle(:\n"}, "SyntaxError: "),
        ({"handler.py": "x = 1\nimport no_such"}, "ModuleNotFoundError: No module named 'no_such' ("),
        ({"handler.py": "x = 1\nimport no_such"}, "handler.py:2)"),
        ({"handler.py": "import rules", "rules.py": "\n\n1 / 0"}, "ZeroDivisionError: division by zero ("),
        ({"handler.py": "import rules", "rules.py": "\n\n1 / 0"}, "rules.py:3)"),
        ({"handler.py": "import rules", "rules.py": "def ("}, "rules.py:1)"),
        ({"handler.py": "from rules import X", "rules.py": ""}, "cannot import name 'X' from 'rules'"),
        ({"handler.py": "import sys; sys.exit(3)"}, "SystemExit: the handler called sys.exit(3)"),
        ({"handler.py": "raise KeyboardInterrupt"}, "KeyboardInterrupt"),
        ({"handler.py": "x = '\xff'"}, "defines no"),
    ],
)
def test_failures(loader: functions.Loader, tmp_path: Path, files: Source, says: str) -> None:
    with pytest.raises(functions.LoadError) as err:
        load(loader, tmp_path, "f-1", files)
    assert says in err.value.message
    assert err.value.function == "f-1"
    assert "\n" not in err.value.message
    assert "chiron_functions" not in err.value.message + err.value.trace


def test_other_failures(loader: functions.Loader, tmp_path: Path) -> None:
    with pytest.raises(functions.LoadError, match="is not a Python file"):
        load(loader, tmp_path, "f", {"handler.txt": "x"}, file="handler.txt")
    with pytest.raises(functions.LoadError, match="defines no other"):
        load(loader, tmp_path, "g", {"handler.py": "def handle(r): pass"}, symbol="other")
    with pytest.raises(functions.LoadError, match="unknown kind"):
        load(loader, tmp_path, "h", {"handler.py": "def handle(r): pass"}, kind="odd")
    (tmp_path / "latin").mkdir()
    (tmp_path / "latin" / "handler.py").write_bytes(b"x = '\xff'\n")
    with pytest.raises(functions.LoadError, match="SyntaxError"):
        loader.load(functions.Spec({"name": "latin", "file": str(tmp_path / "latin" / "handler.py")}))


def test_a_failure_leaves_the_others(loader: functions.Loader, tmp_path: Path) -> None:
    with pytest.raises(functions.LoadError):
        load(loader, tmp_path, "bad", {"handler.py": "import rules", "rules.py": "1 / 0"})
    good = load(
        loader,
        tmp_path,
        "good",
        {"handler.py": "import rules\nhandle = rules.handle", "rules.py": "def handle(r): return r"},
    )
    assert call(good, b"x") == b"x"


def test_environment_at_import_and_call(
    loader: functions.Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setattr(os, "environ", os.environ)
    environ.install()
    source = {
        "handler.py": """
            import os
            AT_IMPORT = os.getenv("REGION")
            def handle(req):
                return [AT_IMPORT, os.environ["REGION"]]
            """
    }
    made = [load(loader, tmp_path, r, source, env={"REGION": r}) for r in ("north", "south")]
    assert [call(f) for f in made] == [b'["north","north"]', b'["south","south"]']
    assert os.getenv("REGION") is None
