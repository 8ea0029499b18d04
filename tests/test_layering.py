"""Who may import whom: the packages of the core stand in one order, and plugins see public names only."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "core" / "src" / "fairlead"
DISTRIBUTIONS = sorted([*ROOT.glob("plugins/*"), *ROOT.glob("brokers/*")])
EXAMPLES = sorted(ROOT.glob("examples/plugins/*"))
PUBLIC = ("ports", "facts", "hookspecs", "net", "testing")

ORDER = (
    ("errors",),
    ("units", "net", "_secrets"),
    ("_models",),
    ("sizing",),
    ("facts", "_strategy"),
    ("ports", "_storage"),
    ("hookspecs", "_kernel", "_control"),
    ("_engine",),
    ("_report", "testing", "__init__"),
    ("_config",),
    ("_cli",),
    ("__main__",),
)
"""Each row may import the rows above it, and nothing of its own row or below."""

UPWARD = {
    (
        "_engine/engine.py",
        "_config",
    ): "LiveTradingEngine.from_file() composes an engine, and what it composes is one",
    ("_engine/result.py", "_report"): "Result.report() writes a page, and the page is made from results",
    ("_engine/observers.py", "_report"): "the log says of a fact what the report says of it",
    ("_engine/distributions.py", "__init__"): "a checkout that is not installed has its version there only",
}
"""Imports against the order, each inside a function, with its reason."""

FORBIDDEN_IN_KERNEL = {
    "asyncio",
    "threading",
    "concurrent",
    "random",
    "os",
    "socket",
    "uuid",
    "secrets",
    "logging",
}


class Import(NamedTuple):
    """One imported module or name, and whether it is imported when the file is."""

    file: Path
    line: int
    module: str
    name: str
    at_once: bool

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module} {self.name}".rstrip()


def imports_of(file: Path) -> Iterator[Import]:
    """The imports of a file, those for type checkers left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing_only, late = set[int](), set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            typing_only |= {id(inner) for part in node.body for inner in ast.walk(part)}
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            late |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name, "", id(node) not in late)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            for alias in node.names:
                yield Import(file, node.lineno, node.module or "", alias.name, id(node) not in late)


def files(folder: Path) -> list[Path]:
    """The modules below a folder."""
    found = sorted(folder.rglob("*.py"))
    assert found
    return found


def package_of(found: Import) -> str | None:
    """The package of the core that an import is of; None for a module from elsewhere."""
    parts = found.module.split(".")
    if parts[0] != "fairlead":
        return None
    if len(parts) > 1:
        return parts[1]
    inside = (CORE / found.name).is_dir() or (CORE / f"{found.name}.py").is_file()
    return found.name if inside else "__init__"


def test_the_packages_of_the_core_stand_in_one_order():
    """No package imports one beside or above it, so there can be no circle; exceptions are named with a reason."""
    rank = {name: row for row, names in enumerate(ORDER) for name in names}
    against, used = [], set()
    for file in files(CORE):
        relative = file.relative_to(CORE)
        own = relative.parts[0].removesuffix(".py")
        for found in imports_of(file):
            target = package_of(found)
            if target is None or target == own or rank[target] < rank[own]:
                continue
            if (relative.as_posix(), target) in UPWARD and not found.at_once:
                used.add((relative.as_posix(), target))
            else:
                against.append(str(found))
    assert against == []
    assert used == set(UPWARD), "an exception that nobody needs any more"


def test_every_package_of_the_core_has_a_place():
    """A new package must be put into the order."""
    found = {
        path.name.removesuffix(".py") for path in CORE.iterdir() if path.suffix == ".py" or path.is_dir()
    }
    placed = {name for names in ORDER for name in names}
    assert found - {"__pycache__", "py.typed"} == placed


def test_modules_of_the_core_import_each_other_without_circles():
    """Within a package too: what is imported at once makes no circle."""
    edges: dict[str, set[str]] = {}
    for file in files(CORE):
        name = ".".join(["fairlead", *file.relative_to(CORE).with_suffix("").parts]).removesuffix(".__init__")
        edges[name] = set()
        for found in imports_of(file):
            if found.at_once and found.module.startswith("fairlead."):
                inner = f"{found.module}.{found.name}"
                path = CORE.joinpath(*inner.split(".")[1:])
                edges[name].add(inner if path.with_suffix(".py").is_file() else found.module)
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in edges.get(name, ()):
                visit(other, (*way, name))
            done.add(name)

    for name in edges:
        visit(name, ())


def test_the_kernel_knows_no_loop_thread_folder_or_chance():
    """It is synchronous and deterministic: what it may not import, it cannot use."""
    wrong = [
        str(found)
        for file in files(CORE / "_kernel")
        for found in imports_of(file)
        if found.module.split(".")[0] in FORBIDDEN_IN_KERNEL
        or package_of(found) in ("_engine", "_storage", "net")
    ]
    assert wrong == []


def test_the_core_imports_no_plugin():
    """Plugins are found by entry point, never by name of a module."""
    wrong = [
        str(found)
        for file in files(CORE)
        for found in imports_of(file)
        if found.module.split(".")[0].startswith("fairlead_")
    ]
    assert wrong == []


# --- distributions ------------------------------------------------------------------------------------------


def declared(folder: Path) -> tuple[str, set[str], set[str]]:
    """A distribution's import name, what it requires, and what its extras do."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [text for texts in project.get("optional-dependencies", {}).values() for text in texts]
    return project["name"].replace("-", "_"), _names(project.get("dependencies", [])), _names(extras)


def _names(requirements: list[str]) -> set[str]:
    aliases = {
        "attrs": "attr",
        "python_dotenv": "dotenv",
        "python_binance": "binance",
        "hyperliquid_python_sdk": "hyperliquid",
    }
    names = {
        re.split(r"[\s<>=!~;\[]", text, maxsplit=1)[0].replace("-", "_").lower() for text in requirements
    }
    return names | {aliases[name] for name in names if name in aliases}


@pytest.mark.parametrize("folder", [*DISTRIBUTIONS, *EXAMPLES], ids=lambda folder: folder.name)
def test_a_plugin_imports_public_names_only(folder):
    """Of fairlead and of declared siblings: the package itself or a public module, and names in `__all__`."""
    own, required, _ = declared(folder)
    wrong = []
    for file in files(folder / "src"):
        for found in imports_of(file):
            top, _, rest = found.module.partition(".")
            if top == own or not top.startswith("fairlead"):
                continue
            if top == "fairlead":
                allowed = rest in ("", *PUBLIC)
            else:
                allowed = top in required and not rest
            if allowed and found.name and not (top == "fairlead" and not rest and found.name in PUBLIC):
                public = getattr(importlib.import_module(found.module), "__all__", None)
                allowed = found.name in public if public is not None else not found.name.startswith("_")
            if not allowed:
                wrong.append(str(found))
    assert wrong == []


@pytest.mark.parametrize("folder", [ROOT / "core", *DISTRIBUTIONS, *EXAMPLES], ids=lambda folder: folder.name)
def test_a_distribution_imports_what_it_declares(folder):
    """At once only what it requires; what an extra brings only inside a function."""
    own, required, optional = declared(folder)
    wrong = []
    for file in files(folder / "src"):
        for found in imports_of(file):
            top = found.module.split(".")[0]
            if top in sys.stdlib_module_names or top in (own, *required):
                continue
            if found.at_once or top not in optional:
                wrong.append(str(found))
    assert wrong == []


DATA = {"tzdata", "coincurve"}
"""Read by the standard library where the system has none; used by eth-keys where it is installed, for speed."""


@pytest.mark.parametrize("folder", [ROOT / "core", *DISTRIBUTIONS, *EXAMPLES], ids=lambda folder: folder.name)
def test_a_distribution_requires_nothing_that_it_does_not_import(folder):
    """What nobody uses is installed, audited and updated all the same."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    used = {found.module.split(".")[0] for file in files(folder / "src") for found in imports_of(file)}
    unused = [text for text in project.get("dependencies", []) if not _names([text]) & {*used, *DATA}]
    assert unused == []


# --- what an import brings ----------------------------------------------------------------------------------

HEAVY = (
    "aiohttp", "attr", "binance", "ccxt", "click", "dotenv", "eth_account", "eth_keys", "eth_utils", "hyperliquid",
    "ib_async", "packaging", "picows", "pyarrow", "pybit", "rich", "sqlite3", "uvloop",
)  # fmt: skip


@pytest.mark.parametrize("module", ["fairlead", *(f"fairlead.{name}" for name in PUBLIC)])
def test_an_import_brings_nothing_heavy(module):
    """`import fairlead` needs attrs, pluggy and msgspec; the rest waits until somebody uses it."""
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    brought = set(done.stdout.split())
    assert brought & set(HEAVY) <= {"attr"}
    assert "msgspec" in brought or module == "fairlead.net"


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_a_plugin_imports_no_sdk(folder):
    """SDKs and optional parts are imported inside the adapter, when they are needed."""
    own, _, optional = declared(folder)
    code = f"import sys, {own}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    assert set(done.stdout.split()) & ((set(HEAVY) - {"attr"}) | optional) == set()
