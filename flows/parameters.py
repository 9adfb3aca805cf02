"""Parameters that several flows have: types that a form can show, with their limits."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

__all__ = ["ApprovalTimeout", "AtOnce", "InFlight", "Retries"]

InFlight: TypeAlias = Annotated[int, Field(ge=1, le=1000)]
Retries: TypeAlias = Annotated[int | None, Field(ge=0, le=10)]
ApprovalTimeout: TypeAlias = Annotated[int, Field(ge=1, le=31_536_000)]
AtOnce: TypeAlias = Annotated[int, Field(ge=1, le=100)]
