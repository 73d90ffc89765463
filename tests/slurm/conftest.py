"""What tests on the cluster share: its commands on this process' path, and a private experiment."""

from collections.abc import Iterator

import pytest
from cluster import Cluster

from lineage.place import CHECKOUT


@pytest.fixture(scope="module")
def on_cluster(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, whose commands this process finds for as long as a file of tests runs."""
    with cluster.on_path() as here:
        here.setenv("PYTHONPATH", str(CHECKOUT))
        here.setenv("OMP_NUM_THREADS", "1")
        yield cluster


@pytest.fixture(scope="session")
def private(shortest: list[str]) -> list[str]:
    """A short experiment with a stage under DP, less its steps and where its run folders lie."""
    return [
        *shortest, "privacy.epsilon=8", "privacy.units=30", "privacy.expected_batch_units=6",
        "privacy.delta=1e-3", "privacy.physical_batch_rows=4", "steps=[base_language,instruct]",
        "+stage.instruct.rows.rows_per_subject=2", "stage.instruct.gradient_clip_norm=0",
        "stage.base_language.steps=3",
    ]  # fmt: skip
