"""A copy of the code under test, loaded apart from every other copy and changed where wished.

The copy of a mutant has some lines replaced. Two copies side by side are two versions in one
deployment. Within a copy, each simulated execution environment has the modules that keep state of
their own, the handler and the wiring, freshly executed: as a new process of AWS Lambda has.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any
from unittest.mock import patch

PACKAGES = ("punctual", "functions")

WIRING = "punctual.runtime.wiring"

STATEFUL = ("punctual.runtime.wiring", "punctual.runtime.api_wiring")
"""Modules that keep what they made, so that every execution environment has its own."""


QUIET = {"POWERTOOLS_LOG_LEVEL": "CRITICAL", "POWERTOOLS_SERVICE_NAME": "simulation"}
"""What the environment says while the code is loaded and run: its logs are not looked at."""


logging.getLogger("punctual").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Edit:
    """A piece of a module's text, and what stands there instead."""

    module: str
    old: str
    new: str


class Unfit(Exception):
    """An edit does not fit the code: what it is about has changed."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one execution environment has loaded for itself."""

    handler: Any
    wirings: tuple[Any, ...]
    """The composition roots."""


class Program:
    """One version of the code."""

    def __init__(self, edits: Sequence[Edit] = ()) -> None:
        self._finder = _Finder(edits)
        self._modules: dict[str, ModuleType] = {}
        self.clients: dict[tuple[str, str], Any] = {}
        """AWS clients as this version configures them, by service and configuration."""
        self.spare: list[Any] = []
        """Processes of the API that wait for another host."""
        # Whatever cannot be loaded fails here and not in the middle of a simulated night.
        with patch.dict(os.environ, QUIET):
            self.module("punctual.runtime.observability").metrics = _NoMetrics()
            for name in (WIRING, *(edit.module for edit in edits)):
                self.module(name)

    def module(self, name: str) -> Any:
        """Return a module of this copy."""
        if name not in self._modules:
            with self._in_place():
                import_module(name)
        return self._modules[name]

    def load(self, handler: str) -> Loaded:
        """Load a handler's module as a new process would, with a wiring of its own."""
        with self._in_place():
            for name in (*STATEFUL, handler):
                _forget(name)
            loaded = import_module(handler)
            roots = (sys.modules.get(name) for name in STATEFUL)
            return Loaded(loaded, tuple(root for root in roots if root is not None))

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Let imports mean this copy, and put everything back afterwards."""
        others = _take_out()
        sys.modules.update(self._modules)
        sys.meta_path.insert(0, self._finder)
        try:
            yield
        finally:
            sys.meta_path.remove(self._finder)
            self._modules = _take_out()
            sys.modules.update(others)


class _NoMetrics:
    """Counts nothing: the library keeps its counts on a class, for one invocation at a time."""

    def add_metric(self, *_args: object, **_named: object) -> None:
        pass

    def log_metrics(self, handler: Any) -> Any:
        return handler


def _forget(name: str) -> None:
    if sys.modules.pop(name, None) is not None:
        package, _, child = name.rpartition(".")
        delattr(sys.modules[package], child)  # where `from package import child` looks first


def _take_out() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in PACKAGES]
    return {name: sys.modules.pop(name) for name in names}


class _Finder(MetaPathFinder):
    """Finds the package's modules where they always are, and edits some."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits: dict[str, list[Edit]] = {}
        for edit in edits:
            self._edits.setdefault(edit.module, []).append(edit)
        self._codes: dict[str, CodeType] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `MetaPathFinder.find_spec`; each file is looked for and compiled once."""
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path, self._edits, self._codes)
        return spec


class _Loader(SourceFileLoader):
    def __init__(
        self,
        fullname: str,
        path: str,
        edits: Mapping[str, Sequence[Edit]],
        codes: dict[str, CodeType],
    ) -> None:
        super().__init__(fullname, path)
        self._edits = edits.get(fullname, ())
        self._codes = codes

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the module's code, as edited."""
        if fullname not in self._codes:
            code = self._edited(fullname) if self._edits else super().get_code(fullname)
            assert code is not None, f"{fullname} has a source"
            self._codes[fullname] = code
        return self._codes[fullname]

    def _edited(self, fullname: str) -> CodeType:
        text = self.get_data(self.path).decode()
        for edit in self._edits:
            if text.count(edit.old) != 1:
                raise Unfit(
                    f"{fullname} has {edit.old!r} not once but {text.count(edit.old)} times"
                )
            text = text.replace(edit.old, edit.new)
        return self.source_to_code(text.encode(), self.path)
