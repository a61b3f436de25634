"""Waiting with a deadline, and ports that nobody else takes. No test sleeps for a fixed time."""
import fcntl
import os
import random
import socket
import tempfile
import time
from pathlib import Path

# Sanitizers slow a process down; the deadlines grow with them.
PATIENCE = float(os.environ.get("SLUICE_PATIENCE", "1"))


class TimedOut(AssertionError):
    pass


def wait_until(condition, what, seconds=15.0):
    """Returns the first true value of condition(); `what` may be a function that tells what is."""
    deadline = time.monotonic() + seconds * PATIENCE
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimedOut(f"waited {seconds * PATIENCE:g} s for {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


_held = []  # open lock files: the ports stay ours while this process lives


def _ports_below_ephemeral():
    """The kernel hands out ephemeral ports to outgoing connections; ports below are left alone."""
    try:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        low = 32768
    return range(10000, max(low, 20000))


def _is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port():
    """A port on which nobody listens, and that no other test running now will be given."""
    directory = Path(tempfile.gettempdir()) / f"sluice-test-ports-{os.getuid()}"
    directory.mkdir(exist_ok=True)
    ports = _ports_below_ephemeral()
    for _ in range(2000):
        port = random.choice(ports)
        lock = open(directory / str(port), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        if _is_free(port):
            _held.append(lock)
            return port
        lock.close()
    raise RuntimeError("no free port")


def endpoint():
    return f"127.0.0.1:{free_port()}"
