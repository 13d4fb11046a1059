"""Builds plugin.py into criteria-judge.wasm: `python3 build.py`.

The compiler goes into a virtual environment in this folder, in the version that
requirements.txt names.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
COMPONENT = FOLDER / "criteria-judge.wasm"
REQUIREMENTS = FOLDER / "requirements.txt"
ENVIRONMENT = FOLDER / ".venv"
# A copy of the requirements that the environment was made for.
INSTALLED = ENVIRONMENT / "requirements.txt"
PROGRAMS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")


def install() -> None:
    """Makes the environment, unless it is there as requirements.txt wants it."""
    if INSTALLED.exists() and INSTALLED.read_text() == REQUIREMENTS.read_text():
        return
    print(f"installing {', '.join(REQUIREMENTS.read_text().split())}", flush=True)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    quiet = ["--quiet", "--disable-pip-version-check"]
    run("python", "-m", "pip", "install", *quiet, "--requirement", str(REQUIREMENTS))
    shutil.copyfile(REQUIREMENTS, INSTALLED)


def build() -> None:
    """Compiles plugin.py with all that it imports and a Python interpreter."""
    world = ["--quiet", "--wit-path", "wit", "--world", "plugin"]
    # For editors and type checkers only.
    shutil.rmtree(FOLDER / "bindings", ignore_errors=True)
    run("componentize-py", *world, "bindings", "bindings")
    # Without WASI, the component reaches nothing but what wit/world.wit imports.
    output = ["--stub-wasi", "--output", str(COMPONENT)]
    run("componentize-py", *world, "componentize", "plugin", *output)


def run(program: str, *arguments: str) -> None:
    """Runs a program of the environment, so that it finds the packages there."""
    variables = {**os.environ, "VIRTUAL_ENV": str(ENVIRONMENT)}
    command = [str(PROGRAMS / program), *arguments]
    subprocess.run(command, cwd=FOLDER, env=variables, check=True)


def main() -> None:
    try:
        install()
        build()
    except subprocess.CalledProcessError as error:
        # The program has said on stderr what is wrong.
        program = Path(error.cmd[0]).name
        sys.exit(f"build.py: {program} failed with exit code {error.returncode}")
    print(f"{COMPONENT.name}: {COMPONENT.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
