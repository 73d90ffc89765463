"""Staged training on Lightning; runs the steps of an experiment."""
