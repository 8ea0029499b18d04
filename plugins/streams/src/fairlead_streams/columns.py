"""Which column of a file means what, told by its name, or by its shape where a known dump has no names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from fairlead import ConfigurationError
from fairlead_streams.text import some

KINDS = {
    "bars": "bars",
    "bar": "bars",
    "quotes": "quotes",
    "quote": "quotes",
    "trades": "trades",
    "trade": "trades",
}

# Names without case and punctuation, best first: "open_time", "openTime" and "<OPEN TIME>" are all "opentime".
NAMES: dict[str, tuple[str, ...]] = {
    "open_time": ("opentime", "opentimestamp", "openat", "starttime", "startat", "starttimestamp", "start", "begin"),
    "close_time": ("closetime", "closetimestamp", "closeat", "endtime", "endat", "endtimestamp", "end"),
    "time": (
        "transacttime", "transactiontime", "tradetime", "timestamp", "timestampms", "time", "timems", "datetime",
        "ts", "unix", "unixtime", "unixtimestamp", "epoch", "eventtime", "eventns", "date", "t", "indexlevel0",
    ),
    "clock": ("time",),
    "received": ("localtimestamp", "receivedns", "receivedtime", "receivedat", "receivetime", "localtime", "recvtime"),
    "symbol": ("symbol", "instrument", "instrumentid", "instid", "pair", "market", "product", "productid", "ticker"),
    "open": ("open", "openprice", "o"),
    "high": ("high", "highprice", "h"),
    "low": ("low", "lowprice", "l"),
    "close": ("close", "closeprice", "c"),
    "volume": ("volume", "vol", "v", "basevolume", "volumebase", "baseassetvolume", "tickvol"),
    "quote_volume": (
        "quotevolume", "quoteassetvolume", "volumequote", "quotevol", "turnover", "volccyquote", "volumeusd",
        "volumeusdt",
    ),
    "bid": ("bid", "bidprice", "bestbid", "bestbidprice", "bidpx", "bid1price"),
    "ask": ("ask", "askprice", "bestask", "bestaskprice", "askpx", "ask1price", "offer", "offerprice"),
    "bid_size": (
        "bidsize", "bidqty", "bidquantity", "bidamount", "bidvolume", "bidsz", "bid1size", "bestbidqty",
        "bestbidsize", "bestbidquantity", "bestbidamount",
    ),
    "ask_size": (
        "asksize", "askqty", "askquantity", "askamount", "askvolume", "asksz", "ask1size", "bestaskqty",
        "bestasksize", "bestaskquantity", "bestaskamount", "offersize",
    ),
    "price": ("price", "px", "tradeprice", "rate", "p"),
    "size": ("size", "qty", "quantity", "sz", "amount", "tradesize", "basequantity", "volume", "vol", "q"),
    "quote_size": ("quoteqty", "quotequantity", "quotesize", "quoteamount", "grossvalue"),
    "side": ("side", "takerside", "aggressor", "aggressorside", "direction"),
    "buyer_maker": ("isbuyermaker", "buyermaker", "isbuyersmaker", "wasbuyermaker", "m"),
    "id": ("id", "tradeid", "aggtradeid", "trdmatchid", "execid"),
}  # fmt: skip

# Wire messages use single letters, whose meaning hangs on their company and on their case.
_KLINE = {
    "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume", "q": "quote_volume", "s": "symbol",
    "t": "open_time", "T": "close_time",
}  # fmt: skip
_TICKER = {"b": "bid", "B": "bid_size", "a": "ask", "A": "ask_size", "s": "symbol"}

_KLINE_DUMP = ("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume")
_TIMES = {"time", "clock", "open_time", "close_time"}
_NEEDS = {"bars": ("open", "high", "low", "close"), "quotes": ("bid", "ask"), "trades": ("price",)}


@attrs.frozen
class Layout:
    """What the columns of a file mean: the kind of its rows, the place of each role, and what it says of itself."""

    kind: str
    at: dict[str, int]
    bar_label: str | None = None
    volume_unit: str | None = None


def plain(name: object) -> str:
    """A name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def detect(
    file: str,
    names: Sequence[str] | None,
    sample: Sequence[Sequence[Any]],
    *,
    kind: str | None,
    columns: Mapping[str, str | int] | Sequence[str] | None,
) -> Layout:
    """The layout of a file from its names, or from its first rows where it has none.

    Raises ConfigurationError where nothing fits or more than one thing does.
    """
    at = _by_shape(sample) if names is None else _by_name(names)
    if columns is not None:
        said = _said(file, names, columns)
        if not isinstance(columns, Mapping):
            at = {}
        elif said.keys() & _TIMES:
            at = {role: index for role, index in at.items() if role not in _TIMES}
        at.update(said)
    elif names is None and not at:
        width = len(sample[0]) if sample else 0
        raise ConfigurationError(
            f"{file}: it has no header, and its {width} columns are of no shape that is known: name them in order, "
            f"such as columns=('time', 'price', 'size')"
        )
    return _layout(file, names, at, kind)


def _layout(file: str, names: Sequence[str] | None, at: dict[str, int], kind: str | None) -> Layout:
    fits = [name for name, needs in _NEEDS.items() if all(role in at for role in needs)]
    if "trades" in fits and not {"size", "quote_size"} & at.keys():
        fits.remove("trades")
    shown = some(map(str, names), ", ") if names is not None else "a known shape without names"
    if kind is not None and KINDS[kind] not in fits:
        missing = _missing(KINDS[kind], at)
        raise ConfigurationError(
            f"{file}: {kind} need {_wanted(KINDS[kind])}, and its columns are {shown}: name "
            f"{' and '.join(missing)}, such as columns={{{missing[0]!r}: 'last'}}"
        )
    if kind is None and len(fits) > 1:
        raise ConfigurationError(
            f"{file}: its columns ({shown}) could be {' or '.join(fits)}, and one of them must fit: "
            f"pass kind={fits[0]!r} or {fits[1]!r}"
        )
    if kind is None and not fits:
        nearest, missing = _nearest(at)
        what = f"only {' and '.join(missing)} of {nearest} is wanting" if nearest else "none has a known name"
        raise ConfigurationError(
            f"{file}: its columns ({shown}) are neither bars, quotes nor trades, and one of them must fit ({what}): "
            f"name them, such as columns={{{missing[0]!r}: 'last'}}"
        )
    chosen = KINDS[kind] if kind is not None else fits[0]
    if not {"time", "open_time", "close_time"} & at.keys():
        raise ConfigurationError(
            f"{file}: none of its columns ({shown}) is a time, and every row needs one: name it, "
            f"such as columns={{'time': 'when'}}"
        )
    label = unit = None
    if chosen == "bars":
        label = "open" if "open_time" in at else "close" if "close_time" in at else None
        names_base = names is not None and "volume" in at and "base" in plain(names[at["volume"]])
        if "quote_volume" in at:
            unit = "base" if "volume" in at else "quote"
        elif names_base:
            unit = "base"
    return Layout(chosen, at, label, unit)


def _missing(kind: str, at: Mapping[str, int]) -> list[str]:
    """The roles of a kind that no column has."""
    missing = [role for role in _NEEDS[kind] if role not in at]
    if kind == "trades" and not {"size", "quote_size"} & at.keys():
        missing.append("size")
    return missing


def _nearest(at: Mapping[str, int]) -> tuple[str, list[str]]:
    """The kind of which some columns are there and the fewest are not; "" where none is of any."""
    missing = {kind: _missing(kind, at) for kind in _NEEDS}
    begun = [kind for kind in _NEEDS if len(missing[kind]) < len(_NEEDS[kind]) + (kind == "trades")]
    if not begun:
        return "", ["price"]
    best = min(begun, key=lambda kind: len(missing[kind]))
    return best, missing[best]


def _wanted(kind: str) -> str:
    return {"bars": "open, high, low and close", "quotes": "bid and ask", "trades": "price and size"}[kind]


def _by_name(names: Sequence[str]) -> dict[str, int]:
    letters = _letters(names)
    at = {role: names.index(name) for name, role in letters.items()}
    places: dict[str, int] = {}
    for index, name in enumerate(names):
        places.setdefault(plain(name), index)
    for role, known in NAMES.items():
        found = next((places[name] for name in known if name in places), None)
        if found is not None and role not in at and (not letters or len(plain(names[found])) > 1):
            at[role] = found
    if "date" in places and "time" in places and at["time"] in {places["date"], places["time"]}:
        at["time"], at["clock"] = places["date"], places["time"]
    else:
        at.pop("clock", None)
    return at


def _letters(names: Sequence[str]) -> dict[str, str]:
    given = set(names)
    if {"o", "h", "l", "c"} <= given:
        table = dict(_KLINE)
        if "T" not in given:
            table["t"] = "time"
    elif {"b", "a", "B", "A"} <= given:
        table = {**_TICKER, next((name for name in ("T", "E", "t") if name in given), "T"): "time"}
    elif "p" in given and given & {"q", "v", "s"}:
        table = {"p": "price", "m": "buyer_maker", "S": "side"}
        table[next((name for name in ("T", "E", "t") if name in given), "T")] = "time"
        size = next(name for name in ("q", "v", "s") if name in given)
        table[size] = "size"
        if size != "s":
            table["s"] = "symbol"
        identity = next((name for name in ("t", "a", "i") if name in given and name not in table), None)
        if identity is not None:
            table[identity] = "id"
    else:
        return {}
    return {name: role for name, role in table.items() if name in given}


def _said(
    file: str, names: Sequence[str] | None, columns: Mapping[str, str | int] | Sequence[str]
) -> dict[str, int]:
    pairs: list[tuple[str, str | int]] = (
        list(columns.items())
        if isinstance(columns, Mapping)
        else [(role, index) for index, role in enumerate(columns) if role and role != "_"]
    )
    at = {}
    for role, place in pairs:
        if role not in NAMES:
            raise ConfigurationError(
                f"columns: {role!r} is not a role: use one of {', '.join(sorted(NAMES))}"
            )
        if isinstance(place, int):
            at[role] = place
        elif names is not None and place in names:
            at[role] = list(names).index(place)
        else:
            raise ConfigurationError(
                f"{file}: it has no column {place!r} for {role}: its columns are {some(map(str, names or ()), ', ')}"
            )
    return at


def _by_shape(sample: Sequence[Sequence[Any]]) -> dict[str, int]:
    """Roles in the header-less dumps whose shape cannot be mistaken; empty for any other."""
    width = len(sample[0]) if sample else 0
    if any(len(row) != width for row in sample):
        return {}
    flags = [index for index in range(width) if all(_is_flag(row[index]) for row in sample)]
    if width == 12 and all(_is_kline(row) for row in sample):
        return {role: index for index, role in enumerate(_KLINE_DUMP)}
    if width == 6 and not flags and all(_is_candle(row) for row in sample):
        return {role: index for index, role in enumerate(("time", "open", "high", "low", "close", "volume"))}
    if (width, flags) in ((6, [5]), (7, [5, 6])):
        roles = ("id", "price", "size", "quote_size", "time", "buyer_maker")
        return {role: index for index, role in enumerate(roles)} if _is_epoch(sample[0][4]) else {}
    if (width, flags) in ((7, [6]), (8, [6, 7])) and _is_epoch(sample[0][5]):
        return {"id": 0, "price": 1, "size": 2, "time": 5, "buyer_maker": 6}
    return {}


def is_header(row: Sequence[str]) -> bool:
    """Whether a file's first line names its columns: no cell is a number or begins like a date."""
    return not any(_as_number(cell) is not None or re.match(r"\s*\d{4}[-./]\d\d", cell) for cell in row)


def _is_flag(cell: object) -> bool:
    return isinstance(cell, bool) or str(cell).strip().lower() in {"true", "false"}


def _is_epoch(cell: object) -> bool:
    number = _as_number(cell)
    return number is not None and number >= 10**8


def _is_candle(row: Sequence[object]) -> bool:
    numbers = [_as_number(cell) for cell in row[1:6]]
    if not _is_epoch(row[0]) or any(number is None for number in numbers):
        return False
    first, high, low, last = (number or 0.0 for number in numbers[:4])
    return high >= max(first, last, low) and low <= min(first, last)


def _is_kline(row: Sequence[object]) -> bool:
    opened, closed = _as_number(row[0]), _as_number(row[6])
    return _is_candle(row) and opened is not None and closed is not None and closed > opened


def _as_number(cell: object) -> float | None:
    try:
        return None if isinstance(cell, bool) else float(cell)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return None
