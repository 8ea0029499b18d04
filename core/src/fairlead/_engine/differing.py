"""Books against venue, as plain data: what stands, what was decided, what each reconciler would do about it."""

from __future__ import annotations

from typing import Any

from fairlead._kernel.kernel import Kernel
from fairlead._kernel.reconciliation import Proposal
from fairlead._models.reconciliation import Discrepancy, fitting

SCHEMA = 1


def discrepancies(kernel: Kernel) -> dict[str, Any]:
    """The differences of all accounts; nothing is compared, decided or done for it.

    `owed` are decisions that have still to be sent to a venue. Figures are strings, times integer nanoseconds.
    """
    books = kernel.reconciliation
    return {
        "schema": SCHEMA,
        "now_ns": max(kernel.agenda.now(), kernel.recorder.now),
        "accounts": [
            {"account": name, "compared_ns": books.compared_ns(name), "every_ns": books.every_ns(name)}
            for name in kernel.state.accounts
        ],
        "discrepancies": [_row(kernel, one) for one in books.standing(set(kernel.state.accounts))],
        "owed": [
            {"discrepancy": owed.discrepancy.id, "action": str(owed.action), "what": str(owed.discrepancy)}
            for owed in kernel.state.owed.values()
        ],
    }


def _row(kernel: Kernel, found: Discrepancy) -> dict[str, Any]:
    decided = kernel.state.decided.get(found.id)
    return {
        "discrepancy": found.id,
        "account": found.account,
        "kind": str(found.kind),
        "subject": found.subject,
        "ours": str(found.expected or found.ours),
        "theirs": str(found.actual or found.theirs),
        "severity": str(found.severity),
        "what": str(found),
        "obstacle": kernel.reconciliation.obstacle(found),
        "decided": None if decided is None else str(decided.action),
        "who": "" if decided is None else decided.who,
        "why": "" if decided is None else decided.why,
        "actions": sorted(str(action) for action in fitting(found.kind)),
        "proposals": [_proposal(one) for one in kernel.reconciliation.proposals(found)],
    }


def _proposal(proposal: Proposal) -> dict[str, Any]:
    resolution = proposal.resolution
    usable = resolution is not None and not proposal.fault
    return {
        "reconciler": proposal.reconciler,
        "action": str(resolution.action) if usable and resolution is not None else None,
        "cause": resolution.cause if usable and resolution is not None else "",
        "fault": proposal.fault,
    }
