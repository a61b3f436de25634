"""Batching in the queue: sending_queue.batch in front of a real exporter."""
import unittest

from harness import otlp
from harness.case import EndToEnd, otlp_receiver, pipeline
from harness.send import PROTOBUF
from harness.waiting import wait_until


class QueueBatch(EndToEnd):
    def start(self, **batch):
        self.to = self.http_destination()
        return self.sluice(self.config(
            {"traces": pipeline(exporters="otlphttp")},
            {"otlphttp": {"endpoint": self.to.endpoint, "sending_queue": {"batch": batch}}},
            receivers={"otlp": otlp_receiver(http={"include_metadata": True})}))

    def sizes(self):
        return [len(otlp.seqs("traces", body)) for body in self.to.bodies("traces")]

    def send(self, client, first, tenant=None):
        self.assert_sent(client.request("POST", "/v1/traces", otlp.spans(range(first, first + 10)),
                                        {"Content-Type": PROTOBUF, **({"X-Tenant": tenant} if tenant else {})}))

    def test_merges_and_splits(self):
        sluice = self.start(min_size=25, max_size=25, flush_timeout="1h")
        client = self.client(sluice, "http")
        for i in range(10):
            self.send(client, i * 10)
        wait_until(lambda: sum(self.sizes()) == 100, "all to arrive")
        self.assertEqual(self.sizes(), [25] * 4)
        self.assertEqual(sorted(otlp.seqs("traces", *self.to.bodies("traces"))), list(range(100)))

    def test_what_waits_leaves_at_the_end(self):
        sluice = self.start(flush_timeout="1h")
        self.send(self.client(sluice, "http"), 0)
        self.finish(sluice)
        self.assertEqual(self.sizes(), [10])

    def test_tenants_are_not_mixed(self):
        sluice = self.start(min_size=20, flush_timeout="1h", partition={"metadata_keys": ["x-tenant"]})
        client = self.client(sluice, "http")
        for i in range(4):
            self.send(client, i * 10, "one" if i % 2 else "two")
        wait_until(lambda: len(self.sizes()) == 2, "two batches")
        arrived = [sorted(seq // 10 for seq in otlp.seqs("traces", body)) for body in self.to.bodies("traces")]
        self.assertEqual(sorted(arrived), [[0] * 10 + [2] * 10, [1] * 10 + [3] * 10])


if __name__ == "__main__":
    unittest.main()
