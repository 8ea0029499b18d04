"""Writes the golden journals of the version that is checked out, beside this file, under its number.

They are made once, before a release, and never again: every later version has to read them as this one did.

    story/       a journal of some trading; `story.json` is the state that it folds to
    facts/       a journal that holds every fact once, every field of it set; `facts.jsonl` is what was read

Run it as `./dev python core/tests/storage/golden/make.py`. What is there already is only replaced with --again, which
is for a version that nobody has yet.
"""

import enum
import json
import random
import shutil
import sys
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import msgspec

from fairlead import __version__
from fairlead import facts as f
from fairlead._kernel.apply import apply
from fairlead._kernel.state import State, fingerprint
from fairlead._storage.journal import Journal, read_facts
from fairlead.ports import AccountChanged
from fairlead.testing import Bench

HERE = Path(__file__).parent


def sample(hint: Any, name: str) -> Any:
    """A value of a type, not its default."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return sample(next(kind for kind in arguments if kind is not type(None)), name)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return (sample(arguments[0], name), sample(arguments[0], name))
        return tuple(sample(kind, name) for kind in arguments)
    if origin in (Mapping, dict):
        return {name: sample(arguments[1], name)}
    plain = {
        int: 1_700_000_000_000_000_001,
        float: 1.25,
        str: name,
        bytes: b"\x00" + name.encode(),
        bool: True,
    }
    if hint in plain:
        return plain[hint]
    if hint is Decimal:
        return Decimal("12.340")
    if issubclass(hint, enum.Enum):
        return list(hint)[-1]
    if issubclass(hint, msgspec.Struct):
        hints = typing.get_type_hints(hint)
        return hint(**{field: sample(hints[field], field) for field in hint.__struct_fields__})
    hints = typing.get_type_hints(hint)
    return hint(**{field.name: sample(hints[field.name], field.name) for field in attrs.fields(hint)})


def every_fact() -> list[f.Fact]:
    """One of each kind, numbered."""
    kinds = sorted(typing.get_args(f.AnyFact), key=lambda kind: kind.__name__)
    return [msgspec.structs.replace(sample(kind, "x"), seq=seq) for seq, kind in enumerate(kinds, 1)]


def story() -> list[list[bytes]]:
    """The turns of some trading: brackets, trails, stops, denials, cash, a halt, a restart."""
    dice = random.Random(1)
    bench = Bench()
    bench.price(100)
    bench.do(lambda s: s.every("5m", name="five"))
    bench.do(lambda s: s.note("it begins"))
    for step in range(60):
        price = dice.randint(80, 120)
        actions = (
            lambda s: s.buy(1, stop_loss=70, take_profit=130),
            lambda s: s.sell(1),
            lambda s, price=price: s.buy(2, limit_price=price),
            lambda s, price=price: s.sell(1, stop_price=price - 20, reduce_only=True),
            lambda s: s.buy(1_000_000),
            lambda s: s.close(),
        )
        bench.do(actions[step % len(actions)])
        bench.price(price)
        bench.advance("1m")
    bench.broker.emit(AccountChanged(cause="deposit", currency="USDT", amount=Decimal("12.50")))
    bench.kernel.command("halt", "jo", "for the record", scope="account:fake")
    bench.restart()
    bench.price(101)
    bench.advance("10m")
    return bench.journal.records


def write(folder: Path, turns: list[list[f.Fact]]) -> None:
    """A journal of several small segments."""
    for part in (turns[: len(turns) // 2], turns[len(turns) // 2 :]):
        journal = Journal.open(folder, boot_id="", sync_behind=False, segment_bytes=16 << 10)
        for turn in part:
            journal.append(turn)
        journal.close()


def readable(state: State) -> Any:
    """A state as JSON: what its fingerprint is made of."""
    return json.loads(msgspec.json.encode(msgspec.msgpack.decode(fingerprint(state), strict=False)))


def fold(folder: Path) -> State:
    """The state of a journal."""
    state = State()
    for fact in read_facts(folder):
        apply(state, fact)
    return state


def main() -> None:
    """Write them."""
    folder = HERE / ".".join(__version__.split(".")[:2])
    if folder.exists() and "--again" not in sys.argv:
        raise SystemExit(f"{folder} is there already: a released version's journals stay as they are")
    shutil.rmtree(folder, ignore_errors=True)
    write(folder / "story", [[f.decode(data) for data in record] for record in story()])
    write(folder / "facts", [[fact] for fact in every_fact()])
    state = readable(fold(folder / "story"))
    (folder / "story.json").write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    lines = [json.dumps(msgspec.to_builtins(fact)) for fact in read_facts(folder / "facts")]
    (folder / "facts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
