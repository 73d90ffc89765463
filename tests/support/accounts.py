"""A test cluster that keeps accounts: slurmdbd over a MariaDB, from Debian's packages."""

import getpass
import subprocess
from pathlib import Path

from cluster import START_S, Cluster, free_ports, wait

PACKAGES = (
    "slurmdbd slurm-wlm-mysql-plugin libmariadb3 mariadb-common mariadb-server-core libaio1 "
    "liburing2 libnuma1"
)
CONF = """
AuthType=auth/munge
AuthInfo=socket={desk}/run/munge.sock
DbdHost=localhost
DbdPort={port}
SlurmUser={user}
PluginDir={library}/slurm-wlm
PidFile={desk}/run/slurmdbd.pid
LogFile={desk}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser={user}
StorageLoc=accounts
"""


class Accounting(Cluster):
    """As ``Cluster``; jobs are taken of users with an account alone."""

    variables = (*Cluster.variables, "MYSQL_UNIX_PORT")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.port,) = free_ports(1)
        self.accounting = (
            "AccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=localhost\n"
            f"AccountingStoragePort={self.port}\nAccountingStorageEnforce=associations\n"
            f"AccountingStoragePass={self.desk}/run/munge.sock"  # so Slurm calls munge's socket
        )

    @property
    def environment(self) -> dict[str, str]:
        """The cluster's, with where its database listens."""
        kept = super().environment
        libraries = f"{kept['LD_LIBRARY_PATH']}:{self.root}/lib/x86_64-linux-gnu"
        return {**kept, "MYSQL_UNIX_PORT": str(self._socket), "LD_LIBRARY_PATH": libraries}

    def start_accounts(self) -> None:
        """Start the database and slurmdbd, which must know the cluster before its controller."""
        data = self.desk / "database"
        data.mkdir()
        with (self.desk / "log/mariadb.log").open("w") as log:
            subprocess.Popen(  # its own user may enter: tables of rights are those of an installer
                [self.root / "usr/sbin/mariadbd", "--no-defaults", f"--basedir={self.root}/usr",
                 f"--datadir={data}", f"--socket={self._socket}", "--skip-networking",
                 f"--pid-file={self.desk}/run/mariadb.pid", "--skip-grant-tables",
                 f"--user={getpass.getuser()}", "--innodb-buffer-pool-size=16M"],
                env=self.environment, stdout=log, stderr=log,
            )  # fmt: skip
        wait(self._socket.exists, why=self.log, seconds=START_S)
        conf = self.desk / "slurmdbd.conf"
        conf.touch(mode=0o600)
        conf.write_text(
            CONF.format(desk=self.desk, port=self.port, user=getpass.getuser(),
                        library=self.library)
        )  # fmt: skip
        self.run("slurmdbd")
        wait(lambda: self._asked("show", "cluster"), why=self.log, seconds=START_S)
        self._asked("add", "cluster", "t")

    def add_account(self, name: str) -> None:
        """An account that this user may charge."""
        assert self._asked("add", "account", name, "cluster=t")
        assert self._asked("add", "user", getpass.getuser(), f"account={name}")

    @property
    def _socket(self) -> Path:
        return self.desk / "run/db.sock"

    def _asked(self, *words: str) -> bool:
        asked = ["sacctmgr", "--immediate", *words]
        done = subprocess.run(asked, env=self.environment, capture_output=True, check=False)
        return done.returncode == 0
