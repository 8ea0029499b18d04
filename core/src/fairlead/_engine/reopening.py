"""Taking up a run where its journal ends: what the journal tells, and what it does not explain.

Nothing here talks to a venue. A journal that is damaged, gone, or shorter than the account's home knows it to have
been leaves the account in doubt: the engine starts, HALTED, and runs no strategy until a person has adopted it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import attrs

from fairlead._engine.assembly import Learned
from fairlead._engine.folding import fold
from fairlead._engine.moments import crash_limit_of
from fairlead._kernel.state import State
from fairlead._models.accounts import TradingState
from fairlead._storage.home import AccountHome, Mark
from fairlead._storage.reading import Position, last_segment
from fairlead._storage.run import RunFolder
from fairlead._storage.segments import Kind
from fairlead.errors import JournalDamaged
from fairlead.facts import AccountDoubted, JournalCut, StateChanged
from fairlead.units import duration_text

log = logging.getLogger("fairlead.journal")


@attrs.frozen
class Opened:
    """A journal taken up: the state that it gives, and what became of its end.

    `cut` is the number of bytes of a torn last record, `other_boot` says that the machine was started anew since the
    last record was written: then, under `process` durability, more than the torn record may be missing, and orders of
    ours that the venue has and the journal has not are explained by it. `lost` says why nothing is left of the
    journal, "" while it is whole.
    """

    state: State
    at: Position
    cut: int = 0
    other_boot: bool = False
    lost: str = ""

    def explains_missing_tail(self, durability: str) -> bool:
        """Whether records that left their traces at the venue only can have been lost in good faith."""
        return self.other_boot and durability == "process" and not self.lost


def reopen(folder: RunFolder, boot_id: str) -> Opened:
    """Cut a torn tail, fold, and move a damaged journal to quarantine; the run is locked by the caller.

    Raises JournalError where a newer version wrote the journal, and where it cannot be read at all.
    """
    try:
        end, cut = last_segment(folder.journal, Kind.JOURNAL)
        folded = fold(folder)
    except JournalDamaged as damage:
        kept = folder.quarantine_journal()
        return Opened(State(), Position(), lost=f"the journal was damaged ({damage}) and lies in {kept}")
    for text in folded.refused:
        log.warning("%s: the journal is folded without it", text)
    if not folded.state.seq and folder.quarantined is not None:
        lost = f"a damaged journal lies in {folder.quarantined}, and nothing has taken its place"
        return Opened(State(), Position(), lost=lost)
    other = bool(end.boot_id) and end.boot_id != boot_id
    return Opened(folded.state, folded.at, cut, other)


def learn(
    opened: Opened, homes: Mapping[str, AccountHome], *, now: int, crash_limit: str | None
) -> list[Learned]:
    """What a start has to write down about its journal before it does anything else."""
    found: list[Learned] = []
    if opened.cut:
        found.append((JournalCut, {"size": opened.cut, "other_boot": opened.other_boot}))
    for account, home in homes.items():
        reason = "" if account in opened.state.doubted else doubt(opened, home.mark)
        if reason:
            found.append((AccountDoubted, {"account": account, "reason": reason}))
    why = _crashes(opened.state, now, crash_limit)
    if (
        why
        and opened.state.lowered.get("engine", TradingState.ACTIVE).severity < TradingState.HALTED.severity
    ):
        halt: dict[str, object] = {
            "scope": "engine",
            "state": TradingState.HALTED,
            "reason": why,
            "who": "engine",
        }
        found.append((StateChanged, halt))
    return found


def doubt(opened: Opened, mark: Mark | None) -> str:
    """Why the journal does not explain an account, "" where it does."""
    if opened.lost:
        return opened.lost
    if mark is None:
        return ""
    state, at = opened.state, opened.at
    if not state.seq:
        return f"its journal is gone: it had come to record {mark.seq:,} in epoch {mark.epoch}"
    if state.epoch < mark.epoch or at.seq < mark.seq:
        return (
            f"its journal ends with record {at.seq:,} of epoch {state.epoch}, and had come to {mark.seq:,} of epoch "
            f"{mark.epoch}: an older copy was put in its place, or its end is gone"
        )
    if mark.chain and (at.seq, at.chain) != (mark.seq, mark.chain) and at.seq == mark.seq:
        return f"record {mark.seq:,} of its journal is not the one that it ended with: another was put in its place"
    return ""


def _crashes(state: State, now: int, limit: str | None) -> str:
    """Why a start that follows so many bad ends may not trade, "" where it may."""
    allowed = crash_limit_of(limit)
    if allowed is None:
        return ""
    count, span = allowed
    recent = [start for start in state.unfinished if start > now - span]
    if len(recent) < count:
        return ""
    within = duration_text(span)
    return f"{len(recent)} starts within {within} did not end in good order: find out why, then resume"


def doubts(state: State) -> Sequence[str]:
    """One sentence for each account that a person has to adopt before anything is traded again."""
    return [f"account {account} is HALTED: {reason}" for account, reason in state.doubted.items()]
