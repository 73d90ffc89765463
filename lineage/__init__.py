"""Run folders: manifest, lock, atomic writes, who, exclude."""
