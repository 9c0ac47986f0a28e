"""What the results of a bench depend on beside the code."""

import os
import pathlib
import platform
import subprocess


def describe():
    """Processor, number of cores, kernel, compiler, commit."""
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "rustc": said_by("rustc", "--version").split(" (")[0].removeprefix("rustc "),
        "commit": said_by("git", "describe", "--always", "--dirty"),
    }


def said_by(*command):
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=pathlib.Path(__file__).parent)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def load():
    """Processes that wanted a core, over the last minute."""
    return round(os.getloadavg()[0], 1)
