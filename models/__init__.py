"""VLMs from a Hub id or from parts, the private interface, readers and adversaries."""
