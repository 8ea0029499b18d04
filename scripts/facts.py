"""Write docs/facts.md from the docstrings of fairlead.facts: ./dev python scripts/facts.py [--check]."""

import inspect
import re

from generated import put

from fairlead import facts

BEGINNING = re.compile(r"^# --- (?P<section>.+?) -+$|^class (?P<fact>\w+)\(Fact,", re.MULTILINE)
CARRIED = set(facts.Fact.__struct_fields__)


def row(kind: type[facts.Fact]) -> str:
    """One fact: its name, what it means, its fields."""
    meaning = " ".join(inspect.getdoc(kind).split()).replace("|", "\\|")
    fields = [f"`{name}`" for name in kind.__struct_fields__ if name not in CARRIED]
    return f"| `{kind.__name__}` | {meaning} | {' '.join(fields)} |"


def tables() -> str:
    """All facts, section by section, in the order of the module."""
    lines: list[str] = []
    for found in BEGINNING.finditer(inspect.getsource(facts)):
        if found["section"]:
            title = found["section"].partition(":")[0].capitalize()
            lines += ["", f"## {title}", "", "| Fact | Means | Carries |", "|---|---|---|"]
        else:
            lines.append(row(getattr(facts, found["fact"])))
    return "\n".join(lines)


if __name__ == "__main__":
    put("docs/facts.md", "scripts/facts.py", tables())
