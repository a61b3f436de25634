"""Configurations from the public documentation of the OpenTelemetry Collector, as they stand there: they run
unchanged, or the error names what does not exist in Sluice."""
import json
import re
import shutil
import unittest
from pathlib import Path

import yaml

from harness import certs, schema
from harness.case import EndToEnd
from harness.process import command
from harness.waiting import endpoint, free_port

FILES = Path(__file__).resolve().parents[1] / "data" / "collector-yaml"
INCLUDED = {"exporters.yaml"}

# What is refused, and what the errors say.
REFUSED = {
    # components that Sluice does not have
    "agent-metrics": ['no plugin has the exporter "prometheusremotewrite"'],
    "agent-to-gateway-agent": ['no plugin has the receiver "host_metrics"',
                               'no plugin has the processor "resourcedetection"'],
    "agent-to-gateway-gateway": ['no plugin has the processor "tail_sampling"'],
    "bearertokenauth": ['no plugin has the receiver "hostmetrics"',
                        'unknown key "ca_file" in exporter "otlp/withauth"'],  # it belongs under tls
    "gateway-loadbalancing": ['no plugin has the exporter "loadbalancing"'],
    "site-oauth2": ['no plugin has the extension "oauth2client"'],
    "site-oidc": ['no plugin has the extension "oidc"'],
    "site-processors": ['no plugin has the processor "span"'],
    # abilities
    "health-check": ['cannot read "/path/to/c'],
    "redaction-url-sanitizer": ["url_sanitizer is not supported"],
    "tls-client": ["max_version"],  # gRPC's C core cannot be told
    "tls-tpm": ["trusted platform module"],
    # what the page's reader is to put in; keys that the Collector does not know either
    "filter-include-exclude": ['unknown key "Key".*nearest: "key"'],
    "grpc-client": ['"some-authenticator-extension"'],
    "http-client": ['unknown key "exporter" .*nearest: "exporters"'],
    "http-server": ['"some-authenticator-extension"'],
    "site-tls-server": ['cannot read "/path/to/cert.pem"'],
}
# What runs with a warning, because it does less here.
WARNED = {"telemetry-otlp": "does not send its own metrics"}
ENVIRONMENT = {"MY_POD_IP": "127.0.0.1", "DB_KEY": "db.statement", "OPERATION": "delete",
               "BACKEND_API_KEY": "a-key", "BASIC_AUTH_USERNAME": "user", "BASIC_AUTH_PASSWORD": "password"}


def own_ports(config):
    """The same addresses as those of the config, but such that tests can run side by side."""
    made = {"receivers": {}, "extensions": {}, "service": {"telemetry": {"metrics": {"readers": [
        {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": free_port()}}}}]}}}}
    for name, receiver in config["receivers"].items():
        made["receivers"][name] = {"protocols": {p: {"endpoint": endpoint()} for p in receiver["protocols"]}}
    for name in config["service"].get("extensions") or ():
        if name.split("/")[0] in ("health_check", "zpages"):
            made["extensions"][name] = {"endpoint": endpoint()}
    return made


class CollectorYaml(EndToEnd):
    def setUp(self):
        super().setUp()
        for path in FILES.glob("*.yaml"):
            shutil.copy(path, self.directory)
        authority = certs.Authority(self.directory, "authority")
        made = authority.issue()
        for name in ("file.cert", "server.crt", "client.crt", "client.pem", "ca.crt", "ca.pem", "cert.pem"):
            shutil.copy(made.cert if "ca" not in name else authority.cert, self.file(name))
        for name in ("file.key", "server.key", "client.key", "key.pem", "client-tss2.key"):
            shutil.copy(made.key, self.file(name))
        self.file(".htpasswd").write_text("somebody:something\n")
        self.file("file-containing.token").write_text("a-token\n")

    def names(self):
        return sorted(p.stem for p in FILES.glob("*.yaml") if p.name not in INCLUDED)

    def validate(self, name):
        return command("validate", "--config", f"{name}.yaml", cwd=self.directory, env=ENVIRONMENT)

    def test_they_are_as_many_as_they_should_be(self):
        self.assertGreaterEqual(len(set(self.names()) - set(REFUSED)), 20)
        self.assertLessEqual(set(REFUSED), set(self.names()))
        for path in FILES.glob("*.yaml"):
            self.assertRegex(path.read_text(), r"^# From https://(github\.com/open-telemetry|opentelemetry\.io)/")

    def test_what_runs(self):
        checks = schema.validator()
        for name in self.names():
            if name in REFUSED:
                continue
            with self.subTest(name):
                done = self.validate(name)
                self.assertEqual(done.returncode, 0, done.stderr)
                warnings = re.findall(r"(?:error|warning): (.*)", done.stderr)
                if name in WARNED:
                    self.assertIn(WARNED[name], warnings.pop())
                self.assertEqual(warnings, [])
                text = (FILES / f"{name}.yaml").read_text()
                config = yaml.safe_load(text)
                self.assertEqual(schema.errors(checks, config), [])
                self.file("ports.yaml").write_text(json.dumps(own_ports(config)))
                sluice = self.sluice(text, args=["--config", str(self.file("ports.yaml"))], env=ENVIRONMENT)
                if "pprof" in config["service"].get("extensions", ()):
                    self.assertTrue(sluice.find("The component has no effect in Sluice"), sluice.log())
                self.finish(sluice, ledger=False)

    def test_what_is_refused(self):
        for name, reasons in REFUSED.items():
            with self.subTest(name):
                done = self.validate(name)
                self.assertEqual(done.returncode, 1, done.stderr)
                for reason in reasons:
                    self.assertRegex(done.stderr, rf"{re.escape(name)}\.yaml:\d+:\d+: error: .*{reason}")


if __name__ == "__main__":
    unittest.main()
