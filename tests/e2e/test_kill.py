"""Sluice is killed, at random moments and at every fault point; docs/reliability.md says what for."""
import os
import random
import unittest

from harness.case import EndToEnd
from kill import faults, log, plans
from kill.world import Plan

SEED = int(os.environ.get("SLUICE_SEED", 0)) or random.SystemRandom().getrandbits(32)


class KillCase(EndToEnd):
    def setUp(self):
        super().setUp()
        self.random = random.Random(f"{SEED} {self.id()}")

    def assert_sound(self, account, lost=0):
        """`lost`: at most."""
        text = f"{account}; SLUICE_SEED={SEED}"
        self.assertGreater(account.acknowledged, 0, text)
        self.assertLessEqual(account.lost, lost, text)
        self.assertEqual((account.invented, account.spoilt, account.contradicted), (0, 0, 0), text)

    def subdirectory(self, name):
        made = self.directory / name
        made.mkdir()
        return made


class AtRandom(KillCase):
    def test_what_is_only_in_memory_is_lost(self):
        """So that it is known that a loss would be seen."""
        plan = Plan("memory", ("hang",), durability=None, how=("kill",))
        (account,), _ = plans.run(self.directory, plan, 3, self.random, load_seconds=0.3)
        self.assert_sound(account, lost=account.acknowledged)
        self.assertGreater(account.lost, 0, account)

    def test_every_plan(self):
        for plan in plans.PLANS:
            with self.subTest(plan.name):
                accounts, world = plans.run(self.subdirectory(plan.name), plan, 4, self.random, load_seconds=0.4)
                for account in accounts:
                    self.assert_sound(account)
                    self.assertLessEqual(account.again, world.kills * plan.again, account)

    def test_the_log_alone(self):
        for durability in ("process", "power"):
            with self.subTest(durability):
                one = log.Log(self.subdirectory(durability), self.random, durability)
                for _ in range(100):
                    log.live_and_die(one, 0.1)
                self.assertEqual(one.drain()["quarantined_records"], 0)
                account = one.account()
                self.assert_sound(account)
                self.assertLessEqual(account.again, one.kills * log.AGAIN_SPANS, account)


class AtFaultPoints(KillCase):
    def test_list(self):
        """Every point that is listed is in the code, and is visited."""
        visited = {p for tour in (*faults.TOURS, *log.TOURS) for p in tour.points}
        self.assertEqual(sorted(faults.placed()), sorted(faults.listed()))
        self.assertEqual(sorted(faults.placed()), sorted(visited))

    def test_the_log_alone(self):
        for i, tour in enumerate(log.TOURS):
            for durability in sorted({tour.durability, "power"}):
                with self.subTest(tour.points[0], durability=durability):
                    one = log.Log(self.subdirectory(f"{i}-{durability}"), self.random, durability,
                                  notes=not tour.damaged)
                    for point in tour.points:
                        log.visit(one, tour, point)
                    one.drain()
                    self.assert_sound(one.account(), lost=log.DAMAGED_SPANS * len(tour.points) * tour.damaged)

    def test_the_process(self):
        for tour in faults.TOURS:
            with self.subTest(tour.plan.name):
                for account in faults.run(self.subdirectory(tour.plan.name), tour, self.random):
                    self.assert_sound(account)


if __name__ == "__main__":
    unittest.main()
