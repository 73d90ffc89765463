"""Behaviour, attackers and the report: fresh measurements of finished runs."""
