"""The most an account may lose in any twenty-four hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fairlead import Money, OrderIntent
from fairlead.facts import CashChanged, FlowSettled
from fairlead.ports import Allowance, Reference, Trip, View
from fairlead_breakers._latch import LOOK_NS, Act, Latch, span
from fairlead_breakers._shared import figure, loss_limit, next_full, reduces, setting

_SAMPLES = 96


class RollingLoss(Latch):
    """Makes an account reduce-only when it has lost more than `limit` since `window` ago: a second line to `DailyLoss`.

    `limit` is money in the account's currency or a part of equity then; deposits and withdrawals do not count. Equity
    is sampled 96 times per window (each quarter of an hour in a day); until that is full the first sample counts.

    Scope: account. Evaluation: once a minute and before each order. Action: reduce-only, or what `action` says. Reset:
    by a person, unless `reset` says otherwise; `check` goes on refusing while the loss stands, or is unknown. Samples
    and trip survive a restart.
    """

    wants = (CashChanged, FlowSettled)

    def __init__(
        self,
        limit: str | Money,
        window: str = "1d",
        *,
        action: Act = "reduce_only",
        reset: str = "manual",
        name: str = "RollingLoss",
    ) -> None:
        super().__init__(name, action, reset)
        with setting(name, "limit"):
            part, money = loss_limit(limit)
        self._keep, self._limit = float(1 - part), str(money or limit)
        self._amount, self._currency = (float(money.amount), money.currency) if money else (0.0, "")
        self._span = span(name, "window", window)
        self._samples: dict[str, list[tuple[int, float]]] = {}
        self._turn = 0

    def check(self, intent: OrderIntent, view: View) -> Trip | None:
        """Refuse what does not reduce while the loss stands or cannot be told."""
        why = self._lost(intent.account, view)
        why = self._unknown(intent.account, view) if why is None else why
        return None if not why or reduces(intent, view) else Trip(why)

    def allows(self, account: str, instrument: str, view: View) -> Allowance | None:  # type: ignore[override]
        """Nothing can be told beforehand."""
        return None

    def due(self, view: View) -> int:
        """Look at each full minute."""
        return next_full(LOOK_NS, view)

    def watch(self, item: Any, view: View) -> Trip | None:
        """Sample, judge; cash that came or went moves the samples."""
        super().watch(item, view)
        if isinstance(item, CashChanged | FlowSettled):
            samples = self._samples.get(item.account, [])
            self._samples[item.account] = [(when, equity + item.flow) for when, equity in samples]
        if item is not None:
            return None
        found: list[tuple[str, str]] = []
        for account in view.accounts():
            self._sample(account, view)
            why = self._lost(account, view)
            if why:
                found.append((account, why))
        if not found:
            return None
        account, why = found[self._turn % len(found)]  # a look can report one account: each in its turn
        self._turn += 1
        return self._trip(why, f"account:{account}", view, account)

    def _sample(self, account: str, view: View) -> None:
        equity, samples = view.equity(account), self._samples.setdefault(account, [])
        step = self._span // _SAMPLES
        if equity is not None and (not samples or view.now // step > samples[-1][0] // step):
            samples.append((view.now, equity))
        while len(samples) > 1 and samples[1][0] <= view.now - self._span:
            del samples[0]

    def _lost(self, account: str, view: View) -> str | None:
        """How much it has lost, in words; "" where that is within the limit, None where it is unknown."""
        equity, samples = view.equity(account), self._samples.get(account)
        if equity is None or not samples or self._foreign(account, view):
            return None
        before = samples[0][1]
        if equity >= before * self._keep - self._amount:
            return ""
        return f"lost {figure(before - equity)} since {figure(before)}, more than {self._limit}"

    def _unknown(self, account: str, view: View) -> str:
        if self._foreign(account, view):
            home = view.currency(account)
            return f"the limit is in {self._currency}: write it in percent, or in the {home} of {account}"
        return f"the loss is unknown: the equity of {account} was not seen yet"

    def refers(self) -> Iterable[Reference]:
        """The currency of the limit, where it is money."""
        return [Reference("limit", "currency", self._currency)] if self._currency else []

    def _foreign(self, account: str, view: View) -> bool:
        return bool(self._currency) and self._currency != view.currency(account)

    def _memory(self) -> dict[str, Any]:
        return {"samples": self._samples}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        samples = memory.get("samples", {}).items()
        self._samples = {account: [(when, equity) for when, equity in pairs] for account, pairs in samples}
