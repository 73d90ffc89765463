"""Rows, consent, sources, collation and the embedded data set."""
