"""A ledger file: the venue's books, written as they change, so that they survive the death of the process.

One JSON line for each entry, handed to the operating system before anybody is told of the change. Opening it
restores the books, cuts a torn last line, and writes the file anew, short.
"""

from __future__ import annotations

import os
from math import inf
from pathlib import Path

import msgspec

from fairlead import ConfigurationError, JournalDamaged, JournalError
from fairlead_sim.desk import Desk
from fairlead_sim.entries import (
    Books,
    Changed,
    Ended,
    Entry,
    Executed,
    Funded,
    Listed,
    NewTerms,
    Placed,
    Refused,
)

_encoder = msgspec.json.Encoder(decimal_format="string")
_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)


class LedgerFile:
    """Keeps a desk's books in a file. Raises JournalError, and JournalDamaged where a line is not ours."""

    def __init__(self, path: Path, desk: Desk) -> None:
        self._path = path
        self._desk = desk
        self._file = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                listed = [market.instrument for market in desk.markets.values()]
                _restore(path, desk)
                for instrument in listed:
                    if instrument is not None:
                        desk.learn(instrument)
        except OSError as error:
            raise JournalError(f"the ledger {path} cannot be read: {error.strerror}") from error
        self.open()

    def open(self) -> None:
        """Write the books as they are, and every change from now on; harmless to repeat."""
        if self._file < 0:
            try:
                self._file = _rewrite(self._path, self._desk)
            except OSError as error:
                raise JournalError(f"the ledger {self._path} cannot be written: {error.strerror}") from error
            self._desk.log = self._append

    def _append(self, entry: Entry) -> None:
        try:
            self._write(_encoder.encode(entry) + b"\n")
        except OSError as error:
            raise JournalError(f"the ledger {self._path} cannot be written: {error.strerror}") from error

    def _write(self, line: bytes) -> None:
        written = os.write(self._file, line)
        while written < len(line):
            written += os.write(self._file, line[written:])

    def close(self) -> None:
        """Keep no more; harmless to repeat."""
        if self._file >= 0:
            self._desk.log = _unlogged
            os.close(self._file)
            self._file = -1


def books(desk: Desk) -> Books:
    """Everything the desk knows."""
    return Books(
        currency=desk.currency,
        ledger=desk.ledger,
        instruments=[market.instrument for market in desk.markets.values() if market.instrument is not None],
        orders=list(desk.orders.values()),
        closed=list(desk.closed.values()),
        fills=list(desk.fills),
        sequence=desk.sequence,
        fill_count=desk.fill_count,
    )


def _rewrite(path: Path, desk: Desk) -> int:
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(_encoder.encode(books(desk)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return os.open(path, os.O_WRONLY | os.O_APPEND)


def _restore(path: Path, desk: Desk) -> None:
    lines = path.read_bytes().split(b"\n")
    lines.pop()  # what follows the last newline is torn, or nothing
    for number, line in enumerate(lines, 1):
        try:
            entry = _decoder.decode(line)
        except msgspec.DecodeError as error:
            raise JournalDamaged(
                f"line {number} of the ledger {path} cannot be read ({error}): move the file away to begin anew"
            ) from error
        if isinstance(entry, Books) and entry.currency != desk.currency:
            raise ConfigurationError(
                f"the ledger {path} is of an account in {entry.currency}, and its cash now begins with "
                f"{desk.currency}: write {entry.currency} first, or begin in another folder"
            )
        replay(desk, entry)
    for order in list(desk.orders.values()):
        order.fresh = order.limit is None or not order.triggered
        if order.remaining <= 0:
            desk.enter_end(order, "canceled")
    for market in desk.markets.values():
        market.arm()
        if desk.ledger.quantity(market.id):
            market.low = inf  # look at margin on the first event


def replay(desk: Desk, entry: Entry) -> None:
    """Do to the books what an entry says."""
    match entry:
        case Listed(instrument):
            desk.learn(instrument)
        case Placed(order):
            desk.enter_order(order)
        case Refused(order):
            desk.enter_closed(order)
        case Changed(client_order_id=name):
            order = desk.orders[name]
            order.remaining, order.ahead = entry.remaining, entry.ahead
            order.stop, order.peak, order.triggered = entry.stop, entry.peak, entry.triggered
        case NewTerms(order):
            desk.enter_terms(order)
        case Ended(client_order_id=name, status=status):
            if name in desk.orders:
                desk.enter_end(desk.orders[name], status)
        case Executed(fill):
            desk.enter_fill(fill, desk.orders.get(fill.client_order_id))
        case Funded(instrument=name, amount=amount):
            desk.ledger.fund(desk.markets[name].rules, amount)
        case Books():
            desk.ledger.balances.clear()
            desk.ledger.balances.update(entry.ledger.balances)
            desk.ledger.holdings.update(entry.ledger.holdings)
            for instrument in entry.instruments:
                desk.learn(instrument)
            for order in entry.orders:
                desk.enter_order(order)
            for report in entry.closed:
                desk.enter_closed(report)
            desk.fills.extend(entry.fills)
            desk.sequence, desk.fill_count = entry.sequence, entry.fill_count


def _unlogged(entry: Entry) -> None:
    """Where changes go while the file is closed."""
