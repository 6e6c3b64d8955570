"""What can go wrong with a lab."""

from __future__ import annotations

from outlast.errors import OutlastError


class LabError(OutlastError):
    """The lab on this machine is not, or cannot be brought, into the state that was asked for."""
