"""Enumerations whose members are their own words in JSON, msgpack and messages."""

from __future__ import annotations

import enum


class Word(enum.StrEnum):
    """A string enumeration that hashes as fast as a string does: its members are looked up at every order."""

    __hash__ = str.__hash__
