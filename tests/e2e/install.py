"""Install Home Assistant, once, into a cache: `python -m tests.e2e.install [--check] 2024.3 2026.11`.

A release runs on the Pythons that it was made for. Where this machine has one, it goes into a virtual
environment; where it has none, and this is Debian and root, Debian's next suite is put into a folder with
debootstrap, and Home Assistant runs in there by chroot.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("INKLING_E2E_CACHE", Path(__file__).parents[2] / ".cache" / "ha")).resolve()
CHROOT_PACKAGES = (
    "python3.14 python3.14-venv python3.14-dev ca-certificates gcc g++ make libffi-dev libturbojpeg0"
)

# Integrations of the test configuration, and those that Home Assistant always sets up by itself: with all of
# their requirements installed it needs no network at run time.
INTEGRATIONS = """
    analytics api application_credentials assist_pipeline auth automation backup blueprint brands camera
    config conversation counter ffmpeg frontend group hardware history http infrared input_boolean
    input_button input_datetime input_number input_select input_text labs light logbook logger marketplace
    mqtt mqtt_statestream network onboarding person radio_frequency recorder scene schedule script sun
    system_health tag template timer trace usb websocket_api zone
"""

# Found, not imported: importing it needs the packages that are yet to be installed.
FIND_PACKAGE = """
import importlib.util, json, pathlib, sys
package = pathlib.Path(importlib.util.find_spec("homeassistant").submodule_search_locations[0])
"""
PRINT_CONSTRAINTS_PATH = FIND_PACKAGE + 'print(package / "package_constraints.txt")'
LIST_REQUIREMENTS = f"""
{FIND_PACKAGE}
seen, todo, requirements = set(), sys.argv[1:], set()
while todo:
    domain = todo.pop()
    manifest = package / "components" / domain / "manifest.json"
    if domain not in seen and manifest.exists():
        data = json.loads(manifest.read_text())
        todo += data.get("dependencies", []) + data.get("after_dependencies", [])
        requirements.update(data.get("requirements", []))
    seen.add(domain)
print(*sorted(requirements), sep="\\n")
"""


class UnavailableError(RuntimeError):
    """A Home Assistant can't be installed on this machine."""


@dataclass(frozen=True, slots=True)
class Release:
    """A Home Assistant release, and what it needs."""

    version: str
    pythons: tuple[str, ...]
    pins: tuple[str, ...] = ()
    debian_suite: str | None = None


RELEASES = {
    # josepy 2 broke the range of acme that 2024.3 allows
    "2024.3": Release("2024.3.3", ("python3.12", "python3.11"), pins=("josepy<2",)),
    "2026.11": Release("2026.11.0", ("python3.14",), debian_suite="forky"),
}


class Installation:
    """One release in the cache: where its Python is, and how to run it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.release = RELEASES[name]
        self.base_python = _native_python(self.release.pythons)
        self.root: Path | None = None
        self.venv = str(CACHE / f"venv-{self.release.version}")
        if self.base_python is None and self.release.debian_suite is not None:
            self.root = CACHE / f"root-{self.release.debian_suite}"
            self.venv = f"/opt/ha-{self.release.version}"
            self.base_python = f"/usr/bin/{self.release.pythons[0]}"
        self._stamp = CACHE / f"ready-{self.release.version}"
        self._log = CACHE / f"install-{self.release.version}.log"

    @property
    def ready(self) -> bool:
        """Whether it is installed, with the integrations that the tests use."""
        return self._stamp.exists() and self._stamp.read_text() == INTEGRATIONS

    def check(self) -> None:
        """Raise UnavailableError, with the reason, where it can't be installed or run."""
        if self.base_python is None:
            raise UnavailableError(f"needs one of {', '.join(self.release.pythons)}")
        if self.root is None:
            return
        if os.geteuid() != 0:
            raise UnavailableError(f"without {self.release.pythons[0]} it needs root, for a chroot")
        for tool in ("debootstrap", "unshare", "chroot", "apt-get"):
            if shutil.which(tool) is None:
                raise UnavailableError(f"without {self.release.pythons[0]} it needs {tool}")
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
            raise UnavailableError("this container forbids mount namespaces")
        _debian_archive()

    def command(self, arguments: list[str], config: Path | None = None, *, online: bool = True) -> list[str]:
        """Return the command that runs a program of the installation; `config` is seen as `config_seen`."""
        if self.root is None:
            return arguments
        # The mounts live in a namespace of their own and end with the process, so that deleting the cache
        # can never reach this machine's /dev.
        script = f'mount -t proc proc "{self.root}/proc" && mount --rbind /dev "{self.root}/dev"'
        if config is not None:
            script += f' && mount --bind "{config}" "{self.root}/mnt"'
        if not online:  # without a resolver nothing outside of this machine has a name
            script += f' && mount --bind /dev/null "{self.root}/etc/resolv.conf"'
        script += f' && exec chroot "{self.root}" "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *arguments]

    def run_command(self, config: Path) -> list[str]:
        """Return the command of Home Assistant itself; every step is an exec, so the pid stays its own."""
        seen = str(config) if self.root is None else "/mnt"
        arguments = [f"{self.venv}/bin/python", "-m", "homeassistant", "-c", seen, "--skip-pip"]
        return self.command(arguments, config, online=False)

    def ensure(self) -> None:
        """Install what is missing."""
        CACHE.mkdir(parents=True, exist_ok=True)
        with _locked(CACHE / "lock"):
            if self.ready:
                return
            self.check()
            if self.root is not None and not Path(f"{self.root}{self.base_python}").exists():
                self._bootstrap(self.root)
            self._install()
            self._stamp.write_text(INTEGRATIONS)

    def _install(self) -> None:
        _say(f"Home Assistant {self.release.version}: virtual environment")
        self._run(self.command([str(self.base_python), "-m", "venv", self.venv]))
        target = f"homeassistant=={self.release.version}"
        pip = ["-m", "pip", "install", "--disable-pip-version-check"]
        self._run(self._python(*pip, "--no-deps", target))
        # Home Assistant ships its own pins; without them pip backtracks for minutes.
        constrained = [*pip, "-c", self._output("-c", PRINT_CONSTRAINTS_PATH)]
        _say(f"Home Assistant {self.release.version}: its packages")
        self._run(self._python(*constrained, target, *self.release.pins))
        _say(f"Home Assistant {self.release.version}: its integrations' packages")
        requirements = self._output("-c", LIST_REQUIREMENTS, *INTEGRATIONS.split()).split()
        self._run(self._python(*constrained, *requirements))

    def _bootstrap(self, root: Path) -> None:
        suite = str(self.release.debian_suite)
        _say(f"debootstrap {suite}, for {self.release.pythons[0]}")
        scripts = Path("/usr/share/debootstrap/scripts")
        script = [] if (scripts / suite).exists() else [str(scripts / "sid")]
        include = f"--include={CHROOT_PACKAGES.replace(' ', ',')}"
        self._run(["debootstrap", "--variant=minbase", include, suite, str(root), _debian_archive(), *script])
        for name in ("resolv.conf", "hosts", "pip.conf", "ssl/certs/ca-certificates.crt"):
            source = Path("/etc") / name
            if source.exists():
                shutil.copyfile(source, root / "etc" / name)

    def _python(self, *arguments: str) -> list[str]:
        return self.command([f"{self.venv}/bin/python", *arguments])

    def _output(self, *arguments: str) -> str:
        run = subprocess.run(self._python(*arguments), check=True, text=True, stdout=subprocess.PIPE)
        return run.stdout.strip()

    def _run(self, command: list[str]) -> None:
        with self._log.open("ab") as log:
            if subprocess.call(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log):
                tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
                raise RuntimeError(f"{' '.join(command)} failed (see {self._log}):\n{tail}")


def _native_python(names: tuple[str, ...]) -> str | None:
    """Return this machine's Python of one of the versions; this very one is preferred."""
    own = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if own in names:
        return sys.executable
    for name in names:
        found = shutil.which(name)  # may be a shim of a version manager that has no such version
        if (
            found
            and subprocess.run([found, "-c", "import ensurepip"], capture_output=True, check=False).returncode
            == 0
        ):
            return found
    return None


def _debian_archive() -> str:
    """Return the archive that this machine's own apt uses."""
    listing = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"]
    lines = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.splitlines()
    for origin, uri in (line.split(maxsplit=1) for line in lines if " " in line):
        if origin == "Debian" and "security" not in uri:
            return uri
    raise UnavailableError("apt knows no Debian archive to bootstrap from")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", flush=True)


def main() -> int:
    """Install, or with --check say whether it is possible; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether they can be installed here")
    parser.add_argument("releases", nargs="+", choices=RELEASES)
    arguments = parser.parse_args()
    for installation in map(Installation, arguments.releases):
        try:
            if arguments.check:
                installation.check()
            else:
                installation.ensure()
        except UnavailableError as error:
            print(f"Home Assistant {installation.name} can't be installed here: {error}", file=sys.stderr)
            return 1
        _say(f"Home Assistant {installation.name}: {'possible' if arguments.check else 'ready'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
