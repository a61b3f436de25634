"""Pipelines as they can be joined: fan-in, fan-out, connectors, several lanes."""
import unittest

from harness import otlp
from harness.case import EndToEnd, otlp_receiver, pipeline
from harness.destination import HANG
from harness.send import Load
from harness.waiting import endpoint, wait_until

QUICK = {"initial_interval": "50ms", "max_interval": "100ms", "randomization_factor": 0}


class Graph(EndToEnd):
    def file_exporter(self, name):
        return {"path": str(self.file(name)), "format": "proto"}

    def arrived(self, name, signal="traces"):
        return sorted(otlp.seqs(signal, *otlp.read_frames(self.file(name))))

    def test_one_receiver_in_several_pipelines(self):
        sluice = self.sluice(self.config(
            {"traces/a": pipeline(exporters="file/a"),
             "traces/b": pipeline(exporters=["file/b", "file/c"], processors="batch"),
             "logs": pipeline(exporters="file/logs")},
            {f"file/{n}": self.file_exporter(n) for n in ("a", "b", "c", "logs")},
            processors={"batch": {"timeout": "20ms"}}))
        for transport in ("grpc", "http"):
            client = self.client(sluice, transport)
            for i in range(5):
                self.assert_sent(client.send("traces", otlp.spans(range(i * 10, i * 10 + 10))))
            self.assert_sent(client.send("logs", otlp.records(range(7))))
            # no pipeline takes metrics
            answer = client.send("metrics", otlp.points(range(3)))
            self.assertFalse(answer.ok or answer.retryable, answer)
        page = self.finish_empty(sluice)
        for name in "abc":
            self.assertEqual(self.arrived(name), sorted(2 * list(range(50))))
        self.assertEqual(self.arrived("logs", "logs"), sorted(2 * list(range(7))))
        self.assertEqual(page.sum("otelcol_receiver_accepted_spans"), 100)
        self.assertEqual(page.sum("otelcol_exporter_sent_spans"), 300)

    def test_several_receivers_in_one_pipeline(self):
        sluice = self.sluice(self.config(
            {"traces": pipeline(["otlp/a", "otlp/b"])}, {"file": self.file_exporter("out")},
            receivers={"otlp/a": otlp_receiver(), "otlp/b": otlp_receiver()}))
        for i, receiver in enumerate(("otlp/a", "otlp/b")):
            for transport in ("grpc", "http"):
                self.assert_sent(self.client(sluice, transport, receiver=receiver).send(
                    "traces", otlp.spans(range(i * 10, i * 10 + 10))))
        page = self.finish(sluice)
        self.assertEqual(self.arrived("out"), sorted(2 * list(range(20))))
        for receiver in ("otlp/a", "otlp/b"):
            for transport in ("grpc", "http"):
                self.assertEqual(page.sum("otelcol_receiver_accepted_spans", receiver=receiver,
                                          transport=transport), 10)

    def test_a_dead_exporter_does_not_hold_up_its_sibling(self):
        """The dead one's queue overflows; nobody hears of it but the metrics."""
        hangs = self.http_destination()
        hangs.usually = HANG
        for name, dead in (("refusing", {"endpoint": f"http://{endpoint()}"}),
                           ("hanging", {"endpoint": hangs.endpoint, "timeout": "0s"})):
            with self.subTest(name):
                sluice = self.sluice(self.config(
                    {"traces": pipeline(exporters=["otlphttp", "file"])},
                    {"otlphttp": {**dead, "retry_on_failure": QUICK,
                                  "sending_queue": {"num_consumers": 1, "queue_size": 5}},
                     "file": self.file_exporter(name)},
                    service={"shutdown": {"timeout": "100ms"}}), name=name)
                self.expect_errors(sluice, "Exporting failed")
                client = self.client(sluice, "grpc")
                for i in range(50):
                    self.assert_sent(client.send("traces", otlp.spans(range(i * 10, i * 10 + 10))))
                sluice.wait_metrics(
                    lambda page: page.sum("otelcol_exporter_sent_spans", exporter="file") == 500,
                    "all spans written")
                page = sluice.check_ledger()
                lost = page.sum("otelcol_exporter_enqueue_failed_spans", exporter="otlphttp")
                held = page.sum("sluice_held_items", component="otlphttp")
                self.assertEqual(lost + held, 500)
                self.assertIn(held, (50, 60))
                self.assertEqual(page.sum("otelcol_receiver_accepted_spans"), 500)
                self.finish(sluice, code=3)
                self.assertEqual(self.arrived(name), list(range(500)))

    def test_all_exporters_refuse(self):
        """Then nobody has it, and the sender hears that."""
        hangs = self.http_destination()
        hangs.usually = HANG
        queue = {"num_consumers": 1, "queue_size": 2}
        exporter = {"endpoint": hangs.endpoint, "timeout": "0s", "sending_queue": queue}
        sluice = self.sluice(self.config(
            {"traces": pipeline(exporters=["otlphttp/a", "otlphttp/b"])},
            {"otlphttp/a": exporter, "otlphttp/b": exporter}))
        client = self.client(sluice, "http")
        answers = [client.send("traces", otlp.spans(range(10))) for _ in range(6)]
        self.assertEqual({a.ok for a in answers[:2]}, {True})
        self.assertEqual((answers[-1].code, answers[-1].retryable), (503, True), answers[-1])
        hangs.release()

    def test_forward_between_pipelines(self):
        sluice = self.sluice(self.config(
            {"traces/in": pipeline(exporters="forward"),
             "traces/one": pipeline("forward", "file/one", "batch"),
             "traces/two": pipeline("forward", ["file/two", "forward/again"]),
             "traces/three": pipeline("forward/again", "file/three"),
             "logs/in": pipeline(exporters="forward"),
             "logs/out": pipeline("forward", "file/logs")},
            {f"file/{n}": self.file_exporter(n) for n in ("one", "two", "three", "logs")},
            processors={"batch": {"timeout": "20ms", "send_batch_max_size": 7, "send_batch_size": 7}},
            connectors={"forward": None, "forward/again": {}}))
        client = self.client(sluice, "http")
        for i in range(10):
            self.assert_sent(client.send("traces", otlp.spans(range(i * 10, i * 10 + 10))))
            self.assert_sent(client.send("logs", otlp.records([i])))
        self.finish(sluice)
        for name in ("one", "two", "three"):
            self.assertEqual(self.arrived(name), list(range(100)))
        self.assertEqual(self.arrived("logs", "logs"), list(range(10)))

    def test_pushback_through_a_connector(self):
        hangs = self.http_destination()
        hangs.usually = HANG
        sluice = self.sluice(self.config(
            {"traces/in": pipeline(exporters="forward"),
             "traces/out": pipeline("forward", "otlphttp")},
            {"otlphttp": {"endpoint": hangs.endpoint, "timeout": "0s",
                          "sending_queue": {"num_consumers": 1, "queue_size": 2}}},
            connectors={"forward": None}))
        client = self.client(sluice, "grpc")
        answers = [client.send("traces", otlp.spans(range(10))) for _ in range(6)]
        self.assertEqual({a.ok for a in answers[:2]}, {True})
        self.assertEqual((answers[-1].code, answers[-1].retryable), ("UNAVAILABLE", True), answers[-1])
        hangs.release()

    def test_lanes_under_load(self):
        """Everything arrives once, on any number of lanes."""
        for lanes in (2, 4):
            with self.subTest(lanes=lanes):
                name = f"{lanes}-lanes"
                sluice = self.sluice(self.config(
                    {"traces": pipeline(processors="batch", lanes=lanes)},
                    {"file": self.file_exporter(name)},
                    processors={"batch": {"timeout": "10ms", "send_batch_size": 64,
                                          "send_batch_max_size": 100}}), name=name)
                load = Load([self.client(sluice, t) for t in ("http", "grpc", "http", "grpc")],
                            otlp.spans, items=30).start()
                wait_until(lambda: len(load.acknowledged) > 5000, "acknowledgements", 30)
                load.stop()
                self.assertEqual((load.odd, load.lost, load.refusals), ([], [], []))
                page = self.finish_empty(sluice)
                self.assertEqual(self.arrived(name), sorted(load.acknowledged))
                n = len(load.acknowledged)
                self.assertEqual(page.sum("otelcol_processor_incoming_items", processor="batch"), n)
                self.assertEqual(page.sum("otelcol_processor_outgoing_items", processor="batch"), n)

    def test_old_and_new_names(self):
        to_grpc, to_http = self.grpc_destination(), self.http_destination()
        sluice = self.sluice(self.config(
            {"traces": pipeline(exporters=["otlp_grpc", "otlp_http/x"])},
            {"otlp_grpc": {"endpoint": to_grpc.endpoint, "tls": {"insecure": True}},
             "otlp_http/x": {"endpoint": to_http.endpoint}}))
        self.assert_sent(self.client(sluice, "grpc").send("traces", otlp.spans(range(5))))
        self.finish(sluice)
        self.assertEqual(to_grpc.bodies("traces"), [otlp.spans(range(5))])
        self.assertEqual(to_http.bodies("traces"), [otlp.spans(range(5))])

    def test_debug_exporter(self):
        """What it writes is for people; that it is there, and takes everything, is what counts."""
        sluice = self.sluice(self.config(
            self.all_signals(exporters=["debug", "debug/detailed"]),
            {"debug": None, "debug/detailed": {"verbosity": "detailed"}}))
        client = self.client(sluice, "grpc")
        for signal, make in otlp.MAKE.items():
            self.assert_sent(client.send(signal, make(range(3))))
        page = self.finish(sluice)
        for signal in otlp.SIGNALS.values():
            self.assertEqual(page.sum(f"otelcol_exporter_sent_{signal.items}", exporter="debug"), 3)
        self.assertTrue(sluice.find("operation 2"), sluice.log())


if __name__ == "__main__":
    unittest.main()
