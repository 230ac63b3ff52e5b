"""Whether anything is lost, or ends in a traceback, whatever is done to a sweep.

Sweeps with hostile values run on a small disk. Again and again one is started, and killed, or asked
to end, or its disk filled, or one of its processes killed, at a random instant; or its file, its
trainable, its records or the clock change. After each attack every trial that was committed must
still be there, with the same numbers, and no command may say `Traceback` or hang. In the end the
sweep is run to its end, and its store must equal that of a sweep that nobody has attacked, to the
bit. It takes an hour, or `ORCH_ATTACK_MINUTES`: `python -m benchmarks attacks`.
"""

import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks._attacked import HOSTILE, LostError, Sweep
from benchmarks._measure import Record, absolute, at_most, main
from benchmarks._sweeps import MODULE

CLOCK = """
import os
import time

real, began = time.time, time.monotonic()
after, by = map(float, os.environ["ATTACK_CLOCK"].split())
time.time = lambda: real() + (by if time.monotonic() - began > after else 0.0)
"""
"""A `sitecustomize` whose clock jumps."""
MINUTES = float(os.environ.get("ORCH_ATTACK_MINUTES", "60"))
DISK = "3m"
"""The size of the disk."""


# What is done before a start


def nothing(_sweep: Sweep) -> None:
    """Change nothing."""


def a_seed_more(sweep: Sweep) -> None:
    """Edit the sweep file: one seed more."""
    sweep.keys["seeds"].append(len(sweep.keys["seeds"]))
    sweep.write()


def a_value_more(sweep: Sweep) -> None:
    """Edit the sweep file: one more hostile value of a factor."""
    values = sweep.keys["factors"]["x"]
    values.append(sweep.chance.choice([value for value in HOSTILE if value not in values]))
    sweep.write()


def advice_cut(sweep: Sweep) -> None:
    """Cut what the store knows by the way."""
    for name in (".driver.json", ".whole.json"):
        file = sweep.path / "results/attacked" / name
        if file.exists():
            file.write_bytes(file.read_bytes()[: sweep.chance.randrange(40)])


def clock_jump(sweep: Sweep) -> None:
    """Let the clock of all Python processes jump by up to a day, there or back."""
    (sweep.path / "sitecustomize.py").write_text(CLOCK)
    jump = f"{sweep.chance.uniform(0, 3)} {sweep.chance.uniform(-86_400, 86_400)}"
    path = os.pathsep.join(filter(None, [str(sweep.path), os.environ.get("PYTHONPATH")]))
    sweep.environment = {"PYTHONPATH": path, "ATTACK_CLOCK": jump}


# What is done while it runs


def kill_driver(_sweep: Sweep, process: subprocess.Popen[bytes]) -> None:
    """Kill the driver alone."""
    process.kill()


def kill_all(_sweep: Sweep, process: subprocess.Popen[bytes]) -> None:
    """Kill the driver and all that it has started."""
    below = psutil.Process(process.pid).children(recursive=True)
    for each in [process, *below]:
        with suppress(psutil.NoSuchProcess):
            each.kill()


def kill_one(sweep: Sweep, process: subprocess.Popen[bytes]) -> None:
    """Kill any process below the driver, and let it go on a while."""
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(process.pid).children(recursive=True)
        if below:
            sweep.chance.choice(below).kill()
    _go_on(sweep, process)


def interrupt(sweep: Sweep, process: subprocess.Popen[bytes]) -> None:
    """Send SIGINT or SIGTERM, once or often."""
    number = sweep.chance.choice([signal.SIGINT, signal.SIGTERM])
    for _ in range(sweep.chance.choice([1, 1, 4])):
        process.send_signal(number)
        time.sleep(0.05)


def fill_disk(sweep: Sweep, process: subprocess.Popen[bytes]) -> None:
    """Fill the disk, let the sweep go on a while, and make room again."""
    filler = sweep.path / "results/filler"
    with suppress(OSError), filler.open("ab", buffering=0) as stream:
        while True:
            stream.write(bytes(512))
    _go_on(sweep, process)
    filler.unlink(missing_ok=True)


def edit_code(sweep: Sweep, process: subprocess.Popen[bytes]) -> None:
    """Edit the trainable while it runs; the numbers stay."""
    with (sweep.path / f"{MODULE}.py").open("a") as file:
        file.write(f"# {sweep.chance.random()}\n")
    _go_on(sweep, process)


def _go_on(sweep: Sweep, process: subprocess.Popen[bytes]) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(sweep.chance.uniform(1, 5))
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)


PREPARED = [nothing, nothing, a_seed_more, a_value_more, advice_cut, clock_jump]
STRIKES = [kill_driver, kill_all, kill_one, interrupt, fill_disk, edit_code]


def attack(sweep: Sweep, attacks: Counter[str]) -> None:
    """Prepare something, start the sweep, strike at a random instant, and look at what is left.

    Raises:
        LostError: something is lost, shown that should not be, or hangs.
    """
    prepare, strike = sweep.chance.choice(PREPARED), sweep.chance.choice(STRIKES)
    prepare(sweep)
    process = sweep.sweep()
    with suppress(subprocess.TimeoutExpired):
        process.wait(sweep.chance.uniform(0.2, 6 if sweep.runner == "inline" else 15))
    if process.poll() is None:
        strike(sweep, process)
        attacks[strike.__name__] += 1
    attacks[prepare.__name__] += 1
    sweep.end(process)
    sweep.environment = {}
    for command in ("status", "plan", "table"):
        sweep.orch(command)
    sweep.require_kept()


@contextmanager
def small_disk(path: Path) -> Iterator[None]:
    """Mount a small disk where the stores are to be; an ordinary folder where nobody may."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(path)]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(path)], check=True)


def benchmark() -> Iterator[Record]:
    """Attack one sweep after another until the time is up."""
    attacks, trials, sweeps, lost = Counter[str](), 0, 0, list[str]()
    if os.geteuid() != 0:
        STRIKES.remove(fill_disk)
    until = time.monotonic() + 60 * MINUTES
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory(prefix="orch-attacks-") as folder:
            path = Path(folder)
            with small_disk(path / "results"):
                sweep = Sweep(path, random.Random(sweeps))  # noqa: S311
                try:
                    for _ in range(sweep.chance.randint(2, 5)):
                        attack(sweep, attacks)
                    trials += sweep.finish()
                except LostError as error:
                    lost.append(f"sweep {sweeps}: {error}")
                    print(lost[-1], flush=True)
        sweeps += 1
    counts = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in sorted(attacks.items()))
    yield absolute(
        f"of {sweeps} attacked sweeps with {trials:,} trials, those that lost or showed anything",
        [len(lost)],
        "sweeps",
        at_most(0),
        note=f"Attacks: {counts}.",
    )


if __name__ == "__main__":
    main(benchmark)
