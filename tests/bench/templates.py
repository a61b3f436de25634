"""The collector's configurations and commands that the benchmarks use."""


def receiver(ports, tls=None):
    """`tls`: files TLS.pem and TLS.key."""
    lines = ["receivers:", "  otlp:", "    protocols:"]
    for kind, port in ports.items():
        lines += [f"      {kind}:", f"        endpoint: 127.0.0.1:{port}"]
        if tls:
            lines += [f"        tls: {{cert_file: {tls}.pem, key_file: {tls}.key}}"]
    return lines


def exporter(kind, sink_port, wait_for_result):
    queue = "{enabled: true, wait_for_result: true}" if wait_for_result else "{enabled: true}"
    retry = "{initial_interval: 200ms, max_interval: 1s}"
    if kind is None:
        return "nop", ["exporters:", "  nop:"]
    if kind == "grpc":
        return "otlp", ["exporters:", "  otlp:", f"    endpoint: 127.0.0.1:{sink_port}",
                        "    tls: {insecure: true}", "    compression: none",
                        f"    sending_queue: {queue}", f"    retry_on_failure: {retry}"]
    return "otlphttp", ["exporters:", "  otlphttp:", f"    endpoint: http://127.0.0.1:{sink_port}",
                        "    compression: none", f"    sending_queue: {queue}",
                        f"    retry_on_failure: {retry}"]


def file_config(ports, signal, keys):
    """OTLP in on `ports`, out to a file with these keys of the exporter; None: nop."""
    lines = receiver(ports) + ["exporters:"]
    lines += ["  nop:"] if keys is None else ["  file:"] + [f"    {k}: {v}" for k, v in keys.items()]
    lines += ["service:", "  telemetry:", "    metrics:", "      level: none", "  pipelines:",
              f"    {signal}:", "      receivers: [otlp]",
              f"      exporters: [{'nop' if keys is None else 'file'}]"]
    return "\n".join(lines) + "\n"


# Processors as the benchmarks configure them, by the name of their case.
PROCESSORS = {
    "attributes": ["  attributes:", "    actions:",
                   "    - {key: deployment.environment, value: production, action: insert}"],
    "attributes-rules": ["  attributes:", "    include:", "      match_type: strict",
                         "      span_kinds: [SPAN_KIND_SERVER, SPAN_KIND_CLIENT, SPAN_KIND_INTERNAL,"
                         " SPAN_KIND_PRODUCER, SPAN_KIND_CONSUMER]", "    actions:",
                         "    - {key: deployment.environment, value: production, action: upsert}"],
    "resource": ["  resource:", "    attributes:",
                 "    - {key: deployment.environment, value: production, action: upsert}"],
    "redaction": ["  redaction:", "    allow_all_keys: true", "    summary: info",
                  "    blocked_values: ['4[0-9]{12}(?:[0-9]{3})?', '[a-z.]+@[a-z.]+\\.[a-z]+']"],
    "filter": ["  filter:", "    error_mode: ignore", "    traces:", "      span:",
               "      - 'attributes[\"http.route\"] == \"/none\" or resource.attributes[\"none\"] != nil'"],
}


def config(kind, ports, sink_port, signal="traces", wait_for_result=True, batch_size=0, lanes=0,
           budget_mib=0, processor=None, tls=None, journal=None):
    """OTLP in on `ports` ({"grpc": port, "http": port}), out by `kind` (None: nop). `journal`: its
    directory, durability and max_bytes."""
    name, exporters = exporter(kind, sink_port, wait_for_result)
    lines = receiver(ports, tls) + exporters
    processors = []
    if batch_size:
        processors = ["batch"]
        lines += ["processors:", "  batch:", f"    send_batch_size: {batch_size}",
                  "    timeout: 200ms"]
    if processor:
        processors = [PROCESSORS[processor][0].strip(" :")]
        lines += ["processors:", *PROCESSORS[processor]]
    if journal:
        lines += ["extensions:", "  file_storage:", f"    directory: {journal[0]}",
                  "    create_directory: true"]
    lines += ["service:"] + (["  extensions: [file_storage]"] if journal else [])
    if budget_mib:
        lines += ["  memory:", f"    limit: {budget_mib}MiB"]
    # the collector's own metrics would need a port of their own for each run
    lines += ["  telemetry:", "    metrics:", "      level: none", "  pipelines:"]
    signals = [signal] if kind else ["traces", "metrics", "logs"]
    for s in signals:
        lines += [f"    {s}:", "      receivers: [otlp]",
                  f"      processors: [{', '.join(processors)}]", f"      exporters: [{name}]"]
        if lanes:
            lines += [f"      lanes: {lanes}"]
        if journal:
            lines += [f"      journal: {{storage: file_storage, durability: {journal[1]}, "
                      f"max_bytes: {journal[2]}}}"]
    return "\n".join(lines) + "\n"


# Telemetry of some 40,000 items. Requests of 1000 items mix all services, as a gateway's do, and
# are all full; small ones hold items of one service instance, as a sidecar's do.
AMOUNT = {
    "traces": ["--traces", "2400", "--attributes", "12", "--span-bytes", "757"],
    "logs": ["medium", "--logs", "40000"],
    "metrics": ["--metrics", "--series", "4000", "--duration", "150s"],
}


def generate_command(generator, path, signal, items):
    """Writes requests of `items` items each, framed as the file exporter does."""
    shape = ["--group", "mixed"] if items >= 1000 else ["--group", "service", "--delay", "0"]
    return [*generator, *AMOUNT[signal], *shape, "--batch", str(items), "--file", path]
