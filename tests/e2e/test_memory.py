"""The memory budget: the destination has stopped, senders go on, and the process stays within it."""
import threading
import unittest

from harness import otlp
from harness.case import EndToEnd, otlp_receiver
from harness.destination import HANG
from harness.process import SANITIZERS
from harness.send import Load
from harness.waiting import wait_until

MIB = 1024 * 1024
BUDGET = 48 * MIB


class Budget(EndToEnd):
    def stalled(self, **keys):
        self.to = self.http_destination()
        self.to.usually = HANG
        exporter = {"endpoint": self.to.endpoint, "timeout": "0s",
                    "retry_on_failure": {"initial_interval": "50ms", "max_interval": "100ms"},
                    "sending_queue": {"queue_size": 1000000, "num_consumers": 2}, **keys}
        return self.sluice(self.config(
            self.all_signals(exporters="otlphttp", processors="batch"), {"otlphttp": exporter},
            processors={"batch": {"timeout": "50ms", "send_batch_size": 8192}},
            receivers={"otlp": otlp_receiver(grpc={"max_recv_msg_size_mib": 8})},
            service={"memory": {"limit": "48MiB"}, "shutdown": {"timeout": "100ms"}}))

    def test_stays_within_the_budget_and_says_no(self):
        for transports in (("http", "http", "http"), ("grpc", "grpc", "grpc"), ("http", "grpc", "http")):
            with self.subTest(transports):
                sluice = self.stalled()
                self.expect_errors(sluice, "Exporting failed")
                clients = [self.client(sluice, t) for t in transports]
                for client in {id(c): c for c in clients}.values():
                    self.assert_sent(client.send("traces", otlp.spans([1])))
                baseline = sluice.memory("VmHWM")
                load = Load(clients, lambda seqs: otlp.spans(seqs, padding=8 * 1024), items=150).start()
                wait_until(lambda: len(load.refusals) >= 60, lambda: f"refusals\n{sluice.log()}", 40)
                page = sluice.metrics()
                load.stop()
                self.assertEqual((load.odd, load.lost), ([], []))
                for refusal in load.refusals:
                    self.assertIn(refusal.code, (503, "UNAVAILABLE"), refusal)
                    self.assertIsNotNone(refusal.retry_after, refusal)
                self.assertLessEqual(page.sum("sluice_memory_budget_used_bytes"), BUDGET)
                self.assertEqual(page.sum("sluice_memory_budget_limit_bytes"), BUDGET)
                # it was used, not refused from the beginning
                self.assertGreater(page.sum("sluice_memory_budget_used_bytes"), BUDGET // 2)
                if not SANITIZERS:
                    self.assertLess(sluice.memory("VmHWM"), baseline + BUDGET * 1.1)
                sluice.check_ledger()
                # what was acknowledged is there once the destination goes on
                self.to.release()
                sluice.wait_metrics(lambda p: p.sum("sluice_held_items") == 0, "everything to leave", 30)
                arrived = set(otlp.seqs("traces", *self.to.bodies("traces")))
                self.assertEqual(load.acknowledged - arrived, set())
                for client in clients:
                    self.assert_sent(client.send("traces", otlp.spans([2])))
                self.finish(sluice)

    def test_the_memory_limiter_says_no_and_loses_nothing(self):
        """The destination stops until the limiter refuses, and goes on; the budget stays out of it."""
        to = self.http_destination()
        to.usually = HANG

        def limited(limit_mib):
            return self.sluice(self.config(
                self.all_signals(exporters="otlphttp", processors=["memory_limiter", "batch"]),
                {"otlphttp": {"endpoint": to.endpoint, "timeout": "0s", "retry_on_failure": {
                    "initial_interval": "50ms", "max_interval": "100ms"},
                    "sending_queue": {"queue_size": 1000000, "num_consumers": 2}}},
                processors={"batch": {"timeout": "50ms", "send_batch_size": 8192},
                            "memory_limiter": {"check_interval": "10ms", "limit_mib": limit_mib,
                                               "spike_limit_mib": 10}},
                service={"memory": {"limit": "2GiB"}}), name=f"limited-{limit_mib}")
        # what it has anyway differs from build to build
        first = limited(100000)
        self.assert_sent(self.client(first, "http").send("traces", otlp.spans([1])))
        limit = first.memory("RssAnon") // MIB + 70
        to.wait(1)
        to.release()
        self.finish_empty(first)
        to.usually = HANG
        sluice = limited(limit)
        clients = [self.client(sluice, t) for t in ("http", "grpc", "http")]
        load = Load(clients, lambda seqs: otlp.spans(seqs, padding=8 * 1024), items=50).start()
        wait_until(lambda: len(load.refusals) >= 30, lambda: f"refusals\n{sluice.log()}", 40)
        load.stop()
        self.assertEqual((load.odd, load.lost), ([], []))
        for refusal in load.refusals:
            self.assertIn(refusal.code, (503, "UNAVAILABLE"), refusal)
            self.assertIn("memory_limiter", refusal.message)
            self.assertIsNotNone(refusal.retry_after, refusal)
        self.assertTrue(sluice.find("Memory usage is above soft limit. Refusing data", "warn"))
        if not SANITIZERS:
            self.assertLess(sluice.memory("RssAnon"), (limit + 30) * MIB)
        page = sluice.check_ledger()
        self.assertEqual(page.sum("otelcol_processor_refused_spans", processor="memory_limiter"),
                         50 * len(load.refusals))
        to.release()
        to.usually = None
        sluice.wait_metrics(lambda p: p.sum("sluice_held_items") == 0, "everything to leave", 30)
        arrived = set(otlp.seqs("traces", *to.bodies("traces")))
        self.assertEqual(load.acknowledged - arrived, set(), "acknowledged, and lost")
        if not SANITIZERS:  # which keep what is freed, and so the process stays as large as it was
            wait_until(lambda: clients[0].send("traces", otlp.spans([2])).ok, "data to be taken again")
        self.finish(sluice)

    def test_memory_comes_back_after_a_burst(self):
        sluice = self.sluice(self.config(
            self.all_signals(exporters="nop"), {"nop": None},
            receivers={"otlp": otlp_receiver(http={"max_request_body_size": 16 * MIB})},
            service={"memory": {"limit": "200MiB"}}))
        body = otlp.spans(range(100), padding=100 * 1024)

        def send():
            client = self.client(sluice, "http")
            for _ in range(4):
                self.assert_sent(client.send("traces", body))
        self.assert_sent(self.client(sluice, "http").send("traces", otlp.spans([1])))
        before = sluice.memory("VmRSS")
        senders = [threading.Thread(target=send) for _ in range(4)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(60)
        if not SANITIZERS:
            wait_until(lambda: sluice.memory("VmRSS") < before + 48 * MIB,
                       lambda: f"memory to come back: {before >> 20} MiB before, "
                               f"{sluice.memory('VmRSS') >> 20} now", 10)


if __name__ == "__main__":
    unittest.main()
