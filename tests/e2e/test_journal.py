"""Journals in the real binary: what was acknowledged survives a kill, a full disk is said, and nothing of it is secret."""
import unittest

from harness import otlp
from harness.case import EndToEnd, pipeline
from harness.destination import Reply
from harness.waiting import wait_until

SIGNALS = ("traces", "metrics", "logs")


class Journal(EndToEnd):
    def kept(self, args=(), journal=None, **keys):
        """Sluice with a journal, and the exporter to `self.away`."""
        exporter = {"endpoint": self.away.endpoint, "compression": "none",
                    "retry_on_failure": {"initial_interval": "50ms", "max_interval": "200ms"}, **keys}
        more = {"journal": journal} if journal else {}
        config = self.config({s: pipeline(exporters="otlphttp", **more) for s in SIGNALS},
                             {"otlphttp": exporter})
        if journal:
            config["extensions"] = {**config.get("extensions", {}), "file_storage": {
                "directory": str(self.directory / "state"), "create_directory": True}}
            config["service"]["extensions"] = [*config["service"].get("extensions", []), "file_storage"]
        return self.sluice(config, args=args)

    def setUp(self):
        super().setUp()
        self.away = self.http_destination()
        self.away.usually = Reply(503)

    def arrived(self, signal):
        return otlp.seqs(signal, *self.away.bodies(signal))

    def back(self):
        """The destination is there again, and has forgotten what it refused."""
        self.away.requests.clear()
        self.away.usually = None

    def test_the_option_gives_every_pipeline_one(self):
        args = ("--journal", str(self.directory / "journal"))
        sluice = self.kept(args)
        self.assertTrue(sluice.find("Every pipeline has a journal"))
        for signal in SIGNALS:
            for transport in ("grpc", "http"):
                self.assert_sent(self.client(sluice, transport).send(signal, otlp.MAKE[signal](range(20))))
        sluice.kill()
        self.back()
        sluice = self.kept(args)
        self.assertEqual(len(sluice.find(r"20 items|40 items")), 3, sluice.log())
        for signal in SIGNALS:
            wait_until(lambda s=signal: len(self.arrived(s)) >= 40, lambda: "all to arrive")
            self.assertEqual(sorted(self.arrived(signal)), sorted(list(range(20)) * 2))
        page = self.finish_empty(sluice)
        self.assertEqual(page.sum("sluice_journal_unsettled_items"), 0)

    def test_power(self):
        journal = {"storage": "file_storage", "durability": "power"}
        sluice = self.kept(journal=journal)
        self.assert_sent(self.client(sluice, "grpc").send("traces", otlp.spans(range(50))))
        sluice.wait_metrics(lambda p: p.sum("sluice_journal_sync_duration_seconds_count") > 0, "a sync")
        sluice.kill()
        self.back()
        sluice = self.kept(journal=journal)
        wait_until(lambda: len(self.arrived("traces")) >= 50, lambda: "all to arrive")
        self.assertEqual(sorted(self.arrived("traces")), list(range(50)))
        self.finish_empty(sluice)

    def test_a_plain_end_keeps_what_is_left(self):
        journal = {"storage": "file_storage"}
        sluice = self.kept(journal=journal)
        self.assert_sent(self.client(sluice, "http").send("logs", otlp.MAKE["logs"](range(30))))
        sluice.signal()
        sluice.signal()  # the second ends the waiting
        sluice.wait()
        self.assertTrue(sluice.find("30 items .* stay in the journals"), sluice.log())
        self.back()
        sluice = self.kept(journal=journal)
        wait_until(lambda: len(self.arrived("logs")) >= 30, lambda: "all to arrive")
        self.assertEqual(sorted(self.arrived("logs")), list(range(30)))
        self.finish_empty(sluice)

    def test_a_full_journal_refuses_and_recovers(self):
        sluice = self.kept(journal={"storage": "file_storage", "max_bytes": "4MiB"})
        client, sent, body = self.client(sluice, "http"), 0, otlp.spans(range(5000))
        while sent < 100 and (answer := client.send("traces", body)).ok:
            sent += 1
        self.assertIn(sent, range(2, 100))
        self.assertTrue(answer.retryable, answer)
        sluice.wait_metrics(lambda p: p.sum("sluice_journal_healthy") == len(SIGNALS) - 1, "the one that is full")
        self.back()
        wait_until(lambda: client.send("traces", otlp.spans([5000])).ok, lambda: "room")
        wait_until(lambda: len(self.arrived("traces")) >= sent * 5000 + 1, lambda: "all to arrive")
        self.assertEqual(len(self.arrived("traces")), sent * 5000 + 1)
        self.finish_empty(sluice)

    def test_two_processes_on_one_journal(self):
        args = ("--journal", str(self.directory / "journal"))
        self.kept(args)
        second = self.sluice(self.config({"traces": pipeline(exporters="otlphttp")}, {
            "otlphttp": {"endpoint": self.away.endpoint}}), args=args, name="second", start=False)
        self.expect_errors(second, "in use by another process")
        second.start(wait=False)
        self.assertEqual(second.wait(), 1)
        self.assertTrue(second.find("in use by another process"))

    def test_credentials_are_not_kept(self):
        sluice = self.kept(("--journal", str(self.directory / "journal"),
                            "--set", "receivers.otlp.protocols.http.include_metadata=true"))
        client = self.client(sluice, "http")
        self.assert_sent(client.request("POST", "/v1/traces", otlp.spans(range(3)), {
            "content-type": "application/x-protobuf", "authorization": "Bearer hunter2",
            "x-api-key": "hunter3", "x-tenant": "acme"}))
        kept = b"".join(p.read_bytes() for p in (self.directory / "journal").rglob("*.seg"))
        self.assertIn(b"acme", kept)
        self.assertNotIn(b"hunter", kept)
        self.back()
        self.finish_empty(sluice)


if __name__ == "__main__":
    unittest.main()
