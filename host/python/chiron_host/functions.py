"""Imports the functions so that none sees another's modules.

Two functions may each have a ``rules.py``. Each function's folder becomes a
package of its own (``chiron_functions.NAME``), and its modules get a builtins
namespace of their own whose ``__import__`` looks in that package first: for
``import rules`` at the top of the file as well as inside the handler at call
time. Modules outside the functions' folders import as ever.

The handler may also be written for OpenFaaS' templates, where its folder is
the package ``function``: ``from function.rules import x`` and ``from .rules
import x`` work.
"""

import builtins
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from chiron_host import environ, handlers

PREFIX = "chiron_functions"
SYMBOLS = ("handle", "handler", "lambda_handler")


class Spec:
    """One function as the agent describes it."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.name: str = data["name"]
        self.file: str = data["file"]
        self.symbol: str = data.get("symbol") or ""
        self.kind: str = data.get("kind") or ""
        self.memory: int = data.get("memory") or 0
        # Variables that another function of the process has otherwise.
        self.env: Dict[str, str] = data.get("env") or {}


class LoadError(Exception):
    """A function cannot be served. Its text says why, in one line."""

    def __init__(self, function: str, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.function = function
        self.message = message
        self.trace = trace


class Function:
    """An imported function."""

    def __init__(
        self,
        spec: Spec,
        symbol: str,
        kind: str,
        handler: handlers.Handler,
        warm_up: Optional[Callable[[], Any]] = None,
    ) -> None:
        self.name = spec.name
        self.symbol = symbol
        self.kind = kind
        self.handler = handler
        self.invoke = handlers.invoker(kind, handler, spec.name, spec.memory >> 20)
        self.parts = handlers.parts(kind, handler, spec.name, spec.memory >> 20)
        # What the handler's module wants done in a process before its first call.
        self.warm_up = warm_up
        if spec.env:
            self.invoke = _within(spec.env, self.invoke)
            self.parts = self.parts._replace(call=_call_within(spec.env, self.parts.call))
            if warm_up is not None:
                self.warm_up = _warm_up_within(spec.env, warm_up)


def _within(env: Dict[str, str], invoke: handlers.Invoke) -> handlers.Invoke:
    def invoke_within(
        body: memoryview, meta: memoryview, request_id: memoryview, deadline: int
    ) -> handlers.Result:
        environ.use(env)
        try:
            return invoke(body, meta, request_id, deadline)
        finally:
            environ.use({})

    return invoke_within


def _call_within(
    env: Dict[str, str], call: Callable[[Any, memoryview, int], Any]
) -> Callable[[Any, memoryview, int], Any]:
    def call_within(value: Any, request_id: memoryview, deadline: int) -> Any:
        environ.use(env)
        try:
            return call(value, request_id, deadline)
        finally:
            environ.use({})

    return call_within


def _warm_up_within(env: Dict[str, str], warm_up: Callable[[], Any]) -> Callable[[], None]:
    def warm_up_within() -> None:
        environ.use(env)
        try:
            warm_up()
        finally:
            environ.use({})

    return warm_up_within


class _Space:
    """A function's package, and the builtins that its modules see."""

    def __init__(self, name: str, folder: str) -> None:
        self.package = f"{PREFIX}.{mangle(name)}"
        self.folder = folder
        # Whether a top-level name is one of the function's own modules.
        self._own: Dict[str, bool] = {}
        self.builtins = dict(vars(builtins))
        self.builtins["__import__"] = self._import

    def _import(
        self,
        name: str,
        globals: Optional[Mapping[str, object]] = None,
        locals: Optional[Mapping[str, object]] = None,
        fromlist: Optional[Sequence[str]] = (),
        level: int = 0,
    ) -> types.ModuleType:
        if level == 0:
            top, _, rest = name.partition(".")
            own = self._own.get(top)
            if own is None:
                own = self._own[top] = self._owns(top)
            if own:
                name = f"{self.package}.{name}"
                if fromlist:
                    return builtins.__import__(name, globals, locals, fromlist, 0)
                importlib.import_module(name)
                return sys.modules[f"{self.package}.{top}"]
            if top == "function" and not _elsewhere(top):
                if rest:
                    importlib.import_module(f"{self.package}.{rest}")
                if rest and fromlist:
                    return builtins.__import__(f"{self.package}.{rest}", globals, locals, fromlist, 0)
                if fromlist:
                    return builtins.__import__(self.package, globals, locals, fromlist, 0)
                return sys.modules[self.package]
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    def _owns(self, top: str) -> bool:
        spec = importlib.machinery.PathFinder.find_spec(top, [self.folder])
        if spec is None:
            return False
        # A folder without __init__.py gives way to a real module of that name.
        return (spec.origin is not None and spec.origin != "namespace") or not _elsewhere(top)


def _elsewhere(top: str) -> bool:
    if top in sys.modules or top in sys.builtin_module_names:
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module of a function with that function's builtins."""

    space: _Space

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["__builtins__"] = self.space.builtins
        super().exec_module(module)


class _Finder:
    """Finds the functions' modules; says nothing of any other.

    A finder by its shape: importlib.abc would import a dozen of modules more,
    whose pages every fork has to carry.
    """

    def __init__(self) -> None:
        self.spaces: Dict[str, _Space] = {}

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[types.ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        if path is None or not fullname.startswith(PREFIX):
            return None
        space = self.spaces.get(".".join(fullname.split(".", 2)[:2]))
        if space is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            loader = _Loader(spec.loader.name, spec.loader.path)
            loader.space = space
            spec.loader = loader
        return spec


def mangle(name: str) -> str:
    """Make a function's name a module's name, one to one."""
    return "".join(c if c.isalnum() and c.isascii() else f"_{ord(c):x}_" for c in name)


def _package(name: str, path: List[str]) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__path__ = path
    sys.modules[name] = module
    return module


class Loader:
    """Imports functions into this process."""

    def __init__(self) -> None:
        self._finder = _Finder()
        self._root = _package(PREFIX, [])
        sys.meta_path.insert(0, self._finder)

    def load(self, spec: Spec) -> Function:
        """Import one function; raise LoadError where it cannot be served."""
        folder, file = os.path.split(os.path.abspath(spec.file))
        stem, ext = os.path.splitext(file)
        if ext != ".py":
            raise LoadError(spec.name, f"{spec.file} is not a Python file")
        if not os.path.isfile(spec.file):
            raise LoadError(spec.name, f"{spec.file} does not exist")
        space = _Space(spec.name, folder)
        self._finder.spaces[space.package] = space
        setattr(self._root, mangle(spec.name), _package(space.package, [folder]))
        name = f"{space.package}.{stem}"
        environ.use(spec.env)
        try:
            module = self._module(name, os.path.join(folder, file), space)
        except BaseException as err:  # a handler's file may raise anything, sys.exit included
            raise LoadError(spec.name, _last_line(err, space), _trace(err, space)) from None
        finally:
            environ.use({})
        symbol = spec.symbol or next((s for s in SYMBOLS if hasattr(module, s)), "")
        if not symbol or not hasattr(module, symbol):
            raise LoadError(
                spec.name,
                "{} defines no {}".format(spec.file, spec.symbol or "function named " + " or ".join(SYMBOLS)),
            )
        handler = getattr(module, symbol)
        try:
            kind = spec.kind or handlers.kind_of(symbol, handler)
            return Function(spec, symbol, kind, handler, handlers.warm_up_of(module))
        except (TypeError, ValueError) as err:
            raise LoadError(spec.name, f"{spec.file}: {err}") from None

    def _module(self, name: str, path: str, space: _Space) -> types.ModuleType:
        if "." not in name[len(space.package) + 1 :]:
            return importlib.import_module(name)
        # A file such as handler.v2.py has no name to import it by.
        loader = _Loader(name, path)
        loader.space = space
        spec = importlib.util.spec_from_file_location(name, path, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        loader.exec_module(module)
        return module


def _readable(text: str, space: _Space) -> str:
    """Take the name of the function's package out of a message."""
    return text.replace(space.package + ".", "").replace(space.package, "function")


def _last_line(err: BaseException, space: _Space) -> str:
    from chiron_host import failures

    return _readable(failures.describe(err, within=space.folder), space)


def _trace(err: BaseException, space: _Space) -> str:
    from chiron_host import failures

    return _readable(failures.trace(err, within=space.folder), space)
