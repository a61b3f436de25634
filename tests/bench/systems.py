"""What is measured: the bare relays and the collector, and what all cases are given."""

import dataclasses
import os
import subprocess

import templates
from measure import BenchError, Process, free_port


@dataclasses.dataclass
class Data:
    path: str
    signal: str
    items: int  # in each request


@dataclasses.dataclass
class Context:
    build: str
    sut: str | None  # None: the relay stands in for it
    runs: int
    scale: float
    pin: bool
    folder: str
    data_folder: str
    budget_mib: int
    journal_folder: str | None  # None: beside everything else

    def data(self, signal, items):
        path = os.path.join(self.data_folder, f"{signal}-{items}.otlp")
        if not os.path.exists(path):
            make_data(self, path, signal, items)
        return Data(path, signal, items)

    def cpus(self, pinned):
        """Processors for the measured process and for all others."""
        every = sorted(os.sched_getaffinity(0))
        if not (self.pin and pinned) or len(every) < 2:
            return None, None
        return {every[-1]}, set(every[:-1])


def make_data(context, path, signal, items):
    """Has the collector's own generator write requests of `items` items each."""
    helper = os.path.join(context.build, "sluice-generate")
    generator = [helper] if os.access(helper, os.X_OK) else [context.sut, "generate"]
    if not generator[0]:
        raise BenchError(f"{path} is missing, and there is no {helper} to make it")
    os.makedirs(context.data_folder, exist_ok=True)
    command = templates.generate_command(generator, path, signal, items)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}: {done.stderr.strip()}")


# ---- systems under test ---------------------------------------------------------------------


class Relay:
    """The bare relay for the transport: the floor."""

    keeps_bytes = True

    def __init__(self, kind, tuned=False):
        self.kind = kind
        self.name = "relay-tuned" if tuned else "relay"
        self.tuned = tuned

    def start(self, context, sink_port, cpus):
        port = free_port()
        program = "bench_relay_grpc" if self.kind == "grpc" else "bench_relay_copy"
        command = [f"{context.build}/{program}", "--listen", f"127.0.0.1:{port}",
                   "--upstream", f"127.0.0.1:{sink_port}"]
        process = Process(command + (["--tuned"] if self.tuned else []), context.folder, cpus)
        process.wait_port(port)
        return process, port


class Collector:
    """`sluice run` with a configuration made from a template."""

    def __init__(self, kind, name="sluice", **template):
        self.kind = kind
        self.name = name
        self.keeps_bytes = "processor" not in template
        self.template = template

    def start(self, context, sink_port, cpus):
        if not context.sut: # the relay stands in, so that the runner itself can be tried
            return Relay(self.kind).start(context, sink_port, cpus)
        ports = {self.kind: free_port()}
        config = templates.config(self.kind, ports, sink_port, **self.template)
        process = Process(collector_command(context, config), context.folder, cpus)
        process.wait_port(ports[self.kind])
        return process, ports[self.kind]


def collector_command(context, config):
    file = os.path.join(context.folder, "sluice.yaml")
    with open(file, "w", encoding="utf-8") as f:
        f.write(config)
    return [context.sut, "run", "--config", file]
