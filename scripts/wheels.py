"""Build every distribution and install each alone: `./dev wheels`.

Each is built as others will build it: a source distribution, and the wheel from that alone. Then each wheel goes into
a new environment with its declared siblings' wheels and third-party packages at their locked versions, where the
package is imported and every entry point loaded. A forgotten dependency or file shows here, and only here.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
MEMBERS = [
    file.parent
    for family in ("core", "plugins/*", "brokers/*")
    for file in sorted(ROOT.glob(f"{family}/pyproject.toml"))
]
DIST = ROOT / "dist"
UV = None if os.environ.get("FAIRLEAD_NO_UV") else shutil.which("uv")

# Runs in the clean environment.
PROBE = """
import importlib, sys, time
from importlib.metadata import distribution
name, modules = sys.argv[1], sys.argv[2:]
began = time.perf_counter()
for module in modules:
    importlib.import_module(module)
took = time.perf_counter() - began
for entry in distribution(name).entry_points:
    entry.load()
print(f"{took * 1000:.0f}")
"""


OWN_PINS = {"fairlead-ccxt"}
"""Distributions whose SDK pins what it needs itself, which does not go with the lock."""


def run(*command: object, cwd: Path | None = None) -> str:
    """Run to the end and return what it printed; all of it is in the error if it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command[:4]))} ...\n{done.stdout}{done.stderr}".strip())
    return done.stdout


def build(member: Path) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        hatchling = (sys.executable, "-m", "hatchling", "build")
        run(*hatchling, "-t", "sdist", "-d", folder, cwd=member)
        [archive] = Path(folder).glob("*.tar.gz")
        shutil.unpack_archive(archive, folder)
        run(*hatchling, "-t", "wheel", "-d", folder, cwd=Path(folder, archive.name.removesuffix(".tar.gz")))
        [wheel] = Path(folder).glob("*.whl")
        archive.replace(DIST / archive.name)
        return wheel.replace(DIST / wheel.name)


def read(wheel: Path) -> tuple[Message, list[str]]:
    """Return the metadata and the names of the files."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(metadata)), names


def siblings(name: str, metadata: dict[str, Message]) -> set[str]:
    """Return the distributions of this repository that one needs, itself included."""
    found, wanted = set(), [name]
    while wanted:
        found.add(current := wanted.pop())
        needs = (Requirement(line) for line in metadata[current].get_all("Requires-Dist", []))
        firm = (need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""}))
        wanted += ({canonicalize_name(need.name) for need in firm} & metadata.keys()) - found
    return found


def try_alone(
    name: str, wheels: dict[str, Path], metadata: dict[str, Message], constraints: Path
) -> tuple[str, str]:
    """Install one in a clean environment; return how many packages that took and the milliseconds of its import."""
    files = read(wheels[name])[1]
    packages = {file.split("/")[0] for file in files if file.endswith("/py.typed")}
    if not packages:
        raise RuntimeError("there is no py.typed in the wheel")
    if not any(".dist-info/licenses/" in file for file in files):
        raise RuntimeError("there is no licence in the wheel")
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, "bin", "python")
        run(sys.executable, "-m", "venv", *(["--without-pip"] if UV else []), folder)
        install = (
            [UV, "pip", "install", "-q", "--python", python] if UV else [python, "-m", "pip", "install", "-q"]
        )
        pins = [] if name in OWN_PINS else ["-c", constraints]
        run(*install, *pins, *(wheels[sibling] for sibling in siblings(name, metadata)))
        milliseconds = run(python, "-I", "-W", "error", "-c", PROBE, name, *sorted(packages)).strip()
        count = len(list(Path(folder).glob("lib/python*/site-packages/*.dist-info")))
        return str(count), milliseconds


def main() -> int:
    console = Console()
    for old in DIST.glob("fairlead*"):
        old.unlink()
    DIST.mkdir(exist_ok=True)
    wheels: dict[str, Path] = {}
    metadata: dict[str, Message] = {}
    for member in MEMBERS:
        wheel = build(member)
        described = read(wheel)[0]
        name = canonicalize_name(described["Name"])
        wheels[name], metadata[name] = wheel, described
    table = Table("distribution", "version", "wheel KB", "packages", "import ms", "alone")
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        # Without the hashes: our own wheels have none, and pip wants them for all or for none.
        constraints = Path(folder, "constraints.txt")
        pins = [line.removesuffix(" \\") for line in (ROOT / "requirements.lock").read_text().splitlines()]
        constraints.write_text("\n".join(pin for pin in pins if pin and not pin.startswith((" ", "#"))))
        trials = {name: pool.submit(try_alone, name, wheels, metadata, constraints) for name in wheels}
        for name, trial in trials.items():
            size = f"{wheels[name].stat().st_size / 1024:.0f}"
            try:
                result = (*trial.result(), "yes")
            except Exception as fault:
                faults.append(f"{name}: {fault}")
                result = ("", "", "NO")
            table.add_row(name, metadata[name]["Version"], size, *result)
    console.print(table)
    for fault in faults:
        print(f"\n{fault}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
