"""Units, per-unit clipping, noise and the one ledger of a run."""
