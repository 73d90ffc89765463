"""How far a claim is: a bar on a terminal, a line for each run everywhere, and the time left."""

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from evaluation import claim_runs, claim_train
from evaluation.claim_runs import FINISHED, Planned

console = Console(stderr=True)


class Progress:
    """Counts the runs of a claim and says how long those that are left will take."""

    def __init__(self, name: str, plan: Sequence[Planned]) -> None:
        self.name, self.plan = name, plan
        self.todo = [one for one in plan if claim_runs.state(one) != FINISHED]
        self.spent: dict[str, list[float]] = {}
        self.bar = Bar(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TextColumn("{task.fields[left]}"),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip

    def __enter__(self) -> "Progress":
        for one in self.plan:
            if one not in self.todo and (past := claim_train.seconds(one)):
                self.spent.setdefault(one.name, []).append(past)
        done = len(self.plan) - len(self.todo)
        console.print(f"{self.name}: {done} of {len(self.plan)} runs are done; {self.left()}")
        self.bar.start()
        self.task = self.bar.add_task(
            self.name, total=len(self.plan), completed=done, left=self.left()
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.bar.stop()

    def begin(self, one: Planned) -> bool:
        """Show the run; False where there is nothing to do, since it is done."""
        if claim_runs.state(one) == FINISHED:
            self.todo = [other for other in self.todo if other is not one]
            return False
        console.print(f"{self.name}: {one.folder.name}")
        self.bar.update(self.task, description=f"{self.name}: {one.folder.name}", left=self.left())
        return True

    def beat(self) -> None:
        """Show that it is alive."""
        self.bar.update(self.task, left=self.left())

    def end(self, one: Planned, spent: float) -> None:
        """Count the run."""
        self.todo = [other for other in self.todo if other is not one]
        self.spent.setdefault(one.name, []).append(claim_train.seconds(one))
        self.bar.update(self.task, advance=1)
        console.print(f"{self.name}: {one.folder.name} took {spent / 60:.1f} min; {self.left()}")

    def left(self) -> str:
        """The time left, from runs of the same name where there are any, else from all."""
        every = [seconds for some in self.spent.values() for seconds in some]
        if not self.todo:
            return "nothing left to run"
        if not every:
            return f"{len(self.todo)} to run"
        each = [self.spent.get(one.name, every) for one in self.todo]
        minutes = sum(sum(some) / len(some) for some in each) / 60
        return f"{len(self.todo)} to run, about {minutes:.0f} min left"
