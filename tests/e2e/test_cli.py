"""The command line: what is printed where, and the exit codes that scripts rely on."""
import json
import re
import subprocess
import unittest

from harness import otlp
from harness.case import EndToEnd, pipeline
from harness.process import BINARY, BUILD, command
from harness.waiting import endpoint

BROKEN = """\
receivers:
  otlp:
    protocols:
      grpc:
        endpont: localhost:4317
processors:
  batch:
    send_batch_sise: 100
    timeout: soon
exporters:
  debug:
    verbosity: talkative
  otlphttp:
    endpoint: http://localhost:4318
    sending_queue:
      queue_size: -1
      num_consumer: 2
  nop:
service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [debug, otlphttp]
  telemetri:
    logs:
"""

MINIMAL = """\
receivers:
  otlp:
    protocols: {grpc: , http: }
exporters:
  nop:
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [nop]}
"""


class CommandLine(EndToEnd):
    def write(self, text, name="config.yaml"):
        path = self.file(name)
        path.write_text(text)
        return path

    def run_(self, *args, code=0, **options):
        done = command(*args, **options)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}\n{done.stderr}")
        self.assertNotIn("Sanitizer", done.stderr)
        return done

    def printed(self, *args, **options):
        """The merged config, as a dict."""
        return json.loads(self.run_("print-config", *args, "--format", "json", **options).stdout)


class Validate(CommandLine):
    def test_a_good_config(self):
        done = self.run_("validate", "--config", self.write(MINIMAL))
        self.assertIn("valid", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^pipeline traces +acknowledges \w+ +otlp -> ")
        self.assertRegex(done.stdout, r"(?m)^no journal traces +a crash loses ")
        self.assertNotIn("error", done.stderr)

    def test_all_errors_at_once_with_place_and_nearest_key(self):
        path = self.write(BROKEN)
        for command_ in ("validate", "run"):
            done = self.run_(command_, "--config", path, code=1)
            expected = {
                "5:9": r'unknown key "endpont" .*receiver "otlp" \(nearest: "endpoint"\)',
                "8:5": r'unknown key "send_batch_sise" in processor "batch" \(nearest: "send_batch_size"\)',
                "9:14": r'"timeout" of processor "batch" .*soon',
                "12:16": r'unknown value "talkative" of "verbosity" in exporter "debug"',
                "16:19": r'"sending_queue.queue_size" of exporter "otlphttp"',
                "17:7": r'unknown key "num_consumer" .*\(nearest: "num_consumers"\)',
                "25:3": r'unknown key "telemetri" .*\(nearest: "telemetry"\)'}
            lines = [l for l in done.stderr.splitlines() if ": error: " in l]
            for place, text in expected.items():
                found = [l for l in lines if l.startswith(f"{path}:{place}: ")]
                self.assertEqual(len(found), 1, f"{place} in\n{done.stderr}")
                self.assertRegex(found[0], text)
            self.assertEqual(len(lines), len(expected), done.stderr)
            self.assertIn(f"the configuration has {len(expected)} errors", done.stderr)
            places = [tuple(map(int, l[len(str(path)) + 1:].split(":")[:2])) for l in lines]
            self.assertEqual(places, sorted(places))

    def test_errors_of_components_beside_errors_of_the_service(self):
        path = self.write(BROKEN.replace("processors: [batch]", "processors: [batch, other]").replace(
            "  telemetri:", "    tracez: {receivers: [otlp], exporters: [nop]}\n  telemetri:"))
        done = self.run_("validate", "--config", path, code=1)
        for text in ('"endpont"', '"send_batch_sise"', '"other"', '"tracez"'):
            self.assertIn(text, done.stderr)

    def test_references(self):
        cases = {
            "unknown type": (MINIMAL.replace("nop", "nopp"), r':5:3: error: .*"nopp".*nearest: "nop"'),
            "not defined": (MINIMAL.replace("[nop]", "[nop, file]"), r':8:\d+: error: .*"file"'),
            "no exporter": (MINIMAL.replace("[nop]", "[]"), r":8:\d+: error: "),
            "no pipeline": (MINIMAL.replace("    traces: {receivers: [otlp], exporters: [nop]}", ""),
                            r"error: .*pipelines"),
            "wrong place": (MINIMAL.replace("receivers: [otlp]", "receivers: [nop]"), r":8:\d+: error: "),
            "duplicate key": (MINIMAL.replace("  nop:", "  nop:\n  nop:"), r":6:3: error: .*nop"),
            "no yaml": ("receivers: [", r":\d+:\d+: error: "),
            "a list": ("- a\n", r":1:1: error: "),
            "empty": ("", r"error: "),
            "no protocol": (MINIMAL.replace("{grpc: , http: }", "{}"), r":2:3: error: .*otlp.*grpc"),
            "a wrong reader": (MINIMAL + "  telemetry: {metrics: {readers: []}}", r":9:\d+: error: .*readers")}
        for name, (text, pattern) in cases.items():
            with self.subTest(name):
                done = self.run_("validate", "--config", self.write(text), code=1)
                self.assertRegex(done.stderr, pattern)
                self.assertEqual(done.stdout, "")

    def test_what_has_no_effect_is_said(self):
        text = MINIMAL.replace("{grpc: , http: }", "{grpc: {read_buffer_size: 1024}}")
        done = self.run_("validate", "--config", self.write(text))
        self.assertRegex(done.stderr, r':3:\d+: note: .*read_buffer_size')
        self.assertNotIn("read_buffer_size", self.run_("print-config", "--config", self.file(
            "config.yaml"), "--validate").stderr)

    def test_an_extension_without_effect_is_said(self):
        text = (MINIMAL + "  extensions: [pprof]\n"
                "extensions:\n  pprof: {endpoint: 'localhost:1777', block_profile_fraction: 3}\n")
        done = self.run_("validate", "--config", self.write(text))
        self.assertEqual(len(re.findall("note: ", done.stderr)), 1, done.stderr)
        self.assertRegex(done.stderr, r':\d+:\d+: note: extension "pprof" has no effect in Sluice: In the Collector')
        done = self.run_("validate", "--config", self.write(text.replace("fraction: 3", "fraction: x")), code=1)
        self.assertIn("block_profile_fraction", done.stderr)

    def test_what_is_not_supported_is_refused(self):
        for addition in ("middlewares: [{id: limit}]",):
            text = MINIMAL.replace("nop", "otlphttp").replace(
                "  otlphttp:", f"  otlphttp: {{endpoint: 'http://localhost:1', {addition}}}")
            done = self.run_("validate", "--config", self.write(text), code=1)
            self.assertRegex(done.stderr, r":5:\d+: error: .*not supported")

    def test_a_file_that_is_not_there(self):
        for command_ in ("validate", "run", "print-config"):
            done = self.run_(command_, "--config", self.file("none.yaml"), code=1)
            self.assertIn("none.yaml", done.stderr)
            self.assertIn("No such file", done.stderr)

    def test_hostile_files_are_bounded(self):
        bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12))
        deep = "a: " + "[" * 20000
        for name, text in (("alias bomb", bomb), ("depth", deep), ("size", "# " + "x" * (70 << 20))):
            with self.subTest(name):
                done = self.run_("validate", "--config", self.write(text), code=1)
                self.assertIn("error", done.stderr)


class Sources(CommandLine):
    def test_several_files_are_merged(self):
        a = self.write("processors: {batch: {timeout: 1s, send_batch_size: 10}}\n"
                       "exporters: {nop: , nop/b: }\n"
                       "service: {pipelines: {traces: {receivers: [otlp], processors: [batch], "
                       "exporters: [nop, nop/b]}}}\n", "a.yaml")
        b = self.write("receivers: {otlp: {protocols: {http: }}}\n"
                       "processors: {batch: {timeout: 2s}}\n"
                       "service: {pipelines: {traces: {exporters: [nop/b]}}}\n", "b.yaml")
        merged = self.printed("--config", a, "--config", b, "--set", "processors.batch.send_batch_size=77",
                              "--set=processors.batch.metadata_keys=[x, y]")
        self.assertEqual(merged["processors"]["batch"],
                         {"timeout": "2s", "send_batch_size": 77, "metadata_keys": ["x", "y"]})
        self.assertEqual(merged["service"]["pipelines"]["traces"]["exporters"], ["nop/b"])
        self.assertEqual(merged["service"]["pipelines"]["traces"]["processors"], ["batch"])
        self.run_("validate", "-c", f"file:{a}", "-c", b)
        done = self.run_("validate", "--config", a, "--config", b, "--set", "processors.batch.timout=2s",
                         code=1)
        self.assertRegex(done.stderr, r'--set.*unknown key "timout".*nearest: "timeout"')

    def test_the_plan(self):
        done = self.run_("validate", "--config", self.write(
            "receivers: {otlp: {protocols: {http: }}}\n"
            "processors: {batch: , batch/unused: }\n"
            "connectors: {forward: }\n"
            "exporters: {file: {path: x}, otlphttp: {endpoint: 'http://localhost:1'}}\n"
            "service:\n  pipelines:\n"
            "    traces: {receivers: [otlp], processors: [batch], exporters: [otlphttp, forward]}\n"
            "    traces/behind: {lanes: 2, receivers: [forward], exporters: [file]}\n"
            "    logs/x: {receivers: [otlp], exporters: [file]}\n"))
        self.assertEqual(done.stdout.splitlines(), [
            "The configuration is valid.",
            "pipeline traces         acknowledges taken      otlp -> batch -> otlphttp, forward (traces/behind)",
            "pipeline traces/behind  acknowledges taken      forward -> file  (2 lanes)",
            "pipeline logs/x         acknowledges delivered  otlp -> file",
            "no journal traces         a crash loses what is acknowledged and still in: batch, otlphttp",
            "no journal traces/behind  a crash loses what is acknowledged and still in: the lanes",
            "no journal logs/x         a crash loses nothing that was acknowledged"])
        self.assertIn('"batch/unused" is defined but not used', done.stderr)

    def test_the_plan_says_whom_senders_wait_for(self):
        done = self.run_("validate", "--config", self.write(
            "receivers: {otlp: {protocols: {http: }}}\n"
            "exporters: {file: {path: x}, otlphttp/a: {endpoint: 'http://localhost:1', sending_queue: "
            "{wait_for_result: true}}, otlphttp/b: {endpoint: 'http://localhost:2'}}\n"
            "service:\n  pipelines:\n"
            "    traces: {receivers: [otlp], exporters: [file, otlphttp/a, otlphttp/b]}\n"
            "    traces/beside: {receivers: [otlp], exporters: [otlphttp/b]}\n"
            "    logs: {receivers: [otlp], exporters: [otlphttp/a]}\n"))
        also = "an exporter that waits for results makes senders wait also for: otlphttp/b"
        self.assertEqual([line for line in done.stdout.splitlines() if line.startswith("waits for all")], [
            "waits for all traces         " + also,
            "waits for all traces/beside  " + also])

    def test_substitution(self):
        part = self.write("timeout: 3s\nsend_batch_size: 5\n", "part.yaml")
        text = MINIMAL.replace("exporters:\n  nop:", (
            "processors:\n  batch: ${file:%s}\n  batch/b:\n    send_batch_size: ${env:E2E_SIZE}\n"
            "    timeout: ${env:E2E_UNSET:-7s}\n    metadata_keys: ['$${env:E2E_SIZE}', 'x-${env:E2E_SIZE}']\n"
            "exporters:\n  nop:") % part)
        made = self.printed("--config", self.write(text), env={"E2E_SIZE": "12"})
        self.assertEqual(made["processors"]["batch"], {"timeout": "3s", "send_batch_size": 5})
        self.assertEqual(made["processors"]["batch/b"], {
            "send_batch_size": 12, "timeout": "7s", "metadata_keys": ["${env:E2E_SIZE}", "x-12"]})

    def test_other_sources(self):
        made = self.printed("--config", self.write(MINIMAL), "--config", "yaml:exporters::nop/y: {}")
        self.assertIn("nop/y", made["exporters"])
        made = self.printed("--config", "env:E2E_CONFIG", env={"E2E_CONFIG": MINIMAL})
        self.assertEqual(made["exporters"], {"nop": None})

    def test_an_unset_variable(self):
        text = MINIMAL.replace("nop:", "nop: ${env:E2E_NOT_SET}")
        done = self.run_("validate", "--config", self.write(text))
        self.assertRegex(done.stderr, r":5:\d+: warning: .*E2E_NOT_SET")


class PrintConfig(CommandLine):
    SECRETS = MINIMAL.replace("  nop:", "  nop:\n  otlphttp:\n    endpoint: http://localhost:4318\n"
                              "    headers: {authorization: 'Bearer hunter2', x-key: hunter3}")

    def test_secrets_are_left_out(self):
        path = self.write(self.SECRETS)
        for form in ("yaml", "json"):
            text = self.run_("print-config", "--config", path, "--format", form).stdout
            self.assertNotIn("hunter", text)
            self.assertIn("[REDACTED]", text)
            self.assertIn("authorization", text)
            shown = self.run_("print-config", "--config", path, "--format", form, "--unredacted").stdout
            self.assertIn("Bearer hunter2", shown)

    def test_secrets_are_not_in_errors_or_logs(self):
        path = self.write(self.SECRETS.replace("x-key: hunter3", "x-key: [hunter3]").replace(
            "[nop]", "[otlphttp]"))
        done = self.run_("validate", "--config", path, code=1)
        self.assertNotIn("hunter", done.stderr)

    def test_what_is_printed_means_the_same(self):
        path = self.write(self.SECRETS + "    # a comment\n")
        text = self.run_("print-config", "--config", path, "--unredacted").stdout
        again = self.write(text, "again.yaml")
        self.run_("validate", "--config", again)
        self.assertEqual(self.printed("--config", again, "--unredacted"),
                         self.printed("--config", path, "--unredacted"))

    def test_options(self):
        path = self.write(MINIMAL)
        self.run_("print-config", "--config", path, "--format", "toml", code=2)
        self.run_("print-config", "--config", self.write(BROKEN, "b.yaml"))
        self.run_("print-config", "--config", self.file("b.yaml"), "--validate", code=1)


class Components(CommandLine):
    INSTALLED = {"receivers": {"otlp"}, "processors": {"batch"}, "connectors": {"forward"},
                 "exporters": {"otlp", "otlp_grpc", "otlphttp", "otlp_http", "file", "debug", "nop"},
                 "extensions": {"health_check"}}

    def test_the_list(self):
        text = self.run_("components").stdout
        for section, names in self.INSTALLED.items():
            found = re.search(rf"^{section}:\n((?:  .*\n)+)", text, re.M)
            self.assertTrue(found, section)
            self.assertLessEqual(names, set(re.findall(r"- name: (\S+)", found.group(1))))

    def test_each_is_described(self):
        keys = {"otlp": ["protocols", "endpoint", "max_recv_msg_size_mib", "sending_queue", "retry_on_failure"],
                "batch": ["timeout", "send_batch_size", "default 8192"],
                "file": ["path", "format", "compression"],
                "otlphttp": ["traces_endpoint", "compression", "queue_size", "num_consumers"]}
        for section, names in self.INSTALLED.items():
            for name in names:
                text = self.run_("components", name).stdout
                self.assertRegex(text, rf'(?m)^{section[:-1]} "{name}"|also called: {name}$')
                self.assertRegex(text, r"(?m)^stability: (alpha|beta|stable|development)$")
                for key in keys.get(name, ()):
                    self.assertIn(key, text)
        both = self.run_("components", "otlp").stdout
        self.assertIn('receiver "otlp"', both)
        self.assertIn('exporter "otlp"', both)
        self.assertNotIn('exporter "otlp"', self.run_("components", "receiver:otlp").stdout)

    def test_json_schema(self):
        for name in ("receiver:otlp", "exporter:otlp", "batch", "file", "health_check"):
            schema = json.loads(self.run_("components", name, "--json").stdout)
            self.assertIn("properties", schema)

    def test_unknown(self):
        self.assertIn("bach", self.run_("components", "bach", code=1).stderr)

    def test_another_directory(self):
        self.assertNotIn("otlp", self.run_("components", "--plugins", self.directory).stdout)
        self.run_("components", "--plugins", self.file("none"), code=1)
        done = self.run_("validate", "--plugins", self.directory, "--config", self.write(MINIMAL), code=1)
        self.assertIn("otlp", done.stderr)

    def test_a_directory_that_others_may_write_to(self):
        plugins = self.file("plugins")
        plugins.mkdir()
        (plugins / "nop.so").write_bytes((BUILD / "plugins" / "nop.so").read_bytes())
        (plugins / "nop.so").chmod(0o755)
        self.assertIn("nop", self.run_("components", "--plugins", plugins).stdout)
        plugins.chmod(0o777)
        done = command("validate", "--plugins", plugins, "--config", self.write(
            "receivers: {nop: }\nexporters: {nop: }\n"
            "service: {pipelines: {traces: {receivers: [nop], exporters: [nop]}}}\n"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("writ", done.stderr)


class Installed(CommandLine):
    """An installation works wherever it is put, and needs nothing of the build tree."""

    def test_in_a_folder_of_its_own(self):
        prefix = self.file("prefix")
        done = subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        moved = self.file("moved")
        prefix.rename(moved)
        sluice = moved / "bin" / "sluice"

        def run(*args):
            done = subprocess.run([sluice, *args], capture_output=True, text=True, cwd=moved)
            self.assertEqual(done.returncode, 0, (args, done.stdout, done.stderr))
            return done.stdout
        listed = run("components").replace(str(next(moved.rglob("plugins")).parent), str(BUILD))
        self.assertEqual(sorted(listed.splitlines()), sorted(self.run_("components").stdout.splitlines()))
        run("generate", "--traces", "1", "--file", moved / "traces.otlp")
        self.assertGreater((moved / "traces.otlp").stat().st_size, 100)
        for config in sorted((moved / "share" / "sluice" / "configs").glob("*.yaml")):
            run("validate", "--config", config)
        header = moved / "include" / "sluice" / "plugin.h"
        self.assertIn("SL_PLUGIN", header.read_text())


class Usage(CommandLine):
    COMMANDS = ("run", "validate", "components", "print-config", "generate", "version")

    def test_help(self):
        usage = self.run_("--help").stdout
        for name in self.COMMANDS:
            self.assertIn(f"  {name}", usage)
            text = self.run_(name, "--help").stdout
            self.assertIn(f"sluice {name}", text)
            self.assertIn("--help", text)
        self.assertEqual(self.run_("help").stdout, usage)
        self.assertEqual(self.run_("-h").stdout, usage)
        for name in ("run", "validate", "print-config"):
            self.assertIn("--config", self.run_("help", name).stdout)
        self.assertIn("Exit codes", usage)

    def test_version(self):
        text = self.run_("version").stdout
        self.assertRegex(text, r"^sluice \d+\.\d+\.\d+\n")
        self.assertRegex(text, r"(?m)^plugin ABI \d+\.\d+$")
        for other in ("--version", "-v"):
            self.assertEqual(self.run_(other).stdout, text)

    def test_output_that_is_not_taken(self):
        config = self.write(MINIMAL)
        for args in (("--help",), ("version",), ("components",), ("components", "otlp", "--json"),
                     ("print-config", "--config", config), ("validate", "--config", config)):
            with open("/dev/full", "w") as full:
                done = subprocess.run([BINARY, *args], stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertEqual(done.returncode, 1, args)
            self.assertIn("cannot write to standard output: No space left on device", done.stderr)
        done = self.run_("generate", "--traces", "1", "--file", "/dev/full", code=1)
        self.assertIn("cannot write /dev/full: No space left on device", done.stderr)

    def test_mistakes(self):
        cases = [(), ("frobnicate",), ("run",), ("validate",), ("print-config",), ("run", "--oops"),
                 ("run", "--config"), ("run", "stray"), ("version", "--json"), ("validate", "--config=a", "b"),
                 ("run", "--help=x")]
        for args in cases:
            done = self.run_(*args, code=2)
            self.assertEqual(done.stdout, "", args)
            self.assertTrue(done.stderr, args)
        self.assertIn("--help", self.run_("run", "--oops", code=2).stderr)

    def test_options_alone_mean_run(self):
        done = self.run_("--config", self.file("none.yaml"), code=1)
        self.assertIn("none.yaml", done.stderr)

    def test_feature_gates_are_taken(self):
        done = self.run_("validate", "--feature-gates", "+a.b,-c", "--config", self.write(MINIMAL))
        self.assertIn("feature gates", done.stderr)

    def test_a_plugin_that_cannot_start(self):
        """What only shows when it starts ends the process with 1, and the log says where."""
        sluice = self.sluice(self.config(
            {"traces": pipeline()}, {"file": {"path": "/nonexistent/folder/file"}}), start=False)
        sluice.start(wait=False)
        self.assertEqual(sluice.wait(), 1)
        self.assertTrue(sluice.find('Cannot start: exporter "file".*/nonexistent', "error"), sluice.log())

    def test_set_while_running(self):
        where = endpoint()
        sluice = self.sluice(self.config({"traces": pipeline(exporters="nop")}, {"nop": None}),
                             args=["--set", f"receivers.otlp.protocols.http.endpoint={where}"])
        sluice.config["receivers"]["otlp"]["protocols"]["http"]["endpoint"] = where
        self.assert_sent(self.client(sluice, "http").send("traces", otlp.spans([1])))


if __name__ == "__main__":
    unittest.main()
