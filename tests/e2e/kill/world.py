"""A sender and its destinations, which live as long as the world does, and one Sluice after the other
between them."""
import json
import resource
import shutil
import signal
import subprocess
from pathlib import Path

from harness.process import BUILD, READY, Sluice, launcher
from harness.waiting import PATIENCE, TimedOut, endpoint, free_port, wait_until

from . import audit

HOW = ("kill", "term", "term-kill", "abort")
RETRY = {"initial_interval": "20ms", "max_interval": "100ms", "randomization_factor": 0.5}
SHUTDOWN_SECONDS = 1


class Plan:
    """What runs. `destinations`: what each is like while Sluice is being killed; `durability`: None, or
    that of the journal; `rate`: spans a second, 0: as fast as answers come; `hold`: how long a processor
    holds what comes; `samples`: a processor drops some, and must not change its mind; `reloads`: the config
    changes all the time; `how`: ways to be killed; `queue`: keys of sending_queue; `kept_by`: what keeps
    data is the pipeline's "journal", the option "--journal", or the "queue" of the exporters."""

    def __init__(self, name, destinations=("up",), durability="process", protocol="http", rate=20000,
                 hold=None, batch=False, reloads=False, how=HOW, queue=None, max_bytes=256 << 20,
                 samples=False, kept_by="journal"):
        self.name, self.destinations, self.durability = name, destinations, durability
        self.protocol, self.rate, self.hold, self.batch = protocol, rate, hold, batch
        self.reloads, self.how, self.queue = reloads, how, queue
        self.max_bytes, self.samples, self.kept_by = max_bytes, samples, kept_by

    @property
    def again(self):
        """How many spans a destination may get again after each kill: what was on its way to it; what it
        had got, but that was not written yet, which takes 20 ms; and, where there are several, what waited
        in memory for another of them, which it may do for 100 ms. Both times are doubled, for machines
        that have other things to do."""
        request = 128 if self.batch else 16
        seconds = 0.24 if len(self.destinations) > 1 else 0.04
        return 10 * request + int(seconds * (self.rate or 300000))


class World:
    def __init__(self, directory, plan, seed):
        self.directory, self.plan = Path(directory), plan
        self.endpoints = {p: endpoint() for p in ("grpc", "http")}
        self.addresses = [endpoint() for _ in plan.destinations]
        self.metrics_port = free_port()
        self.kills = 0
        self.lives = 0
        self.sluice = None
        self.said = []  # what every Sluice logged
        self._version = 0
        # what abort() leaves would take longer to write than the test takes
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        self._start_others(seed)

    # ---- those that live on ----

    def _start_others(self, seed):
        paths = [self.directory / f"destination-{i}.ledger" for i in range(len(self.addresses))]
        listening = [str(x) for pair in zip(self.addresses, paths) for x in pair]
        self._sink = subprocess.Popen(
            [*launcher(), BUILD / "kill_sink", str(seed), *listening],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._hear("ready")
        self.destinations = [audit.Ledger(p) for p in paths]
        path = self.directory / "sender.ledger"
        self._sender = subprocess.Popen(
            [*launcher(), BUILD / "kill_sender", "--ledger", path, "--connections", "8", "--rate",
             str(self.plan.rate), "--to", f"{self.plan.protocol}://{self.endpoints[self.plan.protocol]}"])
        wait_until(lambda: path.exists() and path.stat().st_size > 4096, "the sender to begin")
        self.sender = audit.Ledger(path)

    def _hear(self, word):
        line = self._sink.stdout.readline().strip()
        if line != word:
            raise AssertionError(f"the destinations said {line!r} and not {word!r}")

    def tell(self, number, mode):
        """What a destination is like from now on: up, refuse, hang, down, flap."""
        self._sink.stdin.write(f"{number} {mode}\n")
        self._sink.stdin.flush()
        self._hear("done")

    def all_up(self):
        for i in range(len(self.addresses)):
            self.tell(i, "up")

    def stop_sender(self):
        if self._sender.poll() is None:
            self._sender.terminate()
        if self._sender.wait(30 * PATIENCE) != 0:
            raise AssertionError(f"the sender ended with {self._sender.returncode}")
        if self.sender.unanswered:
            raise AssertionError("a request got no answer within 10 s, although nobody was killed meanwhile:\n"
                                 + self.last_words() + "\n" + (self.sluice.log() if self.sluice else ""))

    def close(self):
        if self.sluice:
            self.sluice.kill()
        for process in (self._sender, self._sink):
            process.kill()
            process.wait()
        self._sink.stdin.close()
        self._sink.stdout.close()
        for one in (self.sender, *self.destinations):
            one.close()

    # ---- what Sluice runs ----

    @property
    def journal(self):
        return self.directory / "journal"

    @property
    def _decisions(self):
        return self.directory / "decisions"

    def config(self):
        """Another one each time, where the plan is to reload it."""
        plan = self.plan
        exporter = {"compression": "none", "timeout": "500ms", "retry_on_failure": RETRY,
                    "tls": {"insecure": True}, "sending_queue": plan.queue or {}}
        pipeline = {"receivers": ["otlp"], "processors": [],
                    "exporters": [f"otlp_http/{i}" for i in range(len(self.addresses))]}
        processors = {}
        if plan.hold:
            processors["test_hold"] = {"hold": plan.hold, "most": 4096}
        if plan.samples:
            processors["kill_sample"] = {"hold": "50ms", "decisions": str(self._decisions)}
        if plan.batch:
            processors["batch"] = {"timeout": "20ms", "send_batch_size": 64 + self._version % 2}
        pipeline["processors"] = list(processors)
        config = {
            "receivers": {"otlp": {"protocols": {p: {"endpoint": e} for p, e in self.endpoints.items()}}},
            "processors": processors,
            "exporters": {f"otlp_http/{i}": {"endpoint": f"http://{a}", **exporter}
                          for i, a in enumerate(self.addresses)},
            "service": {"pipelines": {"traces": pipeline},
                        "shutdown": {"timeout": f"{SHUTDOWN_SECONDS}s"},
                        "telemetry": {"logs": {"sampling": {"enabled": False}},
                                      "metrics": {"readers": [{"pull": {"exporter": {"prometheus": {
                                          "host": "127.0.0.1", "port": self.metrics_port}}}}]}}}}
        if plan.durability and plan.kept_by != "--journal":
            config["extensions"] = {"file_storage": {"directory": str(self.journal), "create_directory": True,
                                                     "fsync": plan.durability == "power"}}
            config["service"]["extensions"] = ["file_storage"]
        if plan.durability and plan.kept_by == "queue":
            for one in config["exporters"].values():
                one["sending_queue"] = {"storage": "file_storage", "queue_size": 1000000}
        if plan.durability and plan.kept_by == "journal":
            pipeline["journal"] = {"storage": "file_storage", "durability": plan.durability,
                                   "max_bytes": plan.max_bytes}
        return config

    def _arguments(self):
        if not self.plan.durability or self.plan.kept_by != "--journal":
            return self._plugins()
        return [*self._plugins(), "--journal", str(self.journal)]

    def _plugins(self):
        """The built ones, and of those for tests only what the config names."""
        own = self.directory / "plugins"
        if not own.exists():
            own.mkdir()
            for name in ("test_hold.so", "kill_sample.so"):
                shutil.copy(BUILD / "tests/plugins" / name, own)
        return ["--plugins", str(BUILD / "plugins"), "--plugins", str(own)]

    # ---- its lives and deaths ----

    def start(self, fault=None, wait=True):
        self.lives += 1
        self.sluice = Sluice(self.directory, self.config(), args=self._arguments(),
                             env={"SLUICE_FAULT": fault} if fault else None, name=f"sluice-{self.lives}")
        self.sluice.start(wait=False)
        if wait:
            self.sluice.wait_log(READY, seconds=30)

    def reload(self):
        self._version += 1
        self.sluice.path.write_text(json.dumps(self.config()))
        self.sluice.signal(signal.SIGHUP)

    def lives_for(self, seconds):
        """False: it died before."""
        try:
            self.sluice.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def buried(self, seconds=40.0):
        """Its exit code, once it is dead."""
        code = self.sluice.wait(seconds)
        self.said += self.sluice.lines
        self.kills += 1
        self.sluice = None
        return code

    def die(self, how, random, patience):
        """Kills it in one of the ways HOW; `patience`: seconds until what follows TERM, at most."""
        if how == "abort":
            self.sluice.signal(signal.SIGABRT)
        elif how == "kill":
            self.sluice.signal(signal.SIGKILL)
        else:
            self.sluice.signal(signal.SIGTERM)
            if how == "term-kill" and self.lives_for(random.uniform(0, patience)):
                self.sluice.signal(signal.SIGKILL)
        code = self.buried()
        expected = {"abort": (-signal.SIGABRT,), "kill": (-signal.SIGKILL,), "term": (0, 3),
                    "term-kill": (0, 3, -signal.SIGKILL)}[how]
        if code not in expected:
            raise AssertionError(f"{how} ended it with {code}:\n{self.last_words()}")

    def last_words(self):
        return "\n".join(line.text for line in self.said[-30:])

    def dies_at(self, point, seconds=20.0):
        """It is to reach the fault point that it was started with."""
        lines = self.sluice.lines
        code = self.buried(seconds)
        if code != -signal.SIGKILL or f"fault point {point}" not in [line.text for line in lines]:
            raise AssertionError(f"{point} was not reached; it ended with {code}:\n{self.last_words()}")

    # ---- the end ----

    def _is_empty(self, page):
        return page.sum("sluice_held_items") + page.sum("sluice_journal_unsettled_items") == 0

    def _check_counters(self, page, before):
        """What Sluice says of its last life adds up; `before`: what the destinations had until then."""
        self.sluice.check_ledger()
        appended = page.all("sluice_journal_appended_items_total", journal="in traces")
        accepted = page.sum("otelcol_receiver_accepted_spans")
        if appended and appended[0][1] != accepted:
            raise AssertionError(f"{accepted} spans were accepted, {appended[0][1]} written to the journal")
        for i, d in enumerate(self.destinations):
            sent, came = page.sum("otelcol_exporter_sent_spans", exporter=f"otlp_http/{i}"), d.delivered - before[i]
            # where the machine was so busy that an answer came too late, the destination had more
            late = bool(self.sluice.find("Will retry the request"))
            if sent > came or (sent < came and not late):
                raise AssertionError(f"otlp_http/{i} counts {sent} spans sent, the destination has {came}\n"
                                     + self.sluice.log()[-3000:])

    def fresh_span_passes(self):
        """What is sent now is acknowledged, and arrives everywhere."""
        since = self.sender.issued
        wait_until(lambda: audit.passes(self.sender, self.destinations, since),
                   lambda: f"a fresh span to arrive\n{self.sluice.log()[-3000:]}", 30)

    def accounts(self):
        decisions = audit.Decisions(self._decisions) if self.plan.samples else None
        try:
            return [audit.account(self.sender, d, decisions) for d in self.destinations]
        finally:
            if decisions:
                decisions.close()

    def settle(self):
        """Nothing is broken any more: all that is inside leaves. Returns an account for each
        destination; Sluice has ended."""
        self.all_up()
        before = [d.delivered for d in self.destinations]
        self.start()
        self.fresh_span_passes()
        self.stop_sender()
        self._check_counters(self.sluice.wait_metrics(self._is_empty, "all to leave", 60), before)
        code = self.sluice.stop()
        self.said += self.sluice.lines
        if code != 0:
            raise AssertionError(f"it ended with {code}:\n{self.last_words()}")
        self.sluice = None
        return self.accounts()
