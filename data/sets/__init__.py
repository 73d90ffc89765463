"""Published sets, each read from its own layout: one short file a set, and their terms."""
