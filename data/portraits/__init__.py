"""Rendered people with ground truth that no photograph has."""
