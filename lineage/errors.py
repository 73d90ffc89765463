"""The one kind of error that a door prints without a traceback."""


class TactError(Exception):
    """One clear error that names the thing and the fix; doors print it and exit with status 2."""
