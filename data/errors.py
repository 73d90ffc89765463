"""What is wrong with data, said once and with the fix."""

from lineage.errors import TactError


class DataError(TactError):
    """A source, a split or a row that can't be trained on."""
