"""Reloads under load: nothing that was acknowledged is lost, nothing is invented, senders hear at most
answers that let them come again, a broken config changes nothing, and nothing grows."""
import json
import os
import signal
import threading
import unittest
import urllib.error
import urllib.request

from harness import otlp
from harness.case import EndToEnd, otlp_receiver, pipeline
from harness.process import NOTHING_LEFT, SANITIZERS
from harness.send import Load
from harness.waiting import endpoint, wait_until

QUICK = {"initial_interval": "50ms", "max_interval": "100ms", "randomization_factor": 0}
DONE = r"Configuration (not )?reloaded"
DRAINED = r"reloaded in"


class Reload(EndToEnd):
    def write(self, sluice, config):
        """In place of the config that it was started with."""
        new = sluice.path.with_suffix(".new")
        new.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))
        new.rename(sluice.path)

    def reload(self, sluice, config, works=True):
        """Returns the line that tells the outcome."""
        before = len(sluice.find(DONE))
        self.write(sluice, config)
        sluice.signal(signal.SIGHUP)
        line = sluice.wait_log(DONE, before + 1)[-1]
        self.assertEqual("not reloaded" not in line.text, works, sluice.log())
        if works:
            sluice.config = config
        return line

    def kept(self, line):
        return [int(n) for n in line.text.split(": ")[1].split() if n.isdigit()]

    def base(self, path, **more):
        return self.config({"traces": pipeline(processors=["batch"])},
                           {"file": {"path": str(path), "format": "proto"}},
                           processors={"batch": {"timeout": "100ms"}}, **more)

    # ---- what stays ----

    def test_what_has_not_changed_stays(self):
        """A connection, a batch that waits and the counters outlive a reload of everything else."""
        path = self.file("out.proto")
        config = self.base(path)
        config["processors"]["batch"] = {"timeout": "60s"}
        sluice = self.sluice(config)
        client = self.client(sluice, "http")
        self.assert_sent(client.send("traces", otlp.spans(range(10))))
        config = json.loads(json.dumps(config))
        config["exporters"]["nop"] = {}
        config["processors"]["batch/b"] = {"timeout": "1ms"}
        config["service"]["pipelines"]["traces"] = pipeline(processors=["batch", "batch/b"],
                                                            exporters=["file", "nop"])
        self.assertEqual(self.kept(self.reload(sluice, config)), [3, 2, 0])
        self.assert_sent(client.send("traces", otlp.spans(range(10, 20))))
        page = sluice.wait_metrics(lambda p: p.sum("otelcol_receiver_accepted_spans") == 20,
                                   "the counter to go on")
        self.assertEqual(page.sum("sluice_held_items", component="batch"), 20)
        self.assertEqual(page.sum("sluice_config_reloads_total", result="ok"), 1)
        self.assertGreater(page.sum("sluice_config_last_reload_success_timestamp_seconds"), 0)
        self.assertEqual(sluice.stop(), 0)
        self.check_log(sluice)
        self.assertEqual(sorted(otlp.seqs("traces", *otlp.read_frames(path))), list(range(20)))

    def test_a_listener_stays_when_other_keys_change(self):
        """No connection is refused while the receiver is made anew, and another address is taken."""
        path = self.file("out.proto")
        config = self.base(path)
        sluice = self.sluice(config)
        load = Load([self.client(sluice, "http"), self.client(sluice, "grpc")], otlp.spans).start()
        for i in range(10):
            config = json.loads(json.dumps(config))
            protocols = config["receivers"]["otlp"]["protocols"]
            protocols["http"]["max_request_body_size"] = 1_000_000 + i
            before = len(load.acknowledged)
            self.reload(sluice, config)
            wait_until(lambda: len(load.acknowledged) > before + 100, "acknowledgements", 30)
        load.stop()
        self.assertEqual(load.odd, [])
        self.assertFalse([e for e in load.lost if "Refused" in e], load.lost)
        port = protocols["http"]["endpoint"].rsplit(":", 1)[1]
        protocols["http"]["endpoint"] = f"0.0.0.0:{port}"
        self.reload(sluice, json.loads(json.dumps(config)))
        self.assertEqual(sluice.stop(), 0, sluice.log())
        arrived = otlp.seqs("traces", *otlp.read_frames(path))
        self.assertEqual(load.acknowledged - set(arrived), set(), "acknowledged, and lost")

    def test_a_file_goes_on_where_it_was(self):
        """An exporter that empties its file when the process starts does not do so in a reload."""
        path = self.file("out.proto")
        config = self.config({"traces": pipeline()}, {"file": {"path": str(path), "format": "proto"}})
        sluice = self.sluice(config)
        load = Load([self.client(sluice, "http") for _ in range(2)], otlp.spans).start()
        for i in range(5):
            config = json.loads(json.dumps(config))
            config["exporters"]["file"]["flush_interval"] = f"{i + 2}s"
            before = len(load.acknowledged)
            self.reload(sluice, config)
            wait_until(lambda: len(load.acknowledged) > before + 100, "acknowledgements", 30)
        load.stop()
        self.assertEqual(load.odd, [])
        self.assertEqual(sluice.stop(), 0, sluice.log())
        arrived = otlp.seqs("traces", *otlp.read_frames(path))
        self.assertEqual(load.acknowledged - set(arrived), set(), "acknowledged, and lost")

    def test_a_corrected_endpoint_loses_nothing(self):
        """The queue goes over to the exporter that takes the place of the one before."""
        to = self.http_destination()
        config = self.config({"traces": pipeline(exporters="otlphttp")},
                             {"otlphttp": {"endpoint": f"http://{endpoint()}",
                                           "retry_on_failure": QUICK}})
        sluice = self.sluice(config)
        client = self.client(sluice, "http")
        for i in range(30):
            self.assert_sent(client.send("traces", otlp.spans(range(i * 10, i * 10 + 10))))
        config = json.loads(json.dumps(config))
        config["exporters"]["otlphttp"]["endpoint"] = to.endpoint
        self.reload(sluice, config)
        wait_until(lambda: len(set(otlp.seqs("traces", *to.bodies("traces")))) == 300,
                   "the queue to leave", 30)
        self.assertEqual(sluice.stop(), 0, sluice.log())

    # ---- what goes ----

    def test_an_exporter_that_goes_with_its_queue(self):
        """What does not leave in time is said, counted, and no reason to end with an error."""
        config = self.config({"traces": pipeline(exporters="otlphttp")},
                             {"otlphttp": {"endpoint": f"http://{endpoint()}",
                                           "retry_on_failure": QUICK}},
                             service={"shutdown": {"timeout": "300ms"}})
        sluice = self.sluice(config)
        self.expect_errors(sluice, "Exporting failed")
        client = self.client(sluice, "http")
        for i in range(5):
            self.assert_sent(client.send("traces", otlp.spans(range(i * 10, i * 10 + 10))))
        config = json.loads(json.dumps(config))
        config["exporters"] = {"nop": {}}
        config["service"]["pipelines"]["traces"]["exporters"] = ["nop"]
        self.reload(sluice, config)
        sluice.wait_log(r"did not drain in time. 50 items were left")
        page = sluice.wait_metrics(
            lambda p: p.sum("sluice_config_reload_items_left_total") == 50, "the count")
        self.assertEqual(page.sum("sluice_held_items", component="otlphttp"), 0)
        self.assertNotIn('"otlphttp"', str(page))
        self.assertEqual(sluice.stop(), 0, sluice.log())
        self.check_log(sluice)

    def test_the_end_during_a_drain(self):
        config = self.config({"traces": pipeline(exporters="otlphttp")},
                             {"otlphttp": {"endpoint": f"http://{endpoint()}",
                                           "retry_on_failure": QUICK}},
                             service={"shutdown": {"timeout": "1s"}})
        sluice = self.sluice(config)
        self.expect_errors(sluice, "Exporting failed")
        self.assert_sent(self.client(sluice, "http").send("traces", otlp.spans(range(10))))
        config = json.loads(json.dumps(config))
        config["exporters"] = {"nop": {}}
        config["service"]["pipelines"]["traces"]["exporters"] = ["nop"]
        self.reload(sluice, config)
        self.assertEqual(sluice.stop(), 0, sluice.log())
        self.assertTrue(sluice.find("10 items were left"), sluice.log())

    # ---- what is wrong ----

    def test_a_broken_config_changes_nothing(self):
        path = self.file("out.proto")
        config = self.base(path)
        sluice = self.sluice(config)
        self.expect_errors(sluice, r"unknown key|not reloaded|cannot listen|did not find expected")
        other = json.loads(json.dumps(config))
        other["processors"]["batch"]["timeot"] = "1s"
        self.reload(sluice, other, works=False)
        self.assertTrue(sluice.find(r"sluice.yaml:\d+:\d+: unknown key \"timeot\".*timeout"))
        other = json.loads(json.dumps(config))
        other["receivers"]["otlp/b"] = {"protocols": {"http": {"endpoint": sluice.http()}}}
        other["service"]["pipelines"]["traces"]["receivers"].append("otlp/b")
        self.reload(sluice, other, works=False)
        self.assertTrue(sluice.find(r"otlp/b.*cannot listen on .*another component"), sluice.log())
        self.reload(sluice, "receivers: [", works=False)
        self.assert_sent(self.client(sluice, "grpc").send("traces", otlp.spans(range(10))))
        page = sluice.metrics()
        self.assertEqual(page.sum("sluice_config_reloads_total", result="failed"), 3)
        self.write(sluice, config)
        self.finish_empty(sluice)

    def test_health_tells_of_it(self):
        where = endpoint()
        config = self.base(self.file("out.proto"), extensions={"health_check": {"endpoint": where}},
                           service={"extensions": ["health_check"]})
        sluice = self.sluice(config)
        self.expect_errors(sluice, "unknown key|not reloaded")

        def health():
            try:
                with urllib.request.urlopen(f"http://{where}/", timeout=10) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError:
                return None  # it is still starting
        wait_until(health, "health")
        self.assertNotIn("lastReload", health())
        self.reload(sluice, config)
        self.assertEqual(health()["lastReload"]["result"], "ok")
        broken = json.loads(json.dumps(config))
        broken["exporters"]["file"]["paht"] = "x"
        self.reload(sluice, broken, works=False)
        self.assertEqual(health()["lastReload"]["result"], "failed")
        self.assertEqual(health()["status"], "Server available")
        self.finish_empty(sluice)

    def test_watched_files(self):
        path = self.file("out.proto")
        part = self.file("part.yaml")
        part.write_text("timeout: 1s\n")
        config = self.base(path)
        config["processors"]["batch"] = "${file:%s}" % part
        sluice = self.sluice(config, args=["--watch"])
        part.write_text("timeout: 2s\n")
        sluice.wait_log("reloaded in .*: 2 components kept, 1 made, 1 removed")
        config["exporters"]["nop"] = {}
        config["service"]["pipelines"]["traces"]["exporters"].append("nop")
        self.write(sluice, config)
        sluice.wait_log("reloaded in .*: 3 components kept, 1 made, 0 removed")
        sluice.config = config
        self.finish_empty(sluice)

    def test_watched_files_in_a_busy_folder(self):
        """Another file of the folder is written without a pause, as an exporter would."""
        config = self.base(self.file("out.proto"))
        sluice = self.sluice(config, args=["--watch"])
        over, noise = threading.Event(), self.file("noise")

        def write():
            while not over.wait(0.02):
                noise.write_text("x")
        writer = threading.Thread(target=write)
        writer.start()
        try:
            config["processors"]["batch"] = {"timeout": "2s"}
            self.write(sluice, config)
            sluice.wait_log("reloaded in .*: 2 components kept, 1 made, 1 removed")
        finally:
            over.set()
            writer.join()
        sluice.config = config
        self.finish_empty(sluice)

    # ---- again and again ----

    def shapes(self, files):
        """Configs that change ports, processors, exporters and pipelines, and broken ones between."""
        common = {"receivers": {"otlp": otlp_receiver(), "otlp/b": otlp_receiver()},
                  "connectors": {"forward": {}}}
        telemetry = self.config({}, {})["service"]["telemetry"]
        beside = [endpoint() for _ in range(3)]

        def shape(n):
            protocols = {"http": {"endpoint": beside[n % 3]}} if n % 4 else None
            exporters = {f"file/{i}": {"path": str(files[i]), "format": "proto", "append": True}
                         for i in range(2)}
            exporters["nop"] = {}
            pipelines = {"traces": pipeline(
                receivers=["otlp"] + (["otlp/b"] if protocols else []),
                processors=[["batch"], ["batch", "batch/b"], ["batch/b", "batch"], []][n % 4],
                exporters=[["file/0"], ["file/0", "nop"], ["file/0", "file/1"], ["forward"]][n // 4 % 4],
                lanes=1 + n // 16 % 2)}
            if n // 4 % 4 == 3:
                pipelines["traces/behind"] = pipeline(
                    receivers=["forward"], processors=["batch/b"] if n % 2 else [],
                    exporters=["file/0"])
            receivers = {"otlp": common["receivers"]["otlp"]}
            if protocols:
                receivers["otlp/b"] = {"protocols": protocols}
            config = {"receivers": receivers, "connectors": common["connectors"],
                      "processors": {"batch": {"timeout": f"{20 + n % 3}ms"},
                                     "batch/b": {"timeout": "10ms", "send_batch_size": 50}},
                      "exporters": exporters,
                      "service": {"telemetry": telemetry, "pipelines": pipelines}}
            if n % 5 == 4:
                config["exporters"]["file/0"]["no_such_key"] = 1
            return config, n % 5 != 4
        return shape

    def counts(self, sluice):
        return (len(os.listdir(f"/proc/{sluice.pid}/fd")), len(os.listdir(f"/proc/{sluice.pid}/task")),
                sluice.memory("VmRSS"))

    def test_a_hundred_times_under_load(self):
        files = [self.file("0.proto"), self.file("1.proto")]
        shape = self.shapes(files)
        sluice = self.sluice(shape(0)[0])
        self.expect_errors(sluice, "no_such_key|not reloaded")
        load = Load([self.client(sluice, t) for t in ("http", "grpc", "http", "grpc")],
                    otlp.spans).start()
        at = {}
        for n in range(1, 121):
            config, works = shape(n)
            before = len(load.acknowledged)
            self.reload(sluice, config, works)
            wait_until(lambda: len(load.acknowledged) > before + 20,
                       lambda: f"acknowledgements; the log:\n{sluice.log()}", 30)
            if n in (56, 120):  # the same shape, 64 reloads apart
                at[n] = self.counts(sluice)
        load.stop()
        self.assertEqual(load.odd, [])
        self.assertFalse([e for e in load.lost if "Refused" in e], load.lost)
        self.assertEqual(sluice.stop(), 0, sluice.log())
        self.check_log(sluice)
        self.assertIn(NOTHING_LEFT, sluice.lines[-1].text)
        arrived = set(otlp.seqs("traces", *otlp.read_frames(files[0])))
        self.assertEqual(load.acknowledged - arrived, set(), "acknowledged, and lost")
        sent = {seq for first in range(4) for seq in range(first * Load.STEP, (first + 1) * Load.STEP)}
        self.assertEqual(arrived - sent, set(), "invented")
        fds, threads, memory = (after - before for before, after in zip(at[56], at[120]))
        self.assertLessEqual(fds, 4)
        self.assertLessEqual(threads, 4)
        if not SANITIZERS:  # which keep what is freed; they look for leaks themselves
            self.assertLess(memory, 24 << 20)


if __name__ == "__main__":
    unittest.main()
