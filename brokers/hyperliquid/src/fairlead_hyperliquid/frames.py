"""What Hyperliquid says of an account, as it writes it.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket/subscriptions
"""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Basic(msgspec.Struct, rename="camel"):
    """An order. `sz` is what is still to fill, `orig_sz` what was asked for under this number."""

    coin: str
    side: str
    limit_px: Decimal
    sz: Decimal
    oid: int
    timestamp: int
    orig_sz: Decimal
    cloid: str | None = None
    is_trigger: bool = False
    trigger_px: Decimal | None = None


class Update(msgspec.Struct, rename="camel"):
    """An order and its state."""

    order: Basic
    status: str
    status_timestamp: int = 0


class Status(msgspec.Struct):
    """The answer to `orderStatus`; `status` is order or unknownOid."""

    status: str
    order: Update | None = None


class Liquidation(msgspec.Struct, rename="camel"):
    """That an execution was a liquidation, and whose."""

    liquidated_user: str = ""


class Fill(msgspec.Struct, rename="camel"):
    """An execution of ours; `fee` is negative where it is paid to us."""

    coin: str
    px: Decimal
    sz: Decimal
    side: str
    time: int
    oid: int
    tid: int
    fee: Decimal
    fee_token: str = "USDC"
    crossed: bool = True
    cloid: str | None = None
    liquidation: Liquidation | None = None


class Fills(msgspec.Struct, rename="camel"):
    """Executions as the stream tells them; the first frame is what there was before."""

    fills: list[Fill]
    is_snapshot: bool = False


class Funding(msgspec.Struct):
    """A payment for a position."""

    time: int
    coin: str
    usdc: Decimal


class Fundings(msgspec.Struct, rename="camel"):
    """Payments."""

    fundings: list[Funding]
    is_snapshot: bool = False


class Delta(msgspec.Struct, rename="camel"):
    """Money that came or went by no order."""

    type: str
    usdc: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    to_perp: bool = False
    destination: str = ""


class LedgerRow(msgspec.Struct):
    """One such movement."""

    time: int
    hash: str
    delta: Delta


class Ledger(msgspec.Struct, rename="camel"):
    """Movements."""

    non_funding_ledger_updates: list[LedgerRow]
    is_snapshot: bool = False


updates = msgspec.json.Decoder(list[Update], strict=False)
fills = msgspec.json.Decoder(Fills, strict=False)
fundings = msgspec.json.Decoder(Fundings, strict=False)
ledger = msgspec.json.Decoder(Ledger, strict=False)
