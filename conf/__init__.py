"""The Hydra tree, its dataclass schema and the function that composes and checks a config."""
