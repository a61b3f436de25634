"""The end of the process: nothing that was acknowledged is lost, or it is said how much was."""
import re
import signal
import unittest

from harness import otlp
from harness.case import EndToEnd, otlp_receiver, pipeline
from harness.destination import HANG
from harness.process import NOTHING_LEFT
from harness.send import Load
from harness.waiting import endpoint, wait_until

QUICK = {"initial_interval": "50ms", "max_interval": "100ms", "randomization_factor": 0}
BATCH = {"batch": {"timeout": "30s", "send_batch_size": 100000}}


class Shutdown(EndToEnd):
    def load(self, sluice, senders=("http", "grpc", "http", "grpc"), **options):
        return Load([self.client(sluice, t) for t in senders], otlp.spans, **options).start()

    def end_under_load(self, sluice, load, acknowledged=2000):
        """SIGTERM once so much was acknowledged, while everybody goes on sending."""
        wait_until(lambda: len(load.acknowledged) >= acknowledged,
                   lambda: f"acknowledgements; the log:\n{sluice.log()}", 30)
        code = sluice.stop()
        load.stop()
        self.assertEqual(load.odd, [])
        self.check_log(sluice)
        self.assertEqual(code, 0, sluice.log())
        self.assertIn(NOTHING_LEFT, sluice.lines[-1].text)

    def check_arrived(self, load, bodies):
        arrived = otlp.seqs("traces", *bodies)
        self.assertEqual(load.acknowledged - set(arrived), set(), "acknowledged, and lost")
        self.assertEqual(len(arrived), len(set(arrived)), "something came twice")

    def test_under_load_into_a_file(self):
        path = self.file("out.proto")
        sluice = self.sluice(self.config({"traces": pipeline()},
                                         {"file": {"path": str(path), "format": "proto"}}))
        load = self.load(sluice)
        self.end_under_load(sluice, load)
        self.check_arrived(load, otlp.read_frames(path))

    def test_under_load_with_a_batch_that_waits(self):
        path = self.file("out.proto")
        sluice = self.sluice(self.config(
            {"traces": pipeline(processors="batch", lanes=2)},
            {"file": {"path": str(path), "format": "proto"}}, processors=BATCH))
        load = self.load(sluice)
        self.end_under_load(sluice, load)
        self.check_arrived(load, otlp.read_frames(path))

    def test_under_load_to_other_collectors(self):
        over_grpc, over_http = self.grpc_destination(), self.http_destination()
        sluice = self.sluice(self.config(
            {"traces": pipeline(exporters=["otlp", "otlphttp"])},
            {"otlp": {"endpoint": over_grpc.endpoint, "tls": {"insecure": True}},
             "otlphttp": {"endpoint": over_http.endpoint}}))
        load = self.load(sluice, senders=("http", "grpc"))
        self.end_under_load(sluice, load, 1000)
        self.check_arrived(load, over_grpc.bodies("traces"))
        self.check_arrived(load, over_http.bodies("traces"))

    def test_waiting_senders_hear_of_the_end(self):
        """wait_for_result: what the destination has not taken is not acknowledged."""
        to = self.http_destination()
        sluice = self.sluice(self.config(
            {"traces": pipeline(exporters="otlphttp")},
            {"otlphttp": {"endpoint": to.endpoint, "sending_queue": {"wait_for_result": True},
                          "retry_on_failure": QUICK}}))
        load = self.load(sluice, senders=("http", "grpc", "http", "grpc"))
        self.end_under_load(sluice, load, 1000)
        self.check_arrived(load, to.bodies("traces"))

    def left_behind(self, exporters, held, to=None, timeout="700ms"):
        """SIGTERM with 120 spans for a destination that does not take them."""
        sluice = self.sluice(self.config(
            {"traces": pipeline(exporters=list(exporters))}, exporters,
            service={"shutdown": {"timeout": timeout}}))
        self.expect_errors(sluice, "Exporting failed")
        client = self.client(sluice, "http")
        for i in range(6):
            self.assert_sent(client.send("traces", otlp.spans(range(i * 20, i * 20 + 20))))
        sluice.wait_metrics(
            lambda p: p.sum("sluice_held_items", kind="exporter") == held, f"{held} items to be held")
        if to is not None:
            to.wait(1)
        sluice.check_ledger()
        self.assertEqual(sluice.stop(), 3, sluice.log())
        self.check_log(sluice)
        last = sluice.lines[-1].text
        found = re.search(r"Shutdown complete\. (\d+) items were left", last)
        self.assertTrue(found, sluice.log())
        self.assertEqual(int(found.group(1)), held, sluice.log())

    def test_a_dead_destination(self):
        where = endpoint()
        self.left_behind({"otlp": {"endpoint": where, "tls": {"insecure": True},
                                   "retry_on_failure": QUICK}}, 120)

    def test_a_dead_destination_and_long_waits_between_retries(self):
        """The next attempt would come after the deadline."""
        self.left_behind({"otlphttp": {"endpoint": f"http://{endpoint()}"}}, 120)

    def test_a_destination_that_hangs(self):
        to = self.http_destination()
        to.usually = HANG
        self.left_behind({"otlphttp": {"endpoint": to.endpoint, "retry_on_failure": QUICK,
                                       "sending_queue": {"num_consumers": 2}}}, 120, to)

    def test_one_destination_of_two_is_dead(self):
        path = self.file("out.proto")
        self.left_behind({"otlphttp": {"endpoint": f"http://{endpoint()}", "retry_on_failure": QUICK},
                          "file": {"path": str(path), "format": "proto"}}, 120)
        self.assertEqual(sorted(otlp.seqs("traces", *otlp.read_frames(path))), list(range(120)))

    def test_a_destination_that_comes_back_within_the_deadline(self):
        to = self.http_destination()
        to.usually = HANG
        sluice = self.sluice(self.config(
            {"traces": pipeline(exporters="otlphttp", processors="batch")},
            {"otlphttp": {"endpoint": to.endpoint, "retry_on_failure": QUICK}},
            processors=BATCH, service={"shutdown": {"timeout": "20s"}}))
        client = self.client(sluice, "http")
        for i in range(5):
            self.assert_sent(client.send("traces", otlp.spans(range(i * 20, i * 20 + 20))))
        sluice.signal()
        to.wait(1)  # the drain sends what the batch held
        to.release()
        self.assertEqual(sluice.wait(), 0, sluice.log())
        self.check_log(sluice)
        self.assertIn(NOTHING_LEFT, sluice.lines[-1].text)
        self.assertEqual(set(otlp.seqs("traces", *to.bodies("traces"))), set(range(100)))

    def test_a_second_signal_does_not_wait(self):
        to = self.http_destination()
        to.usually = HANG
        sluice = self.sluice(self.config(
            {"traces": pipeline(exporters="otlphttp")},
            {"otlphttp": {"endpoint": to.endpoint}}, service={"shutdown": {"timeout": "1h"}}))
        self.assert_sent(self.client(sluice, "http").send("traces", otlp.spans(range(10))))
        to.wait(1)
        sluice.signal(signal.SIGINT)
        sluice.wait_log("Received signal from OS: interrupt")
        sluice.signal(signal.SIGINT)
        self.assertEqual(sluice.wait(15), 3, sluice.log())
        self.assertIn("10 items were left", sluice.lines[-1].text)

    def test_signals_without_load(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            sluice = self.sluice(self.config(self.all_signals(exporters="nop"), {"nop": None}))
            sluice.signal(number)
            self.assertEqual(sluice.wait(15), 0, sluice.log())
            self.assertIn(NOTHING_LEFT, sluice.lines[-1].text)

    def test_idle_connections_do_not_hold_up_the_end(self):
        sluice = self.sluice(self.config(self.all_signals(exporters="nop"), {"nop": None},
                                         receivers={"otlp": otlp_receiver()}))
        for transport in ("http", "grpc"):  # they stay open
            self.assert_sent(self.client(sluice, transport).send("traces", otlp.spans(range(3))))
        sluice.signal()
        self.assertEqual(sluice.wait(10), 0, sluice.log())
        self.assertIn(NOTHING_LEFT, sluice.lines[-1].text)


if __name__ == "__main__":
    unittest.main()
