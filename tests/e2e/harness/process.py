"""A sluice process: started with a config of a test's own, watched through its log and its metrics
page, stopped, and held to account for every item."""
import atexit
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from . import ledger, metrics
from .waiting import PATIENCE, TimedOut, wait_until

BUILD = Path(os.environ.get("SLUICE_BUILD", "build")).resolve()
BINARY = BUILD / "sluice"
READY = "Everything is ready"
NOTHING_LEFT = "Shutdown complete. Nothing was left."

_running = set()


def _kill_all():
    for process in list(_running):
        process.kill()


atexit.register(_kill_all)


def _cache_value(name):
    cache = BUILD / "CMakeCache.txt"
    found = re.search(rf"^{name}:\w+=(.*)$", cache.read_text(), re.M) if cache.exists() else None
    return found.group(1) if found else ""


SANITIZERS = _cache_value("SLUICE_SANITIZE")


def launcher():
    """The kernel kills sluice if the test dies; TSan needs addresses that are not randomised."""
    prefix = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    return prefix + (["setarch", "-R"] if "thread" in SANITIZERS else [])


def environment(**more):
    """Without what would reach sluice or an SDK from outside."""
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith("OTEL_") and not k.lower().endswith("_proxy")}
    return {**clean, **more}


def command(*args, **options):
    """Runs sluice to its end. Output as text."""
    return subprocess.run([str(BINARY), *map(str, args)], capture_output=True, text=True,
                          env=environment(**options.pop("env", {})), timeout=30 * PATIENCE, **options)


class Line:
    """A line of the log, console or JSON."""

    def __init__(self, text):
        self.text = text
        self.level, self.message, self.fields = "", text, {}
        if text.startswith("{"):
            self.fields = json.loads(text)
            self.level, self.message = self.fields.pop("level"), self.fields.pop("msg")
            return
        parts = text.split("\t", 3)
        if len(parts) >= 3:
            self.level, self.message = parts[1], parts[2]
            self.fields = json.loads(parts[3]) if len(parts) > 3 else {}

    def __repr__(self):
        return self.text


class Sluice:
    """`config` is a dict (to which telemetry on a free port is added) or a text, taken as it is."""

    def __init__(self, directory, config, args=(), env=None, name="sluice"):
        self.directory = Path(directory)
        self.name = name
        self.lines = []
        self.unexpected_exit = None
        self._changed = threading.Condition()
        self.path = self.directory / f"{name}.yaml"
        self.path.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))
        self.args = ["--config", str(self.path), *args]
        self.env = environment(**(env or {}))
        self.config = config if isinstance(config, dict) else self._printed()
        self.process = None

    def _printed(self):
        done = command("print-config", *[a for a in self.args], "--format", "json", env=self.env)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    # ---- its life ----

    def start(self, wait=True):
        self.process = subprocess.Popen(
            [*launcher(), str(BINARY), "run", *self.args], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self.env, cwd=self.directory)
        _running.add(self.process)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if wait:
            self.wait_log(READY)
        return self

    def _read(self):
        for raw in self.process.stderr:
            with self._changed:
                self.lines.append(Line(raw.decode("utf-8", "replace").rstrip("\n")))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return "\n".join(line.text for line in self.lines)

    def find(self, pattern, level=None):
        """Lines whose text matches."""
        return [line for line in list(self.lines)
                if re.search(pattern, line.text) and level in (None, line.level)]

    def wait_log(self, pattern, count=1, seconds=15.0):
        deadline = time.monotonic() + seconds * PATIENCE
        with self._changed:
            while True:
                found = self.find(pattern)
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                if left < 0 or (not self._reader.is_alive() and not self.running()):
                    raise TimedOut(f"{self.name} did not log {pattern!r}:\n{self.log()}")
                self._changed.wait(min(left, 0.1))

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, seconds=40.0):
        """The exit code."""
        try:
            code = self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimedOut(f"{self.name} did not end:\n{self.log()}") from None
        self._reader.join(10)
        self.process.stderr.close()
        _running.discard(self.process)
        return self._own_code(code)

    def _own_code(self, code):
        """The look for leaks comes last, and it dies itself where a library's thread ends at that very
        moment. Then nothing was found, and the log says how Sluice meant to end."""
        if code != 1 or not self.find("Tracer caught signal"):
            return code
        end = next(i for i, line in enumerate(self.lines) if "Tracer caught" in line.text)
        self.lines = self.lines[:end]
        last = self.lines[-1].text if self.lines else ""
        return 0 if NOTHING_LEFT in last else 3 if "items were left" in last else code

    def stop(self):
        self.signal()
        return self.wait()

    def kill(self):
        if self.process is None:
            return
        if self.running():
            self.process.kill()
            self.process.wait()
        self._reader.join(10)
        self.process.stderr.close()
        _running.discard(self.process)

    # ---- where it is ----

    def _endpoint(self, protocol, receiver):
        return self.config["receivers"][receiver]["protocols"][protocol]["endpoint"]

    def grpc(self, receiver="otlp"):
        return self._endpoint("grpc", receiver)

    def http(self, receiver="otlp"):
        return self._endpoint("http", receiver)

    def wait_listening(self, where, seconds=10.0):
        host, port = where.rsplit(":", 1)

        def connects():
            with socket.socket() as s:
                s.settimeout(1)
                return s.connect_ex((host, int(port))) == 0
        wait_until(connects, f"a listener on {where}", seconds)

    # ---- its numbers ----

    def metrics(self):
        reader = self.config["service"]["telemetry"]["metrics"]["readers"][0]
        prometheus = reader["pull"]["exporter"]["prometheus"]
        return metrics.scrape(prometheus["host"], prometheus["port"])

    def wait_metrics(self, condition, what, seconds=15.0):
        """Scrapes until condition(page) is true; returns the page."""
        last = None

        def asked():
            nonlocal last
            last = self.metrics()
            return condition(last)
        wait_until(asked, lambda: f"{what}; the page:\n{last}\nthe log:\n{self.log()}", seconds)
        return last

    def check_ledger(self):
        """Every item taken in is somewhere: delivered, absorbed, dropped, refused, or held."""
        graph = ledger.Graph(self.config)
        page = self.wait_metrics(lambda p: not graph.unbalanced(p), "the ledger to balance")
        return page

    def memory(self, key):
        """VmHWM, VmRSS, RssAnon ...: in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
        raise KeyError(key)
