"""What the processors `attributes` and `resource` make of a request, said once more over google.protobuf's
objects: the second opinion for the end-to-end tests. Attributes are lists of KeyValue messages; the order
in which new ones stand is not compared (see canonical)."""
import base64
import hashlib
import hmac
import json
import re
import struct

from opentelemetry.proto.common.v1 import common_pb2

RECORDS = {"traces": "resource_spans", "metrics": "resource_metrics", "logs": "resource_logs"}
SCOPES = {"traces": "scope_spans", "metrics": "scope_metrics", "logs": "scope_logs"}
ITEMS = {"traces": "spans", "metrics": "metrics", "logs": "log_records"}


def each_resource(signal, message):
    return getattr(message, RECORDS[signal])


def each_item(signal, message):
    """(record, scope, metric or None, item)"""
    for record in each_resource(signal, message):
        for scope in getattr(record, SCOPES[signal]):
            for item in getattr(scope, ITEMS[signal]):
                if signal != "metrics":
                    yield record, scope, None, item
                elif item.WhichOneof("data"):
                    for point in getattr(item, item.WhichOneof("data")).data_points:
                        yield record, scope, item, point


def canonical(signal, message):
    """Bytes that are equal where two requests say the same, in whatever order their attributes are."""
    def order(attributes):
        kept = sorted((a.SerializeToString(deterministic=True) for a in attributes))
        del attributes[:]
        for a in kept:
            attributes.add().ParseFromString(a)
    for record in each_resource(signal, message):
        order(record.resource.attributes)
        for scope in getattr(record, SCOPES[signal]):
            order(scope.scope.attributes)
    for _, _, _, item in each_item(signal, message):
        order(item.attributes)
        for event in getattr(item, "events", ()):
            order(event.attributes)
    return message.SerializeToString(deterministic=True)


# ---- values ----

def value_of(python):
    value = common_pb2.AnyValue()
    if isinstance(python, bool):
        value.bool_value = python
    elif isinstance(python, int):
        value.int_value = python
    elif isinstance(python, float):
        value.double_value = python
    elif isinstance(python, list):
        value.array_value.SetInParent()
        for one in python:
            value.array_value.values.add().CopyFrom(value_of(one))
    elif isinstance(python, dict):
        value.kvlist_value.SetInParent()
        for key, one in python.items():
            value.kvlist_value.values.add(key=key).value.CopyFrom(value_of(one))
    else:
        value.string_value = python
    return value


def python_of(value):
    """None, or the plain value; lists and maps stay messages."""
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


def plain_text(value):
    """As the Collector writes it; fractions only where Python writes them alike."""
    kind, python = value.WhichOneof("value"), python_of(value)
    if kind == "kvlist_value":
        return "{" + ",".join(f"{json_text(e.key)}:{_inner(e.value)}" for e in python.values) + "}"
    if kind == "array_value":
        return "[" + ",".join(_inner(v) for v in python.values) + "]"
    if kind == "bytes_value":
        return base64.b64encode(python).decode()
    if isinstance(python, float) and python.is_integer():
        return str(int(python))
    return str(python).lower() if isinstance(python, bool) else str(python)


def json_text(text):
    return json.dumps(text, ensure_ascii=False)


def _inner(value):
    kind = value.WhichOneof("value")
    if kind is None:
        return "null"
    return json_text(plain_text(value)) if kind in ("string_value", "bytes_value") else plain_text(value)


def sha256(value):
    python = python_of(value)
    data = (python.encode() if isinstance(python, str) else
            bytes([python]) if isinstance(python, bool) else
            struct.pack("<q", python) if isinstance(python, int) else
            struct.pack("<d", python) if isinstance(python, float) else b"")
    return hashlib.sha256(data).hexdigest() if data else ""


# ---- actions ----

class Attributes:
    def __init__(self, attributes):
        self.target = attributes
        self.at = list(attributes)

    def get(self, key):
        return next((a.value for a in self.at if a.key == key), None)

    def set(self, key, value):
        new = common_pb2.KeyValue(key=key)
        new.value.CopyFrom(value)
        first = next((i for i, a in enumerate(self.at) if a.key == key), None)
        if first is None:
            self.at.append(new)
        else:
            self.at[first] = new
            self.at = [a for i, a in enumerate(self.at) if i <= first or a.key != key]

    def remove(self, key):
        self.at = [a for a in self.at if a.key != key]

    def done(self):
        # copies: the old ones belong to the list that is emptied
        kept = [common_pb2.KeyValue.FromString(a.SerializeToString()) for a in self.at]
        del self.target[:]
        self.target.extend(kept)


def convert(value, to):
    python = python_of(value)
    if to == "string":
        return value_of(plain_text(value))
    kind = {"int": int, "double": float}[to]
    if isinstance(python, (bool, int, float)):
        return value_of(kind(python))
    if isinstance(python, str) and re.fullmatch(
            r"[+-]?\d+" if to == "int" else r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", python):
        return value_of(kind(python))
    return value


def run_actions(attributes, actions, context=None):
    attrs = Attributes(attributes)
    for a in actions:
        kind, key = a["action"].lower(), a.get("key")
        if kind in ("insert", "update", "upsert"):
            source = (value_of(a["value"]) if "value" in a else
                      attrs.get(a["from_attribute"]) if "from_attribute" in a else
                      value_of((context or {})[a["from_context"]])
                      if a.get("from_context") in (context or {}) else None)
            if source is None and "default_value" in a:
                source = value_of(a["default_value"])
            there = attrs.get(key) is not None
            if source is not None and {"insert": not there, "update": there, "upsert": True}[kind]:
                attrs.set(key, source)
        elif kind in ("delete", "hash"):
            keys = [k.key for k in attrs.at
                    if k.key == key or ("pattern" in a and re.search(a["pattern"], k.key))]
            for k in dict.fromkeys(keys):
                if kind == "delete":
                    attrs.remove(k)
                else:
                    attrs.set(k, value_of(sha256(attrs.get(k))))
        elif kind == "extract":
            value = attrs.get(key)
            found = (value is not None and value.WhichOneof("value") == "string_value"
                     and re.search(a["pattern"], value.string_value))
            for name, text in (found.groupdict(default="") if found else {}).items():
                attrs.set(name, value_of(text))
        elif kind == "convert" and attrs.get(key) is not None:
            attrs.set(key, convert(attrs.get(key), a["converted_type"]))
    attrs.done()


def attributes(signal, data, parse, actions, applies=lambda *_: True, context=None):
    message = parse(signal, data)
    for record, scope, metric, item in each_item(signal, message):
        if applies(record, scope, metric, item):
            run_actions(item.attributes, actions, context)
    return message


def resource(signal, data, parse, actions):
    message = parse(signal, data)
    for record in each_resource(signal, message):
        run_actions(record.resource.attributes, actions)
    return message


# ---- filter ----

def drop(container, unwanted):
    """Removes the messages of a repeated field for which `unwanted` is true. True: none is left of some."""
    there = len(container)
    kept = [m.SerializeToString() for m in container if not unwanted(m)]
    if len(kept) != there:
        del container[:]
        for m in kept:
            container.add().ParseFromString(m)
    return there > 0 and not kept


def filtered(signal, data, parse, unwanted_item, unwanted_event=lambda *_: False,
             unwanted_metric=lambda *_: False):
    """What is left of a request; None: nothing. Each function gets the record, the scope, the metric
    (or None) and the item."""
    message = parse(signal, data)

    def scope_is_empty(record, scope):
        items = getattr(scope, ITEMS[signal])
        if signal == "metrics":
            def metric_goes(metric):
                kind = metric.WhichOneof("data")
                return unwanted_metric(record, scope, metric) or (kind and drop(
                    getattr(metric, kind).data_points,
                    lambda p: unwanted_item(record, scope, metric, p)))
            return drop(items, metric_goes)
        for span in items:
            if signal == "traces":
                drop(span.events, lambda e: unwanted_event(record, scope, span, e))
        return drop(items, lambda i: unwanted_item(record, scope, None, i))

    records = each_resource(signal, message)
    drop(records, lambda r: drop(getattr(r, SCOPES[signal]), lambda s: scope_is_empty(r, s)))
    return message if any(True for _ in each_item(signal, message)) else None


# ---- redaction ----

class Redaction:
    """What the processor `redaction` does, with patterns that Python's `re` reads alike."""

    OWN = [f"redaction.{body}{touch}.{what}" for body in ("", "body.")
           for touch in ("redacted", "masked", "allowed", "ignored") for what in ("keys", "count")]

    def __init__(self, config):
        self.config = config
        self.allowed = set(config.get("allowed_keys", ())) | set(self.OWN)

    def matches(self, key, text):
        return any(re.search(p, text) for p in self.config.get(key, ()))

    def fate(self, key):
        if key in self.config.get("ignored_keys", ()) or self.matches("ignored_key_patterns", key):
            return "ignored"
        if not self.config.get("allow_all_keys") and key not in self.allowed:
            return "redacted"
        return "masked" if self.matches("blocked_key_patterns", key) else "look"

    def hide(self, match):
        kind = self.config.get("hash_function")
        if not kind:
            return "****"
        data, key = match.group(0).encode(), self.config.get("hmac_key", "").encode()
        if kind.startswith("hmac-"):
            return hmac.new(key, data, kind[5:]).hexdigest()
        return hashlib.new({"sha3": "sha3_256"}.get(kind, kind), data).hexdigest()

    def mask(self, text):
        for pattern in self.config.get("blocked_values", ()):
            text = re.sub(pattern, self.hide, text)
        return text

    def mask_all(self, text):
        # Go does not match once more, emptily, where a match has just ended
        return "\n".join(self.hide(re.match(r"(?s).*", line)) for line in text.split("\n"))

    def seen(self, value):
        python = python_of(value)
        if isinstance(python, str):
            return python
        return plain_text(value) if self.config.get("redact_all_types") and python is not None else ""

    def summarize(self, attrs, touched, body=""):
        summary = self.config.get("summary")
        for touch in ("redacted", "masked", "allowed", "ignored"):
            keys = touched.get(touch, [])
            if keys and summary == "debug" and touch != "ignored":
                attrs.set(f"redaction.{body}{touch}.keys", value_of(",".join(sorted(keys))))
            if keys and summary in ("debug", "info"):
                attrs.set(f"redaction.{body}{touch}.count", value_of(len(keys)))

    def attributes(self, attributes, body_touched=None):
        attrs, touched = Attributes(attributes), {}
        for a in list(attrs.at):
            fate, text = self.fate(a.key), self.seen(a.value)
            if fate in ("ignored", "redacted"):
                touched.setdefault(fate, []).append(a.key)
                if fate == "redacted":
                    attrs.remove(a.key)
            elif self.matches("allowed_values", text):
                touched.setdefault("allowed", []).append(a.key)
            else:
                masked = self.mask_all(text) if fate == "masked" else self.mask(text)
                if fate == "masked" or masked != text:
                    touched.setdefault("masked", []).append(a.key)
                    attrs.set(a.key, value_of(masked))
        self.summarize(attrs, touched)
        self.summarize(attrs, body_touched or {}, "body.")
        attrs.done()

    def body(self, value, path, touched, top=True):
        kind = value.WhichOneof("value")
        if kind == "kvlist_value":
            kept = []
            for entry in value.kvlist_value.values:
                inner = entry.key if top else f"{path}.{entry.key}"
                fate = self.fate(entry.key)
                if fate in ("ignored", "redacted", "masked"):
                    touched.setdefault(fate, []).append(inner)
                if fate == "masked":
                    entry.value.CopyFrom(value_of(self.mask_all(entry.value.string_value)))
                elif fate == "look":
                    self.body(entry.value, inner, touched, False)
                if fate != "redacted":
                    kept.append(entry.SerializeToString())
            if len(kept) != len(value.kvlist_value.values):
                del value.kvlist_value.values[:]
                for entry in kept:
                    value.kvlist_value.values.add().ParseFromString(entry)
        elif kind == "array_value":
            for i, inner in enumerate(value.array_value.values):
                self.body(inner, f"[{i}]" if top else f"{path}.[{i}]", touched, False)
        else:
            text = "" if kind is None else plain_text(value)
            if self.matches("allowed_values", text):
                if not top:
                    touched.setdefault("allowed", []).append(path)
            elif self.mask(text) != text:
                touched.setdefault("masked", []).append("body" if top else path)
                value.CopyFrom(value_of(self.mask(text)))

    def request(self, signal, data, parse):
        message = parse(signal, data)
        for record in each_resource(signal, message):
            self.attributes(record.resource.attributes)
            for scope in getattr(record, SCOPES[signal]):
                self.attributes(scope.scope.attributes)
        for _, _, _, item in each_item(signal, message):
            touched = {}
            if signal == "logs" and item.HasField("body"):
                self.body(item.body, "", touched)
            for event in getattr(item, "events", ()):
                self.attributes(event.attributes)
            self.attributes(item.attributes, touched)
        return message
