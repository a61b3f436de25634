"""What runs while Sluice is killed at random moments, and how one such run goes."""
from .world import Plan, World

PLANS = [
    Plan("up, process"),
    Plan("up, power", durability="power"),
    Plan("up, over gRPC", protocol="grpc"),
    Plan("as fast as answers come", rate=0, batch=True),
    Plan("refuses", ("refuse",)),
    Plan("hangs", ("hang",), durability="power"),
    Plan("is down", ("down",), protocol="grpc"),
    Plan("flaps", ("flap",), batch=True),
    Plan("two, both flap", ("flap", "flap")),
    Plan("two, one is down", ("up", "down")),
    Plan("two, one hangs, power", ("up", "hang"), durability="power"),
    Plan("two, one refuses, a queue of three", ("up", "refuse"), queue={"queue_size": 3}),
    Plan("held", hold="200ms"),
    Plan("held, and it flaps", ("flap",), hold="50ms", batch=True, protocol="grpc"),
    Plan("held, two, one is down", ("up", "down"), hold="100ms", durability="power"),
    Plan("down, and the journal is full", ("down",), rate=0, max_bytes=4 << 20),
    Plan("by --journal, flaps", ("flap",), kept_by="--journal", protocol="grpc"),
    Plan("queues on disk", ("flap", "down"), kept_by="queue"),
    Plan("queues on disk, power, over gRPC", ("refuse",), durability="power", kept_by="queue", protocol="grpc"),
    Plan("some are dropped", samples=True),
    Plan("some are dropped, two, power", ("flap", "up"), durability="power", samples=True, batch=True),
    Plan("some are dropped, and it reloads", ("flap",), samples=True, batch=True, reloads=True),
    Plan("reloads", ("up",), batch=True, reloads=True),
    Plan("reloads, and it flaps", ("flap", "up"), batch=True, reloads=True, hold="20ms"),
]

# Of the process's lives: killed before it is ready, that is while it recovers; and with all
# destinations up, so that what has piled up is under way when the kill comes.
DIES_YOUNG = 0.25
ALL_UP = 0.3


def one_life(world, random, load_seconds):
    """Starts it, lets it work for a random time, kills it."""
    plan = world.plan
    for i, mode in enumerate(plan.destinations):
        world.tell(i, mode)
    if random.random() < ALL_UP:
        world.all_up()
    young = random.random() < DIES_YOUNG
    world.start(wait=not young)
    if young:
        world.lives_for(random.uniform(0, 0.08))
        world.die("kill", random, 0)
        return
    left = random.uniform(0, load_seconds)
    while plan.reloads and left > 0.05:
        world.reload()
        pause = min(left, random.uniform(0.01, 0.15))
        world.lives_for(pause)
        left -= pause
    world.lives_for(left)
    world.die(random.choice(plan.how), random, min(load_seconds, 2))


def run(directory, plan, kills, random, load_seconds):
    """Returns an account for each destination, and the world, which is closed."""
    world = World(directory, plan, random.getrandbits(32))
    try:
        while world.kills < kills:
            one_life(world, random, load_seconds)
        return world.settle(), world
    finally:
        world.close()


