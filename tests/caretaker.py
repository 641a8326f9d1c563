"""Waits until nobody holds a folder of the tests any more, then stops each PostgreSQL in it and deletes the folder.

Owners hold it by a lock that ends with their process, however that ends; so none outlives a run that was killed. It is
a program of its own, in the background: FOLDER PG_CTL [USER].
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path


def main(folder: Path, pg_ctl: str, user: str | None) -> None:
    """Wait in the background; returns in the child alone."""
    held = os.open(folder, os.O_RDONLY)
    if os.fork():
        os._exit(0)  # whoever started this goes on
    os.setsid()  # what ends the owners' group or terminal must not end this
    os.chdir("/")
    fcntl.flock(held, fcntl.LOCK_EX)
    if not folder.exists() or not os.path.samestat(os.fstat(held), folder.stat()):
        return  # another one was here first; what is there now is somebody's
    for running in (folder / "postmaster.pid", *folder.glob("*/postmaster.pid")):
        if running.exists():  # a server that was killed has left it behind too: then there is nothing to stop
            command = [pg_ctl, "-D", str(running.parent), "-m", "immediate", "-w", "stop"]
            subprocess.run(command, user=user, check=False)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
