"""The fault points (pipeline/process/fault.h), and how each of them is reached."""
import re
from dataclasses import dataclass
from pathlib import Path

from harness.process import READY

from .world import Plan, World

SOURCES = Path(__file__).resolve().parents[3]
AT_OPENING = ("journal.recover.begin", "journal.recover.end")
AT_SCANNING = ("journal.recover.before_scan", "journal.recover.after_scan")  # where there is something


def listed():
    """The points as fault.h lists them."""
    text = (SOURCES / "pipeline/process/fault.h").read_text()
    return re.findall(r"^ \*   ([a-z_]+(?:\.[a-z_]+)+) ", text, re.M)


def placed():
    """The points as they stand in the code."""
    found = set()
    for path in (SOURCES / "pipeline").rglob("*.c"):
        found |= set(re.findall(r'\bfault_point\("([^"]+)"\)', path.read_text()))
    return found


@dataclass
class Tour:
    """Points that are reached in the same circumstances, one after the other. `act`: what is done to a
    process that runs: nothing, "reload" or "term"; `nth`: up to which pass it goes on, chosen at random;
    `fills`: before, it is killed when much waits on disk."""
    plan: Plan
    points: tuple
    act: str = ""
    nth: int = 3
    fills: bool = False


TOURS = [
    Tour(Plan("sending", batch=True), ("export.before_send", "export.answered", "export.settled")),
    Tour(Plan("retrying", ("refuse",)), ("export.before_retry",)),
    Tour(Plan("reloading", batch=True), ("reload.before_swap", "reload.after_swap", "reload.retired"),
         act="reload", nth=1),
    Tour(Plan("ending"), ("shutdown.begin", "shutdown.drained", "shutdown.stopped", "journal.close.begin",
                          "journal.close.end"), act="term", nth=1),
    Tour(Plan("appending"), ("journal.append.before_write", "journal.append.after_write",
                             "journal.append.before_durable", "journal.append.after_durable",
                             "journal.settle.before_write", "journal.settle.after_write"), nth=50),
    Tour(Plan("syncing", durability="power"), ("journal.append.before_sync", "journal.append.after_sync",
                                               "journal.segment.before_sync_dir", "journal.segment.after_sync_dir"),
         nth=2),
    Tour(Plan("beginning segments", max_bytes=8 << 20), (
        "journal.segment.before_create", "journal.segment.after_create", "journal.segment.after_allocate",
        "journal.segment.after_header", "journal.segment.before_rename", "journal.segment.after_rename"), nth=1),
    Tour(Plan("ending segments", rate=0, max_bytes=8 << 20), (
        "journal.segment.before_seal", "journal.segment.after_seal", "journal.segment.before_recycle",
        "journal.segment.after_recycle"), nth=2),
    Tour(Plan("reading", rate=0, max_bytes=16 << 20), (
        "journal.read.before_take", "journal.read.after_take", "journal.segment.before_unlink",
        "journal.segment.after_unlink"), nth=1, fills=True),
    Tour(Plan("recovering", ("up", "down")), AT_OPENING + AT_SCANNING, nth=1, fills=True),
]


def die_at(world, tour, point, random):
    """Lives until the point is reached, and where there is a journal dies again while it recovers."""
    if tour.fills:
        fill(world, random)
    world.start(fault=f"{point}:{random.randint(1, tour.nth)}", wait=False)
    if tour.act:
        world.sluice.wait_log(READY)
        world.lives_for(random.uniform(0, 0.1))
        if tour.act == "reload":
            world.reload()
        else:
            world.sluice.signal()
    world.dies_at(point)
    if world.plan.durability:
        again = random.choice(AT_OPENING + (AT_SCANNING if tour.fills else ()))
        world.start(fault=again, wait=False)
        world.dies_at(again)


def fill(world, random):
    for i in range(len(world.destinations)):
        world.tell(i, "down")
    world.start()
    world.lives_for(0.4)
    world.die("kill", random, 0)
    world.all_up()


def run(directory, tour, random):
    """Visits each point of the tour. Returns an account for each destination."""
    world = World(directory, tour.plan, random.getrandbits(32))
    try:
        for i, mode in enumerate(tour.plan.destinations):
            world.tell(i, mode)
        for point in tour.points:
            die_at(world, tour, point, random)
        return world.settle()
    finally:
        world.close()
