"""`sluice journal`: what a killed process had acknowledged is seen, checked and rescued without running a pipeline,
and a reader that was written from the specification alone finds the same."""
import re
import signal
import subprocess
import unittest

from harness import journal, otlp
from harness.case import EndToEnd, pipeline
from harness.process import BUILD, command

PATIENT = {"initial_interval": "300s", "max_interval": "300s"}


class Journal(EndToEnd):
    def run_(self, *args, code=0):
        done = command("journal", *args)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}\n{done.stderr}")
        self.assertNotIn("Sanitizer", done.stderr)
        return done

    def files(self):
        return {p: p.read_bytes() for p in sorted(self.file("journal").rglob("*")) if p.is_file()}

    def running(self, signals=("traces", "logs"), requests=40):
        """A Sluice whose destination is not there, and what it has acknowledged."""
        self.file("journal").mkdir()
        sluice = self.sluice(
            self.config({s: pipeline(exporters="otlphttp") for s in signals},
                        {"otlphttp": {"endpoint": "http://127.0.0.1:1", "retry_on_failure": PATIENT}}),
            args=("--journal", str(self.file("journal"))))
        make = {"traces": otlp.spans, "logs": otlp.records}
        sent = {s: [make[s](range(i * 5, i * 5 + 5)) for i in range(requests)] for s in signals}
        client = self.client(sluice, "http")
        for name, requests in sent.items():
            for request in requests:
                self.assert_sent(client.send(name, request))
        return sluice, sent

    def killed(self, **options):
        sluice, sent = self.running(**options)
        sluice.signal(signal.SIGKILL)
        sluice.process.wait()
        return sent

    def test_what_a_crash_left_is_rescued(self):
        sent = self.killed()
        before = self.files()
        listed = self.run_("ls", self.file("journal")).stdout
        for name in sent:
            self.assertRegex(listed, rf"(?m)^\S+/in-{name}  in {name}\n  unsettled: 40 records, 200 items, ")
        self.assertNotIn("in use", listed)
        inspected = self.run_("inspect", self.file("journal")).stdout
        self.assertEqual(len(re.findall(r"  5 of 5 open  traces, \d+ bytes", inspected)), 40)
        self.assertRegex(self.run_("verify", self.file("journal")).stdout, r"in-traces: \d+ records, 0 damaged places")
        self.run_("export", self.file("journal"), "--output", self.file("out"))
        for name, requests in sent.items():
            rescued = otlp.read_frames(self.file(f"out/in-{name}.{name}.pb"))
            self.assertEqual(rescued, requests)
        self.assertEqual(self.files(), before, "nothing in the journal has changed")
        with self.subTest("the specification's reader"):
            for name, requests in sent.items():
                found = journal.unsettled(self.file(f"journal/in-{name}"))
                self.assertEqual([journal.payload(body)[::3] for _, body in found.values()],
                                 [(name, r) for r in requests])
        with self.subTest("it never writes over what was rescued before"):
            again = self.run_("export", self.file("journal"), "--output", self.file("out"), code=1)
            self.assertIn("File exists", again.stderr)
        with self.subTest("generate sends it"):
            to = self.http_destination()
            done = subprocess.run([BUILD / "sluice", "generate", "--from",
                                   self.file("out/in-traces.traces.pb"), "--to",
                                   to.endpoint], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(sorted(otlp.seqs("traces", *to.bodies("traces"))), list(range(200)))

    def test_while_a_process_has_it_open(self):
        sluice, _ = self.running(requests=3)
        listed = self.run_("ls", self.file("journal/in-traces")).stdout
        self.assertIn("unsettled: 3 records, 15 items", listed)
        self.assertIn(f"in use by process {sluice.pid}", listed)
        self.run_("verify", self.file("journal"))
        sluice.signal(signal.SIGKILL)
        sluice.process.wait()

    def test_damage_costs_the_record_that_was_hit(self):
        sent = self.killed(signals=("traces",))["traces"]
        path = next(self.file("journal/in-traces").glob("*.seg"))
        data = bytearray(path.read_bytes())
        data[data.index(sent[7])] ^= 1
        path.write_bytes(data)
        told = self.run_("verify", self.file("journal"), code=1).stdout
        self.assertRegex(told, rf"{path.name}: damaged at byte \d+, \d+ bytes")
        done = self.run_("export", self.file("journal"), "-o", self.file("out"), code=1)
        self.assertRegex(done.stderr, rf"{path.name}, byte \d+: left out: ")
        self.assertEqual(otlp.read_frames(self.file("out/in-traces.traces.pb")),
                         [r for i, r in enumerate(sent) if i != 7])

    def test_what_is_wrong_is_said(self):
        for args, code, text in (
                (("ls", self.file("nowhere")), 1, "No such file"),
                (("ls", self.directory), 1, "no journal is there"),
                (("look", self.directory), 2, "ls|inspect|verify|export DIR"),
                (("ls",), 2, "ls|inspect|verify|export DIR"),
                (("export", self.directory), 2, "--output DIR")):
            with self.subTest(args):
                self.assertIn(text, self.run_(*args, code=code).stderr)

    def test_a_newer_version_is_not_guessed_at(self):
        self.killed(signals=("traces",), requests=1)
        path = next(self.file("journal/in-traces").glob("*.seg"))
        data = bytearray(path.read_bytes())
        for at in (0, 4096):
            data[at + 8] = 2
            crc = journal.crc32c(data[at:at + 12] + data[at + 16:at + 512])
            data[at + 12:at + 16] = crc.to_bytes(4, "little")
        path.write_bytes(data)
        self.assertIn("newer version", self.run_("ls", self.file("journal"), code=1).stderr)


if __name__ == "__main__":
    unittest.main()
