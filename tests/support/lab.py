"""Two hosts and a laptop on one machine, made of namespaces, for a real `ray up` over SSH.

Each host has its own network, mount, PID and UTS namespace, and its own /tmp, /run, /dev/shm,
home and sshd; the three are joined by a bridge. Needs root on Linux, ``ip``, ``sshd``, ``rsync``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from support.waiting import HANG_SECONDS, until

NEEDED = ("ip", "unshare", "ssh", "ssh-keygen", "rsync", "/usr/sbin/sshd")
BUILD_TOOLS = ("setuptools>=77",)
"""What an installation of the project builds with, besides what it runs with."""
LAPTOP = "10.77.0.1"
LAPTOP_ORCH = (sys.executable, "-m", "orchestrator")
DISK_BYTES = 8_000_000
HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)

INIT = """\
#!/bin/bash
set -eu
hostname {name}
mount --bind {folder}/run /run
mount -t tmpfs -o size=2g none /dev/shm
{kept}
mount --rbind {folder}/tmp /tmp
mount --rbind {folder}/home {home}
cd /
/usr/sbin/sshd -D -e -f {folder}/sshd_config >> {folder}/sshd.log 2>&1 &
wait  # as the first process of its namespace, bash also reaps what others leave
"""

SSHD = """\
Port 22
HostKey {folder}/hostkey
AuthorizedKeysFile {folder}/authorized_keys
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
PidFile none
SetEnv PATH=/usr/local/bin:/usr/bin:/bin
"""


@dataclass
class Host:
    """A host that can be switched off and on, and whose network link can be cut."""

    name: str
    address: str
    folder: Path
    visible: list[Path]
    _init: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def home(self) -> Path:
        """Its home folder, as a path on this machine."""
        return self.folder / "home"

    def build(self, public_key: str) -> None:
        """Create its folders, key and network."""
        for name in ("home", "tmp", "run/sshd"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "tmp").chmod(0o1777)
        (self.folder / "authorized_keys").write_text(public_key)
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "hostkey")
        (self.folder / "sshd_config").write_text(SSHD.format(folder=self.folder))
        init = self.folder / "init.sh"
        init.write_text(
            INIT.format(name=self.name, folder=self.folder, home=HOME, kept=self._kept())
        )
        init.chmod(0o755)
        _run("ip", "netns", "add", self.name)
        _run("ip", "-n", self.name, "link", "set", "lo", "up")
        _run("ip", "-n", "laptop", "link", "add", f"v{self.name}", "type", "veth",
             "peer", "name", "eth0", "netns", self.name)  # fmt: skip
        _run("ip", "-n", "laptop", "link", "set", f"v{self.name}", "master", "br0", "up")
        _run("ip", "-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _run("ip", "-n", self.name, "link", "set", "eth0", "up")

    def _kept(self) -> str:
        """Return commands that keep folders visible below the host's own home and /tmp."""
        lines = []
        for path in self.visible:
            for covered, own in ((HOME, "home"), (Path("/tmp"), "tmp")):  # noqa: S108
                if path.is_relative_to(covered):
                    target = self.folder / own / path.relative_to(covered)
                    lines += [f"mkdir -p {target}", f"mount --bind {path} {target}"]
        return "\n".join(lines)

    def on(self) -> None:
        """Start it: a new PID namespace that runs only sshd."""
        self._init = subprocess.Popen(
            ["ip", "netns", "exec", self.name, "unshare", "-m", "-p", "-u", "-f", "--kill-child",
             "--mount-proc", "--propagation", "private", str(self.folder / "init.sh")],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        until(self._answers, self._init, what=f"sshd of {self.name} to answer")

    def _answers(self) -> bool:
        probe = f"import socket; socket.create_connection(('{self.address}', 22), 1)"
        command = ["ip", "netns", "exec", "laptop", sys.executable, "-c", probe]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def off(self) -> None:
        """Kill all its processes, as a power failure would."""
        if self._init is not None:
            os.killpg(self._init.pid, signal.SIGKILL)
            self._init.wait()
            self._init = None

    def unplug(self) -> None:
        """Take its network link down."""
        _run("ip", "-n", "laptop", "link", "set", f"v{self.name}", "down")

    def plug(self) -> None:
        """Bring its network link up again."""
        _run("ip", "-n", "laptop", "link", "set", f"v{self.name}", "up")

    def processes(self, text: str) -> list[int]:
        """List the processes whose command line contains a text, by their ids on this machine."""
        spaces = Path(f"/proc/{self._inside()}/ns/pid").readlink()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "ns/pid").readlink() == spaces:
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if text in command:
                        found.append(int(entry.name))
            except OSError:
                continue  # it has just ended
        return found

    def _inside(self) -> int:
        """The first process of its PID namespace: the child of unshare."""
        assert self._init is not None
        outer = self._init.pid
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0])


@dataclass
class Lab:
    """The three machines. Their folder is outside /tmp and the home, so that all can read it."""

    folder: Path
    work: Path
    """The laptop's working copy."""

    def __post_init__(self) -> None:
        visible = [Path(sys.prefix), Path(sys.base_prefix), self.work]
        self.key = self.folder / "key"
        self.hosts = [
            Host(name, address, self.folder / name, visible)
            for name, address in (("host1", "10.77.0.2"), ("host2", "10.77.0.3"))
        ]

    def up(self) -> None:
        """Create all three and start the hosts."""
        _run("ip", "netns", "add", "laptop")
        _run("ip", "-n", "laptop", "link", "set", "lo", "up")
        _run("ip", "-n", "laptop", "link", "add", "br0", "type", "bridge")
        _run("ip", "-n", "laptop", "addr", "add", f"{LAPTOP}/24", "dev", "br0")
        _run("ip", "-n", "laptop", "link", "set", "br0", "up")
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        Path("/run/sshd").mkdir(exist_ok=True)
        for folder in (self.home, self.store, self.data, self.disk):
            folder.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", self.disk)
        wheels = self.folder / "wheels"
        _run(sys.executable, "-m", "pip", "download", "-q", "-d", wheels, *BUILD_TOOLS)
        for host in self.hosts:
            host.build(self.key.with_suffix(".pub").read_text())
            _install(host, wheels)
            host.on()

    def down(self) -> None:
        """Kill all processes and remove the networks."""
        for host in self.hosts:
            host.off()
        for name in ("host1", "host2", "laptop"):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["umount", str(self.disk)], capture_output=True, check=False)

    @property
    def home(self) -> Path:
        """The laptop's home folder."""
        return self.folder / "laptop"

    @property
    def store(self) -> Path:
        """The folder that all machines share."""
        return self.folder / "store"

    @property
    def data(self) -> Path:
        """The folder for data sets, which is empty."""
        return self.folder / "data"

    @property
    def disk(self) -> Path:
        """A small disk that all machines share."""
        return self.folder / "disk"

    def start(self, *command: object, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start a command on the laptop, in its working copy."""
        return subprocess.Popen(
            ["ip", "netns", "exec", "laptop", *map(str, command)],
            cwd=self.work,
            env=self._environment(),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "ORCH_"))}
        return {**inherited, "HOME": str(self.home), "COLUMNS": "100"}

    def orch(self, *arguments: object, code: int = 0) -> str:
        """Run `orch` on the laptop to its end; return what it printed."""
        process = self.start(*LAPTOP_ORCH, *arguments)
        output, _ = process.communicate(timeout=HANG_SECONDS)
        assert process.returncode == code, output
        return output


def _install(host: Host, wheels: Path) -> None:
    """Give a host, which has no internet access, the packages as if it had installed them."""
    environment = host.home / ".orch/venv"
    _run(sys.executable, "-m", "venv", environment)
    inside = HOME / ".orch/venv"
    for script in (environment / "bin").iterdir():  # made for another place than it will have
        if script.is_file() and not script.is_symlink():
            text = script.read_bytes()
            script.write_bytes(text.replace(bytes(environment), bytes(inside)))
    packages = next((environment / "lib").glob("python*/site-packages"))
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    ray = environment / "bin/ray"
    ray.write_text(f"#!{inside}/bin/python\nfrom ray.scripts.scripts import main\nmain()\n")
    ray.chmod(0o755)
    config = host.home / ".config/pip/pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text(f"[global]\nno-index = true\nfind-links = {wheels}\n")


def missing() -> str | None:
    """Return why no lab can be created here, or None."""
    if sys.platform != "linux" or os.getuid() != 0:
        return "a lab of namespaces needs root on Linux"
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return f"a lab of namespaces needs {', '.join(absent)}" if absent else None


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
