"""What changes the venue's books, one entry each, as a venue with a ledger file writes them down."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from fairlead import Instrument
from fairlead.ports import FillReport, OrderReport
from fairlead_sim.ledger import Ledger
from fairlead_sim.orders import WorkingOrder


class Listed(msgspec.Struct, tag_field="t"):
    """An instrument was listed, or its rules changed."""

    instrument: Instrument


class Placed(msgspec.Struct, tag_field="t"):
    """An order was accepted."""

    order: WorkingOrder


class Refused(msgspec.Struct, tag_field="t"):
    """An order was rejected; its id is used."""

    order: OrderReport


class Changed(msgspec.Struct, tag_field="t", omit_defaults=True):
    """A working order's trigger moved or went off, what remains of it shrank, or it took its place in the queue."""

    client_order_id: str
    remaining: Decimal
    stop: float | None = None
    triggered: bool = False
    peak: float = 0.0
    ahead: float = 0.0


class NewTerms(msgspec.Struct, tag_field="t"):
    """A working order was replaced by this one, of the same id."""

    order: WorkingOrder


class Ended(msgspec.Struct, tag_field="t"):
    """An order works no more."""

    client_order_id: str
    status: str


class Executed(msgspec.Struct, tag_field="t"):
    """A fill, with all that follows from it: the ledger, its order, and the orders linked to that."""

    fill: FillReport


class Funded(msgspec.Struct, tag_field="t"):
    """A funding payment."""

    instrument: str
    amount: Decimal


class Books(msgspec.Struct, tag_field="t"):
    """Everything, as a new ledger file begins with it."""

    currency: str
    ledger: Ledger
    instruments: list[Instrument]
    orders: list[WorkingOrder]
    closed: list[OrderReport]
    fills: list[FillReport]
    sequence: int
    fill_count: int


Entry = Listed | Placed | Refused | Changed | NewTerms | Ended | Executed | Funded | Books
