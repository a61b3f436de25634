"""Kills the journal's log alone (log.c), which is quick: hundreds of deaths take seconds, and those that
need rare circumstances can be had."""
import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.process import BUILD, launcher
from harness.waiting import PATIENCE, TimedOut

from . import audit

DAMAGE_BYTES = 4096

class Log:
    """A journal in a directory, and the processes that have it open one after the other."""

    def __init__(self, directory, random, durability="process", notes=True):
        self.directory, self.random = Path(directory), random
        self.kills = 0
        self._options = (["--power"] if durability == "power" else []) + ([] if notes else ["--without-notes"])

    @property
    def journal(self):
        return self.directory / "journal"

    def start(self, *args, fault=None):
        paths = [str(self.directory / name) for name in ("journal", "sent", "delivered", "notes")]
        command = [*launcher(), BUILD / "kill_log", "--journal", paths[0], "--sent", paths[1],
                   "--delivered", paths[2], "--notes", paths[3], "--seed", str(self.random.getrandbits(32)),
                   *self._options, *args]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={"SLUICE_FAULT": fault} if fault else {})

    def _ended(self, process, seconds=30):
        try:
            out, err = process.communicate(timeout=seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise TimedOut(f"the log did not end:\n{process.communicate()[1]}") from None
        return process.returncode, out, err

    def live(self, seconds, *args):
        """Lives for a while and is killed."""
        process = self.start(*args)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        code, _, err = self._ended(process)
        if code != -signal.SIGKILL:
            raise AssertionError(f"the log ended with {code}:\n{err}")
        self.kills += 1

    def dies_at(self, point, nth, *args, end_after=None):
        """`end_after`: seconds until it is told to end."""
        process = self.start(*args, fault=f"{point}:{nth}")
        try:
            process.wait(end_after)
        except subprocess.TimeoutExpired:
            process.terminate()
        code, _, err = self._ended(process)
        if code != -signal.SIGKILL or f"fault point {point}\n" not in err:
            raise AssertionError(f"{point}:{nth} was not reached; the log ended with {code}:\n{err}")
        self.kills += 1

    def drain(self):
        """What it says when all that was left has been delivered."""
        code, out, err = self._ended(self.start("--drain"), 60)
        if code != 0:
            raise AssertionError(f"the log ended with {code}:\n{err}")
        return json.loads(out)

    def account(self):
        ledgers = [audit.Ledger(self.directory / name) for name in ("sent", "delivered")]
        try:
            return audit.account(*ledgers)
        finally:
            for ledger in ledgers:
                ledger.close()

    def segments(self):
        return sorted(self.journal.glob("[0-9a-f]*.seg"))

    def damage(self):
        """Spoils some bytes in the middle of a segment that is not the last one."""
        with open(self.random.choice(self.segments()[:-1]), "r+b") as file:
            file.seek(self.random.randrange(16384, 200000))
            file.write(self.random.randbytes(DAMAGE_BYTES))


# ---- fault points ----

@dataclass
class Tour:
    """Points that are reached in the same circumstances. `before`: what the life before is started with;
    `nth`: up to which pass the process goes on, chosen at random."""
    points: tuple
    durability: str = "process"
    before: tuple = ()
    nth: int = 20
    ends: bool = False     # it is told to end
    damaged: bool = False  # the journal is, while nobody has it open; it may be notes that are


TOURS = [
    Tour(("journal.append.before_write", "journal.append.after_write", "journal.append.before_durable",
          "journal.append.after_durable", "journal.settle.before_write", "journal.settle.after_write",
          "journal.note.before_write", "journal.note.after_write")),
    Tour(("journal.append.before_sync", "journal.append.after_sync", "journal.segment.before_sync_dir",
          "journal.segment.after_sync_dir"), durability="power", nth=3),
    Tour(("journal.segment.before_create", "journal.segment.after_create", "journal.segment.after_allocate",
          "journal.segment.after_header", "journal.segment.before_rename", "journal.segment.after_rename",
          "journal.segment.before_seal", "journal.segment.after_seal", "journal.segment.before_recycle",
          "journal.segment.after_recycle", "journal.copy.before_write", "journal.copy.after_write"), nth=2),
    Tour(("journal.segment.before_unlink", "journal.segment.after_unlink", "journal.read.before_take",
          "journal.read.after_take"), before=("--stalled",), nth=2),
    Tour(("journal.recover.begin", "journal.recover.before_scan", "journal.recover.after_scan",
          "journal.recover.end"), nth=1),
    Tour(("journal.recover.before_quarantine", "journal.recover.after_quarantine"), before=("--stalled",),
         nth=1, damaged=True),
    Tour(("journal.close.begin", "journal.close.end"), nth=1, ends=True),
]


WHILE_RECOVERING = ("journal.recover.begin", "journal.recover.before_scan", "journal.recover.after_scan",
                    "journal.recover.end")

# Spans that damage() may cost: those whose shortest encodings fill it, and a record that begins before it
# and one that ends behind it.
DAMAGED_SPANS = DAMAGE_BYTES // 100 + 2 * 16

# Spans that may be delivered again after a kill: those in somebody's hands, and those whose settling
# waits to be written (for 20 ms).
AGAIN_SPANS = 64 * 16 + 3000


def visit(log, tour, point):
    """Dies there, and once more while it recovers from that."""
    log.live(0.1, *tour.before)
    if tour.damaged:
        while len(log.segments()) < 3:
            log.live(0.1, *tour.before)
        log.damage()
    log.dies_at(point, log.random.randint(1, tour.nth), end_after=0.05 if tour.ends else None)
    log.dies_at(log.random.choice(WHILE_RECOVERING), 1)


def live_and_die(log, seconds):
    """Some lives are so short that it still recovers, and in some nothing is delivered."""
    short = log.random.random() < 0.4
    log.live(log.random.uniform(0, 0.01 if short else seconds),
             *(["--stalled"] if log.random.random() < 0.3 else []))
