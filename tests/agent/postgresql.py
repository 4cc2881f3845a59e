"""A throwaway PostgreSQL cluster, reachable through a socket in its own folder only."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NOBODY = 65534


def tools() -> Path | None:
    """Return the folder of initdb and pg_ctl, None where PostgreSQL or psycopg is missing."""
    if importlib.util.find_spec("psycopg") is None:
        return None
    found = [Path(p).parent for p in [shutil.which("pg_ctl")] if p]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return found[-1] if found else None


@contextmanager
def cluster(bin_dir: Path) -> Iterator[str]:
    """Run a cluster and give the URL of its first database; it refuses root, so root runs it as nobody."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    user = _NOBODY if os.geteuid() == 0 else os.geteuid()
    with suppress(PermissionError):
        os.chown(folder, user, -1)
    data = folder / "data"

    def run(*command: str | Path) -> None:
        subprocess.run(
            [*map(str, command)], check=True, user=user if os.geteuid() == 0 else None, cwd=folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    try:
        run(bin_dir / "initdb", "-D", data, "-U", "inkling", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        run(bin_dir / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield f"postgresql://inkling@/postgres?host={folder}"
        finally:
            run(bin_dir / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
