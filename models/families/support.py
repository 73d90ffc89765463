"""What a family's file says that it supports; tests hold it to the models themselves."""

from dataclasses import dataclass
from typing import Literal

Takes = Literal["whole", "crops", "patches"]
BothWays = Literal["nothing", "prompt", "pictures"]


@dataclass(frozen=True)
class Support:
    """One family, for people who choose a model (``docs/families.md``)."""

    models: str  # as people call them
    pictures: int = 1  # a row, at most
    takes: tuple[Takes, ...] = ("whole",)  # what the tower gets of a picture
    both_ways: BothWays = "nothing"  # what is read both ways; all else is causal
    grid: bool = False  # a picture's tokens have places by row and column
    one_sequence: bool = True  # pairs as [prompt | chosen | rejected]
    private: bool = True  # model.interface.kind=private
    note: str = ""
