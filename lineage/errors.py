"""The one kind of error that a door prints without a traceback."""


class TactError(Exception):
    """One clear error that names the thing and the fix; doors print it and exit with ``status``."""

    status = 2


class InUse(TactError):
    """Another process holds what this one needs; it goes once that has ended."""
