"""Run a command, and end it as soon as the process that asked for it is gone, however that went.

    python keeper.py PARENT COMMAND [ARGUMENT …]

PARENT is the process id of the one who asks. Prints the command's process id, sends its output to standard error, and
exits when it does.

A parent that is killed by SIGKILL can do nothing for its children, so someone else must notice. Linux offers
PR_SET_PDEATHSIG, but sends that signal when the parent's *thread* ends, so a server that a short-lived thread started
would die in mid-test; it also needs code between fork and exec, which is unsafe in a process with threads, and other
systems lack it. A pipe that closes with the parent stays open in processes that the parent forked. Watching the
parent's id has none of these faults.
"""

import os
import signal
import subprocess
import sys
import time

INTERVAL = 0.1  # seconds between two looks


def main() -> int:
    """Run the command line; return the command's exit status."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    try:
        print(server.pid, flush=True)
        while server.poll() is None and os.getppid() == parent:
            time.sleep(INTERVAL)
    finally:
        server.kill()
        status = server.wait()
    return abs(status)


if __name__ == "__main__":
    sys.exit(main())
