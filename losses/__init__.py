"""Losses: pure functions of tensors, one value a row; no config, no logging, no rank."""
