"""Reads the page that Prometheus reads."""
import http.client
import re

_SERIES = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$')
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


class Page:
    def __init__(self, text):
        self.text = text
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        self.helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.M))
        self.series = []
        for line in text.splitlines():
            if line.startswith("#") or not line:
                continue
            found = _SERIES.match(line)
            if not found:
                raise AssertionError(f"not a line of the Prometheus format: {line!r}")
            name, labels, value = found.groups()
            self.series.append((name, dict(_LABEL.findall(labels or "")), float(value)))

    def all(self, name, **labels):
        return [(l, v) for n, l, v in self.series
                if n == name and all(l.get(k) == want for k, want in labels.items())]

    def sum(self, name, **labels):
        """Of all series with these labels; 0 where there is none. Whole numbers as int."""
        total = sum(value for _, value in self.all(name, **labels))
        return int(total) if total == int(total) else total

    def values(self, name, label):
        """The label's values on the series of this name."""
        return sorted({l[label] for l, _ in self.all(name) if label in l})

    def __str__(self):
        return "\n".join(l for l in self.text.splitlines()
                         if not l.startswith("#") and not l.startswith("otelcol_process_"))


def get(host, port, path="/metrics", method="GET"):
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def scrape(host, port):
    status, _, body = get(host, port)
    if status != 200:
        raise AssertionError(f"the metrics page answered {status}")
    return Page(body.decode("utf-8"))
