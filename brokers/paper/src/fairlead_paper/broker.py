"""An account on paper: the simulated venue, on live or synthetic data, with a memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

from fairlead import ConfigurationError, Instrument
from fairlead.ports import Clock, Report
from fairlead_sim import Cash, FaultPlan, Fees, FillModel, Latency, LedgerFile, SimulatedBroker, Slippage


class PaperBroker(SimulatedBroker):
    """Trade on the streams' data without an account, a key or money at risk.

    `cash` is what the account starts with: an amount or several, the first one's currency being the account's.
    `fees` is one rate, or a pair of maker and taker, or a model; without it each instrument's own hold.
    `slippage` is `"1 tick"`, `"2 bp"`, `"0.01%"` or a model; `latency` a duration or a model; `fills` a model.
    `leverage` replaces the instruments' initial margin; `borrow` lets spot be sold short against margin.

    In a run it keeps its books in the run's folder, so that balances, positions and open orders outlive the
    process; orders rest while it is away and nothing fills. Cash is then what the books say, not what is written
    here. Raises ConfigurationError; JournalError where the books cannot be read or written.
    """

    def __init__(
        self,
        cash: Cash = "100_000 USDT",
        *,
        name: str = "paper",
        fees: Fees | None = None,
        slippage: Slippage | None = None,
        latency: Latency = "0ms",
        report_delay: str | int = 0,
        fills: FillModel | None = None,
        fill_at: str = "open",
        leverage: int | float | str | Decimal | None = None,
        borrow: bool = False,
        instruments: Iterable[Instrument] = (),
        faults: FaultPlan | None = None,
    ) -> None:
        super().__init__(
            cash,
            name=name,
            fees=fees,
            slippage=slippage,
            latency=latency,
            report_delay=report_delay,
            fills=fills,
            fill_at=fill_at,
            leverage=leverage,
            borrow=borrow,
            instruments=instruments,
            faults=faults,
        )
        self._store: LedgerFile | None = None
        self._path: Path | None = None
        self._left = b""

    def persist(self, folder: Path) -> None:
        """Keep the books in this folder from now on, in a file of this account's name, and take up those there are.

        Call it before `connect`; once is enough for an object that is used again. Raises ConfigurationError where
        somebody else has written the books since.
        """
        path = Path(folder) / f"{self.name}.jsonl"
        if path != self._path:
            self._store, self._path = LedgerFile(path, self.venue.desk), path
        elif not path.exists() or path.read_bytes() != self._left:
            raise ConfigurationError(
                f"the ledger {path} has changed since this account was used last: make the broker anew to read it"
            )

    async def connect(self, emit: Callable[[Report], None], clock: Clock) -> None:
        """Begin to report; orders that were left open go on working."""
        if self._store is not None:
            self._store.open()
        await super().connect(emit, clock)

    async def close(self) -> None:
        """Take no more commands, and close the books."""
        await super().close()
        if self._store is not None and self._path is not None:
            self._store.close()
            self._left = self._path.read_bytes() if self._path.exists() else b""
