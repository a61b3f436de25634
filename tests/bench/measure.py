"""Processes of the benchmarks and what is read from them: CPU time, memory, ports.

CPU time is that of the process's own clock (clock_getcpuclockid), which the kernel keeps in
nanoseconds over all threads, those that have ended included. Nothing of the sender's or the
destination's is in it, except the part of loopback TCP that runs in the context of whoever calls.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time

QUIET_STEP_S = 0.1
QUIET_NS = 400_000  # CPU time in one step below which a process counts as quiet
QUIET_LIMIT_S = 30


class BenchError(Exception):
    """The run says nothing: a program failed, or what it reported does not add up."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_ns(pid):
    """CPU time of the process with all its threads, by the kernel's clock of that process."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def memory_kib(pid):
    """VmRSS, RssAnon and VmHWM (the peak of VmRSS), in KiB."""
    found = {}
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            key, _, rest = line.partition(":")
            if key in ("VmRSS", "RssAnon", "VmHWM"):
                found[key] = int(rest.split()[0])
    return found


class Process:
    """A program in the background. Its stderr goes to a file, for when something fails."""

    def __init__(self, command, folder, cpus=None):
        self.name = os.path.basename(command[0])
        self.log = os.path.join(folder, f"{self.name}.log")
        prepare = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log,
                                            preexec_fn=prepare)
        self.pid = self.process.pid

    def explain(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-15:])

    def check(self):
        if self.process.poll() is not None:
            raise BenchError(f"{self.name} ended with {self.process.returncode}:\n{self.explain()}")

    def wait_port(self, port, limit_s=10):
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            self.check()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise BenchError(f"{self.name} does not listen on {port}:\n{self.explain()}")

    def quiet_cpu_ns(self):
        """CPU time so far, read once the process does nothing any more: queued work counts."""
        deadline = time.monotonic() + QUIET_LIMIT_S
        last = cpu_ns(self.pid)
        while time.monotonic() < deadline:
            time.sleep(QUIET_STEP_S)
            self.check()
            now = cpu_ns(self.pid)
            if now - last < QUIET_NS:
                return now
            last = now
        raise BenchError(f"{self.name} is not quiet after {QUIET_LIMIT_S} s")

    def memory_kib(self):
        return memory_kib(self.pid)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, limit_s=8):
        """Ends it with SIGTERM (then SIGKILL) and returns what it printed."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            out, _ = self.process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            print(f"{self.name} did not end within {limit_s} s of SIGTERM", file=sys.stderr)
            self.process.kill()
            out, _ = self.process.communicate()
        return out.decode()


class Sink(Process):
    def __init__(self, kind, build, folder, cpus=None, extra=()):
        self.port = free_port()
        super().__init__([f"{build}/bench_sink_{kind}", "--listen", f"127.0.0.1:{self.port}",
                          *extra], folder, cpus)
        self.wait_port(self.port)

    def counts(self):
        """What it has received so far."""
        self.signal(signal.SIGUSR2)
        return json.loads(self.process.stdout.readline())

    def switch(self):
        """From answering OK to not answering (or refusing), and back."""
        self.signal(signal.SIGUSR1)


def send(build, kind, port, data, cpus=None, **options):
    """Runs the load program and returns its report. Options as on its command line."""
    command = [f"{build}/bench_load", "--to", f"{kind}://127.0.0.1:{port}", "--file", data.path,
               "--signal", data.signal]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    prepare = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=prepare)
    if done.returncode != 0:
        raise BenchError(f"bench_load: {done.stderr.strip()}")
    return json.loads(done.stdout)
