"""From a finished run to a model that transformers loads, with its card."""
