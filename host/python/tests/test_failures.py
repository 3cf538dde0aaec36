"""What a failed call says of itself."""

from pathlib import Path
from types import CodeType
from typing import Any, Dict

import pytest

from chiron_host import failures


def caught(code: str, filename: str = "/functions/f/handler.py", **names: Any) -> BaseException:
    space: Dict[str, Any] = dict(names)
    compiled: CodeType = compile(code, filename, "exec")
    try:
        exec(compiled, space)
    except BaseException as err:
        return err
    raise AssertionError("nothing was raised")


def test_describe_is_one_line() -> None:
    err = caught("def f():\n    raise ValueError('a\\n  b')\nf()")
    assert failures.describe(err) == "ValueError: a b (/functions/f/handler.py:2)"
    assert failures.describe(caught("raise KeyError")) == "KeyError (/functions/f/handler.py:1)"


def test_describe_points_into_the_functions_folder() -> None:
    def library() -> None:
        raise OSError("deep")

    err = caught("\n\nlibrary()", library=library)
    assert failures.where(err, within="/functions/f") == "/functions/f/handler.py:3"
    assert failures.where(err).startswith(__file__)


def test_syntax_error() -> None:
    err = caught("compile('a b', '/functions/f/rules.py', 'exec')")
    assert failures.describe(err).startswith("SyntaxError: invalid syntax")
    assert failures.describe(err).endswith("(/functions/f/rules.py:1)")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise SystemExit", "the handler called sys.exit()"),
        ("raise SystemExit(3)", "the handler called sys.exit(3)"),
        ("raise SystemExit('no')", "the handler called sys.exit('no')"),
        ("raise ValueError('x' * 10000)", "x" * failures.MAX_MESSAGE + "…"),
        ("class E(Exception):\n def __str__(self): raise OSError\nraise E", "<no description"),
    ],
)
def test_message(code: str, says: str) -> None:
    assert failures.message(caught(code)).startswith(says)
    assert len(failures.message(caught(code))) <= failures.MAX_MESSAGE + 1


def test_trace_names_the_cause() -> None:
    err = caught("try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('v') from e")
    text = failures.trace(err)
    assert text.startswith("Traceback (most recent call last):\n")
    assert 'File "/functions/f/handler.py", line 4' in text
    assert text.endswith("ValueError: v\ncaused by KeyError: 'k' (/functions/f/handler.py:2)\n")
    err = caught("try:\n    {}['k']\nexcept KeyError:\n    raise ValueError('v')")
    assert failures.trace(err).endswith("while handling KeyError: 'k' (/functions/f/handler.py:2)\n")
    err = caught("try:\n    {}['k']\nexcept KeyError:\n    raise ValueError('v') from None")
    assert failures.trace(err).endswith("ValueError: v\n")


def test_trace_is_bounded_and_text() -> None:
    err = caught("def f(n):\n    f(n + 1)\nf(0)")
    text = failures.trace(err)
    assert isinstance(err, RecursionError)
    assert len(text) <= failures.MAX_TRACE + 1
    assert "RecursionError" in text
    assert failures.trace(caught("raise ValueError('\\ud800')")).encode()


def test_trace_is_without_our_own_frames() -> None:
    own = str(Path(failures.__file__).with_name("worker.py"))
    err = caught("f()", own, f=lambda: caught_raise())
    text = failures.trace(err)
    assert own not in text
    assert "caught_raise" in text


def caught_raise() -> None:
    raise ValueError("inner")
