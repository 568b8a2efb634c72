"""How long `python -m dynmix_tf.corrupt` takes, and how much memory all its processes together.

python experiments/benchmarks/corrupt_command.py --dataset=cifar10.npz --corruptions=fog,snow

Flags that are not known here go to the command. Memory is the sum of the proportional set sizes of
its processes, which counts a shared page once, sampled every 0.2 s from /proc (Linux). A row goes
to `experiments/results/corrupt_command.csv`; what the command wrote is deleted.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dynmix_tf.files import append_line

ROWS = Path(__file__).parent.parent / "results" / "corrupt_command.csv"
FIELDS = "flags,seconds,peak_mib_of_all_processes,written_mib,machine"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--csv", type=Path, default=ROWS, help="of rows; default: that above")
    arguments, flags = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dynmix_tf.corrupt", *flags, f"--output_dir={folder}/c"]
        begin = time.monotonic()
        process = subprocess.Popen(command)
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(proportional_kib, family(process.pid))))
            time.sleep(0.2)
        seconds = time.monotonic() - begin
        if process.returncode:
            sys.exit(process.returncode)
        written = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    if not arguments.csv.exists():
        append_line(arguments.csv, FIELDS)
    shown = " ".join(map(hide_folder, flags))
    machine = f"{os.cpu_count()} cores {platform.machine()}"
    row = f'"{shown}",{seconds:.1f},{peak / 1024:.0f},{written / 2**20:.0f},{machine}'
    append_line(arguments.csv, row)
    print(row)


def hide_folder(flag: str) -> str:
    """A flag with the name of a file in place of its path."""
    name, sign, value = flag.partition("=")
    return f"{name}{sign}{Path(value).name}" if "/" in value else flag


def family(pid: int) -> list[int]:
    """A process and all that it has started, as far as they still run."""
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:  # it has ended
            continue
    return found


def proportional_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
