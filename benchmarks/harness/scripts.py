"""Load a client script, and put other functions in the place of its own."""

import importlib
import importlib.util
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol

from . import PROJECT

SHAPE = ("NAME", "BASE_URL", "TIMEOUT", "urls", "Tally", "fetch_all")


class Script(Protocol):
    """What a function that takes the place of a script's own may use of that script."""

    BASE_URL: str
    CONCURRENCY: int
    TIMEOUT: float
    CA: str | None  # the file with the authority of the server's certificate, if it has one
    urls: Sequence[int]
    original: Any  # the script with its own functions
    new_session: Callable[[], Any]
    fetch: Callable[[Any, int], Any]
    fetch_share: Callable[[Any, Sequence[int], Any], Any]
    item_url: Callable[[int], str]
    check: Callable[[int, int, bytes], str | None]
    describe: Callable[[BaseException], str]


class NotAScriptError(Exception):
    """A file lacks something that a client script has."""


def load_script(path: Path) -> ModuleType:
    """Import a client script from its file; it can import from its folder and the project's.

    Raise NotAScriptError if it has not the shape of the three scripts.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not spec or not spec.loader:
        raise NotAScriptError("it is not a Python file")
    script = importlib.util.module_from_spec(spec)
    sys.path[:0] = [str(path.resolve().parent), str(PROJECT)]
    sys.modules[path.stem] = script  # a process that it starts finds its functions by this name
    spec.loader.exec_module(script)
    missing = [name for name in SHAPE if not hasattr(script, name)]
    if missing:
        raise NotAScriptError(f"it has no {', '.join(missing)}, as the client scripts have")
    return script


def packages_of(path: Path) -> list[str]:
    """Return the packages that a script's inline metadata names.

    See https://packaging.python.org/en/latest/specifications/inline-script-metadata/.
    """
    block = re.search(r"^# /// script$\n((?:#.*\n)*?)# ///$", path.read_text("utf-8"), re.M)
    metadata = tomllib.loads(re.sub(r"^# ?", "", block[1], flags=re.M)) if block else {}
    return [re.split(r"[^\w.-]", line)[0] for line in metadata.get("dependencies", [])]


def replace_functions(script: ModuleType, replacement: str) -> None:
    """Replace functions of a script by those that a module has under the same names.

    Each of them takes the script as its first argument, for its settings and its other functions.
    What it had before is `script.original`.
    """
    module = importlib.import_module(replacement)
    script.original = SimpleNamespace(**vars(script))  # type: ignore[attr-defined]
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == replacement:
            if not hasattr(script, name):
                raise NotAScriptError(f"{script.__name__} has no {name} to replace")
            setattr(script, name, partial(function, script))
