"""Statuses and retries on both sides: what destinations answer, and what senders hear."""
import threading
import unittest

from harness import otlp
from harness.case import EndToEnd, pipeline
from harness.destination import HANG, RESET, Reply, partial
from harness.waiting import endpoint, wait_until

# Without spread, so that waits can be told from each other.
QUICK = {"initial_interval": "60ms", "max_interval": "200ms", "randomization_factor": 0}
NO_RETRY = {"enabled": False}


class Retry(EndToEnd):
    """Both OTLP exporters in turn. `busy` is a retryable answer, `bad` one that is for good."""

    def setUp(self):
        super().setUp()
        self.kinds = {
            "otlp": (self.grpc_destination, lambda: Reply("UNAVAILABLE"),
                     lambda seconds: Reply("UNAVAILABLE", seconds)),
            "otlphttp": (self.http_destination, lambda: Reply(503),
                         lambda seconds: Reply(503, int(seconds)))}

    def exporting(self, kind, **keys):
        """A sluice that sends to a scripted destination."""
        destination = self.kinds[kind][0]()
        exporter = {"endpoint": destination.endpoint, "retry_on_failure": QUICK, **keys}
        if kind == "otlp":
            exporter["tls"] = {"insecure": True}
        sluice = self.sluice(self.config(self.all_signals(exporters=kind), {kind: exporter}),
                             name=f"{kind}-{len(self._sluices)}")
        return sluice, destination

    def ended(self, page, kind, outcome, reason=None, signal="traces"):
        labels = {"reason": reason} if reason else {}
        return page.sum("sluice_items_total", kind="exporter", component=kind, outcome=outcome,
                        signal=signal, **labels)

    def settled(self, sluice, kind, n, signal="traces"):
        """Waits until n items have ended at the exporter."""
        return sluice.wait_metrics(
            lambda p: p.sum("sluice_items_total", kind="exporter", component=kind, signal=signal) == n,
            f"{n} items to end")

    def test_retryable_answers_are_tried_again_with_backoff(self):
        scripts = {
            "otlp": [Reply(c) for c in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "CANCELLED",
                                        "OUT_OF_RANGE", "DATA_LOSS")],
            "otlphttp": [Reply(429), Reply(502), Reply(503), Reply(504)]}
        for kind, script in scripts.items():
            with self.subTest(kind):
                sluice, to = self.exporting(kind)
                to.script(*script)
                self.assert_sent(self.client(sluice, "http").send("traces", otlp.spans(range(5))))
                requests = list(to.wait(len(script) + 1))
                page = self.settled(sluice, kind, 5)
                self.assertEqual({r.body for r in requests}, {otlp.spans(range(5))})
                waits = [b.at - a.at for a, b in zip(requests, requests[1:])]
                for i, least in enumerate((0.06, 0.09, 0.135, 0.2, 0.2)[:len(waits)]):
                    self.assertGreater(waits[i], least * 0.9, waits)
                self.assertEqual(page.sum("otelcol_exporter_sent_spans", exporter=kind), 5)
                self.assertEqual(page.sum("otelcol_exporter_send_failed_spans", exporter=kind), 0)
                self.assertEqual(len(sluice.find("Will retry")), len(script))
                self.finish(sluice)

    def test_a_connection_that_breaks_is_tried_again(self):
        """Over a connection that was used before, the HTTP client may do so at once."""
        sluice, to = self.exporting("otlphttp")
        to.script(RESET, Reply(200), RESET, RESET)
        client = self.client(sluice, "http")
        for i in range(2):
            self.assert_sent(client.send("traces", otlp.spans(range(5 * i, 5 * i + 5))))
            page = self.settled(sluice, "otlphttp", 5 * i + 5)
        self.assertEqual(self.ended(page, "otlphttp", "delivered"), 10)
        self.assertEqual(len(to.requests), 5)
        self.assertTrue(sluice.find("Will retry"))

    def test_the_destination_says_how_long_to_wait(self):
        for kind, after in (("otlp", 0.7), ("otlphttp", 1)):
            with self.subTest(kind):
                sluice, to = self.exporting(kind)
                to.script(self.kinds[kind][2](after))
                self.assert_sent(self.client(sluice, "http").send("logs", otlp.records(range(3))))
                first, second = to.wait(2)
                self.assertGreater(second.at - first.at, after * 0.95)
                self.assertLess(second.at - first.at, after + 5)
                self.finish(sluice)

    def test_resource_exhausted_is_final_without_a_hint(self):
        sluice, to = self.exporting("otlp")
        self.expect_errors(sluice, "not retryable")
        client = self.client(sluice, "http")
        to.script(Reply("RESOURCE_EXHAUSTED", 0.1))
        self.assert_sent(client.send("traces", otlp.spans(range(4))))
        self.settled(sluice, "otlp", 4)
        self.assertEqual(len(to.requests), 2)
        to.script(Reply("RESOURCE_EXHAUSTED", held=True))  # or the sender may hear of it
        self.assert_sent(client.send("traces", otlp.spans(range(6))))
        to.wait(3)
        to.release()
        page = self.settled(sluice, "otlp", 10)
        self.assertEqual(len(to.requests), 3)
        self.assertEqual(self.ended(page, "otlp", "delivered"), 4)
        self.assertEqual(self.ended(page, "otlp", "rejected", "grpc_resource_exhausted"), 6)

    def test_permanent_errors_are_dropped_and_counted(self):
        scripts = {
            "otlp": [Reply(c) for c in ("INVALID_ARGUMENT", "UNIMPLEMENTED", "UNAUTHENTICATED",
                                        "PERMISSION_DENIED", "INTERNAL", "UNKNOWN", "NOT_FOUND")],
            "otlphttp": [Reply(c) for c in (400, 401, 403, 404, 413, 500, 501, 302)]}
        for kind, script in scripts.items():
            with self.subTest(kind):
                sluice, to = self.exporting(kind)
                self.expect_errors(sluice, "Exporting failed. The error is not retryable.")
                to.script(*script)
                client = self.client(sluice, "http")
                for i in range(len(script)):
                    answer = client.send("traces", otlp.spans(range(i, i + 3)))
                    # a destination that is quick is heard in time
                    self.assertTrue(answer.ok or not answer.retryable, answer)
                    self.settled(sluice, kind, 3 * (i + 1))
                self.assert_sent(client.send("traces", otlp.spans(range(100, 102))))
                page = self.settled(sluice, kind, 3 * len(script) + 2)
                self.assertEqual(len(to.requests), len(script) + 1)
                self.assertEqual(self.ended(page, kind, "rejected"), 3 * len(script))
                reasons = {l["reason"] for l, _ in page.all("sluice_items_total", kind="exporter",
                                                            component=kind, outcome="rejected")}
                self.assertEqual(len(reasons), len(script), reasons)
                self.assertEqual(self.ended(page, kind, "delivered"), 2)
                self.assertEqual(page.sum("otelcol_exporter_send_failed_spans", exporter=kind),
                                 3 * len(script))
                self.assertEqual(len(sluice.find("not retryable", "error")), len(script))
                self.finish(sluice)

    def test_partial_success_is_counted_and_not_sent_again(self):
        for kind in self.kinds:
            with self.subTest(kind):
                sluice, to = self.exporting(kind)
                ok = "OK" if kind == "otlp" else 200
                client = self.client(sluice, "grpc")
                for signal, make in otlp.MAKE.items():
                    to.script(Reply(ok, body=partial(signal, 3)))
                    self.assert_sent(client.send(signal, make(range(10))))
                    page = self.settled(sluice, kind, 10, signal)
                    self.assertEqual(self.ended(page, kind, "delivered", signal=signal), 7)
                    self.assertEqual(
                        self.ended(page, kind, "rejected", "partial_success", signal), 3)
                    items = otlp.SIGNALS[signal].items
                    self.assertEqual(page.sum(f"otelcol_exporter_sent_{items}", exporter=kind), 7)
                self.assertEqual(len(to.requests), 3)
                sluice.wait_log("warn\t.*some were bad")
                to.script(Reply(ok, body=partial("traces", 0, "only a warning")))
                self.assert_sent(client.send("traces", otlp.spans(range(4))))
                page = self.settled(sluice, kind, 14)
                self.assertEqual(self.ended(page, kind, "delivered"), 11)
                sluice.wait_log("warn\t.*only a warning")
                self.finish(sluice)

    def test_time_limits(self):
        for kind in self.kinds:
            with self.subTest(kind):
                sluice, to = self.exporting(kind, timeout="200ms")
                to.script(HANG)
                self.assert_sent(self.client(sluice, "http").send("traces", otlp.spans(range(5))))
                first, second = to.wait(2)
                self.assertGreater(second.at - first.at, 0.2)
                page = self.settled(sluice, kind, 5)
                self.assertEqual(self.ended(page, kind, "delivered"), 5)
                self.finish(sluice)

    def test_giving_up(self):
        for kind, (_, busy, _) in self.kinds.items():
            with self.subTest(kind):
                sluice, to = self.exporting(
                    kind, retry_on_failure={**QUICK, "max_elapsed_time": "400ms"})
                self.expect_errors(sluice, "No more retries left")
                to.usually = busy()
                self.assert_sent(self.client(sluice, "http").send("traces", otlp.spans(range(5))))
                page = self.settled(sluice, kind, 5)
                self.assertEqual(self.ended(page, kind, "expired", "max_elapsed_time"), 5)
                self.assertEqual(page.sum("otelcol_exporter_send_failed_spans", exporter=kind), 5)
                self.assertGreater(len(to.requests), 2)
                self.finish(sluice)

    def test_retries_off(self):
        for kind, (_, busy, _) in self.kinds.items():
            with self.subTest(kind):
                sluice, to = self.exporting(kind, retry_on_failure=NO_RETRY)
                self.expect_errors(sluice, "Retries are off")
                to.script(busy())
                self.assert_sent(self.client(sluice, "http").send("traces", otlp.spans(range(5))))
                page = self.settled(sluice, kind, 5)
                self.assertEqual(self.ended(page, kind, "failed"), 5)
                self.assertEqual(len(to.requests), 1)
                self.finish(sluice)


class SendingQueue(EndToEnd):
    """A destination that hangs, and what the senders hear about it."""

    def stalled(self, queue, **keys):
        self.to = self.http_destination()
        self.to.usually = HANG
        exporter = {"endpoint": self.to.endpoint, "retry_on_failure": QUICK,
                    "sending_queue": {"num_consumers": 1, **queue}, "timeout": "0s", **keys}
        return self.sluice(self.config(self.all_signals(exporters="otlphttp"), {"otlphttp": exporter}))

    def fill(self, sluice, transport, make, signal="traces", most=50):
        """Sends until the first refusal. Returns how many were taken, and the refusal."""
        client = self.client(sluice, transport)
        for n in range(most):
            answer = client.send(signal, make(n))
            if not answer.ok:
                return n, answer
        self.fail("nothing was refused")

    def check_refusal(self, answer, transport):
        self.assertTrue(answer.retryable, answer)
        self.assertEqual(answer.code, 503 if transport == "http" else "UNAVAILABLE")
        self.assertIsNotNone(answer.retry_after, answer)
        self.assertGreater(answer.retry_after, 0)

    def test_a_full_queue_refuses_with_a_hint(self):
        for transport in ("http", "grpc"):
            for signal, make in otlp.MAKE.items():
                with self.subTest(transport=transport, signal=signal):
                    sluice = self.stalled({"queue_size": 3})
                    taken, answer = self.fill(sluice, transport,
                                              lambda n: make(range(n * 10, n * 10 + 10)), signal)
                    self.check_refusal(answer, transport)
                    self.assertIn("queue_full", answer.message)
                    self.assertIn(taken, (3, 4))  # three wait, one may be with the destination
                    self.to.release()
                    page = self.finish(sluice)
                    items = otlp.SIGNALS[signal].items
                    self.assertEqual(page.sum(f"otelcol_exporter_enqueue_failed_{items}"), 10)
                    self.assertEqual(page.sum(f"otelcol_receiver_accepted_{items}"), 10 * taken)
                    self.assertEqual(page.sum(f"otelcol_receiver_refused_{items}"), 10)
                    self.assertEqual(page.sum("sluice_items_total", kind="exporter",
                                              outcome="failed", reason="queue_full"), 10)
                    arrived = otlp.seqs(signal, *self.to.bodies(signal))
                    self.assertEqual(set(arrived), set(range(10 * taken)))

    def test_sizers(self):
        request = otlp.spans(range(10))
        for sizer, size in (("items", 45), ("bytes", int(len(request) * 4.5))):
            with self.subTest(sizer):
                sluice = self.stalled({"queue_size": size, "sizer": sizer})
                taken, _ = self.fill(sluice, "http", lambda n: request)
                self.assertIn(taken, (4, 5, 6))
                page = sluice.metrics()
                self.assertEqual(page.sum("otelcol_exporter_queue_capacity", exporter="otlphttp",
                                          data_type="traces"), size)
                self.assertGreaterEqual(
                    page.sum("otelcol_exporter_queue_size", exporter="otlphttp"), 0.8 * size)
                self.to.release()
                self.finish(sluice)

    def test_blocking_on_overflow_makes_the_sender_wait(self):
        sluice = self.stalled({"queue_size": 2, "block_on_overflow": True})
        answers = []

        def send(n):
            client = self.client(sluice, "http")
            answers.append(client.send("traces", otlp.spans(range(n * 10, n * 10 + 10))))
        senders = [threading.Thread(target=send, args=(n,)) for n in range(6)]
        for sender in senders:
            sender.start()
        self.to.wait(1)
        # what waits in the lane is not answered, and not in the queue
        sluice.wait_metrics(lambda p: p.sum("sluice_held_items", kind="receiver") == 60, "six requests")
        self.assertLess(len(answers), 6)
        self.assertTrue(all(a.ok for a in answers), answers)
        self.to.release()
        for sender in senders:
            sender.join(20)
        self.assertEqual([a.ok for a in answers], [True] * 6)
        wait_until(lambda: set(otlp.seqs("traces", *self.to.bodies("traces"))) == set(range(60)),
                   "all spans to arrive")
        page = self.finish(sluice)
        self.assertEqual(page.sum("otelcol_exporter_enqueue_failed_spans"), 0)

    def test_waiting_for_the_result(self):
        for transport in ("http", "grpc"):
            with self.subTest(transport):
                sluice = self.stalled({"wait_for_result": True}, retry_on_failure=NO_RETRY)
                self.expect_errors(sluice, "Exporting failed")
                answers = []
                sender = threading.Thread(target=lambda: answers.append(
                    self.client(sluice, transport).send("traces", otlp.spans(range(10)))))
                sender.start()
                self.to.wait(1)
                self.assertEqual(answers, [])  # the destination has it, and has not answered
                self.to.script(Reply(200))
                self.to.usually = None
                self.to.release()  # breaks the connection that hangs: a failure, with retries off
                sender.join(20)
                self.assertEqual([a.retryable for a in answers], [True], answers)
                client = self.client(sluice, transport)
                self.assert_sent(client.send("traces", otlp.spans(range(10, 20))))
                self.to.script(Reply(400))
                answer = client.send("traces", otlp.spans(range(20, 30)))
                self.assertFalse(answer.ok or answer.retryable, answer)
                self.to.script(Reply(503, 7))
                answer = client.send("traces", otlp.spans(range(30, 40)))
                self.assertEqual((answer.retryable, answer.retry_after), (True, 7), answer)
                self.to.script(Reply(200, body=partial("traces", 4, "four")))
                answer = self.assert_sent(client.send("traces", otlp.spans(range(40, 50))))
                self.assertEqual(answer.rejected("traces")[0], 4)
                page = self.finish(sluice)
                self.assertEqual(page.sum("otelcol_receiver_accepted_spans"), 16)
                self.assertEqual(page.sum("otelcol_receiver_refused_spans"), 34)

    def test_without_a_queue_the_sender_hears_the_result(self):
        to = self.http_destination()
        sluice = self.sluice(self.config(
            {"traces": pipeline(exporters="otlphttp")},
            {"otlphttp": {"endpoint": to.endpoint, "sending_queue": {"enabled": False},
                          "retry_on_failure": NO_RETRY}}))
        self.expect_errors(sluice, "Exporting failed")
        client = self.client(sluice, "http")
        self.assert_sent(client.send("traces", otlp.spans(range(3))))
        to.script(Reply(404))
        answer = client.send("traces", otlp.spans(range(3)))
        self.assertFalse(answer.ok or answer.retryable, answer)


class Dead(EndToEnd):
    """Nobody listens."""

    def test_data_waits_for_a_destination_that_comes_up_later(self):
        second_grpc, second_http = endpoint(), endpoint()
        late = {"receivers": {"otlp": {"protocols": {"grpc": {"endpoint": second_grpc},
                                                     "http": {"endpoint": second_http}}}}}
        exporters = {"otlp": {"endpoint": second_grpc, "tls": {"insecure": True},
                              "retry_on_failure": QUICK},
                     "otlphttp": {"endpoint": f"http://{second_http}", "retry_on_failure": QUICK}}
        first = self.sluice(self.config(
            self.all_signals(exporters=list(exporters)), exporters), name="first")
        client = self.client(first, "grpc")
        for signal, make in otlp.MAKE.items():
            self.assert_sent(client.send(signal, make(range(20))))
        first.wait_log("Will retry", 6)
        second = self.sluice(self.config(
            {s: pipeline(exporters=f"file/{s}") for s in otlp.MAKE},
            {f"file/{s}": {"path": str(self.file(f"{s}.proto")), "format": "proto"} for s in otlp.MAKE},
            **late), name="second")
        first.wait_metrics(lambda p: p.sum("sluice_held_items") == 0, "everything to leave", 20)
        self.finish(first)
        self.finish(second)
        for signal, make in otlp.MAKE.items():
            self.assertEqual(otlp.read_frames(self.file(f"{signal}.proto")), [make(range(20))] * 2)


if __name__ == "__main__":
    unittest.main()
