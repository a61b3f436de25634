#!/usr/bin/env python3
"""otlp_json_back.py JSON_CASES [--seed N] [--count N]: compares the bytes that formats/otlp
reads from JSON with google.protobuf. Texts are google.protobuf's own, for random messages and the
recorded ones of tests/data, in every way that proto3's JSON may be written; and random changes of
single values, which both must refuse or both take."""
import argparse
import base64
import json
import lzma
import random
import struct
import subprocess
import sys
from itertools import islice
from pathlib import Path

from google.protobuf import descriptor, json_format, message_factory

from otlp_json import IDS, POOL, cases, is_object

REFUSED = object()
INTEGERS = {descriptor.FieldDescriptor.CPPTYPE_INT32, descriptor.FieldDescriptor.CPPTYPE_INT64,
            descriptor.FieldDescriptor.CPPTYPE_UINT32, descriptor.FieldDescriptor.CPPTYPE_UINT64}


class Reader:
    """The program that reads our way."""

    def __init__(self, program):
        self._process = subprocess.Popen([program, "back"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, name, text):
        """The wire bytes, or REFUSED and why."""
        for string in (name.encode(), text):
            self._process.stdin.write(struct.pack("<I", len(string)) + string)
        self._process.stdin.flush()
        refused, n = struct.unpack("<BI", self._process.stdout.read(5))
        said = self._process.stdout.read(n)
        return (REFUSED, said.decode("utf-8", "replace")) if refused else (said, None)

    def close(self):
        self._process.stdin.close()
        return self._process.wait()


def message_of(name, wire):
    message = message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))()
    message.ParseFromString(wire)
    return message


def ids_fit(message):
    """Random ids have random lengths; ours are refused unless they are empty or of their own."""
    for field, value in message.ListFields():
        if field.name in IDS and len(value) not in (0, 8 if "span" in field.name else 16):
            message.ClearField(field.name)
        elif is_object(field):
            for item in value if field.is_repeated else (value,):
                ids_fit(item)
    return message


def dress(descriptor_, made, rng):
    """One of the ways in which the same may be written."""
    dressed = {}
    for field in descriptor_.fields:
        if field.json_name not in made:
            if rng.random() < 0.02:
                dressed[field.json_name] = None
            continue
        value = made[field.json_name]
        values = [worn(field, v, rng) for v in value] if field.is_repeated else worn(field, value, rng)
        dressed[rng.choice((field.name, field.json_name, field.json_name))] = values
    if rng.random() < 0.05:
        dressed[rng.choice(("unknown", "traceID", "naïve"))] = rng.choice(
            (None, 1, "\"}", [{}, [[]], {"a": {"b": [1.5e300, True]}}], {"name": []}))
    order = list(dressed.items())
    if rng.random() < 0.3:
        rng.shuffle(order)
    return dict(order)


def worn(field, value, rng):
    """A value, as OTLP has it and in one of its forms."""
    if is_object(field):
        return dress(field.message_type, value, rng)
    if field.name in IDS:
        text = base64.b64decode(value).hex()
        return text.upper() if rng.random() < 0.2 else text
    if field.type == field.TYPE_BYTES:
        if rng.random() < 0.3:
            value = value.replace("+", "-").replace("/", "_")
        return value.rstrip("=") if rng.random() < 0.3 else value
    if field.type == field.TYPE_ENUM:
        names = {v.number: v.name for v in field.enum_type.values}
        return names.get(value, value) if rng.random() < 0.3 else value
    if field.cpp_type in INTEGERS and rng.random() < 0.5:
        return int(value) if isinstance(value, str) else str(value)
    if field.cpp_type == field.CPPTYPE_DOUBLE and not isinstance(value, str) and rng.random() < 0.2:
        return repr(value)
    return value


def written(value, rng):
    return json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, None, 1)),
                      separators=rng.choice(((",", ":"), None))).encode()


def as_google(descriptor_, made):
    """With ids in base64, for google.protobuf; raises ValueError for what is no id."""
    for field in descriptor_.fields:
        for name in {field.name, field.json_name}:
            value = made.get(name)
            if value is None:
                continue
            if field.name in IDS:
                if not isinstance(value, str) or len(value) not in (0, 16 if "span" in field.name else 32):
                    raise ValueError("no id")
                made[name] = base64.b64encode(bytes.fromhex(value)).decode()
            elif is_object(field):
                for item in value if isinstance(value, list) else (value,):
                    if isinstance(item, dict):
                        as_google(field.message_type, item)
    return made


def theirs(name, text):
    message = message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))()
    try:
        made = as_google(message.DESCRIPTOR, json.loads(text))
        json_format.ParseDict(made, message, ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, TypeError):
        return REFUSED
    return message


# Values that take the place of others. Left out is what google.protobuf takes by accident: the letters
# of a text as the keys of an object, python's own texts for numbers, base64 with other things in it;
# and unknown names of enums, which it ignores.
ODD = ("", "x", "12", "-1", "1.0", "1.5", "0x10", "+1", " 1", "NaN", "9223372036854775808", 0, -1, 3, 1.5,
       2.0, 2 ** 31, 2 ** 32, 2 ** 63, 2 ** 64, -2 ** 63, -2 ** 63 - 1, 1e300, [], {}, [[]], [1], ["a"], [{}],
       {"a": 1}, True, False)


def places(descriptor_, made):
    """Every (object, key, field) of a message's scalars and lists."""
    for field in descriptor_.fields:
        for name in {field.name, field.json_name}:
            if made.get(name) is None:
                continue
            yield made, name, field
            if is_object(field):
                value = made[name]
                for item in value if isinstance(value, list) else (value,):
                    yield from places(field.message_type, item)


def odd_case(descriptor_, made, rng):
    """One value becomes another; False where there is none."""
    found = list(places(descriptor_, made))
    if not found:
        return False
    at, name, field = rng.choice(found)
    value = rng.choice(ODD)
    if is_object(field) and value in ([[]], ["a"]) or not field.is_repeated and isinstance(value, (str, list)):
        value = 3
    if field.type == field.TYPE_ENUM and (isinstance(value, bool) or value not in (0, -1, 3, [], {})):
        value = 2
    if field.cpp_type == field.CPPTYPE_DOUBLE and isinstance(value, (str, bool)) and value != "NaN":
        value = "1.5"
    if field.cpp_type in INTEGERS and isinstance(value, (bool, str)):
        value = "12"
    if field.type == field.TYPE_BYTES and field.name not in IDS and isinstance(value, str):
        value = "AAE="
    at[name] = value
    return True


def difference(reader, name, text):
    ours, why = reader.read(name, text)
    expected = theirs(name, text)
    if ours is REFUSED or expected is REFUSED:
        both = ours is REFUSED and expected is REFUSED
        return None if both else f"ours: {why or 'taken'}; theirs: {'taken' if why else 'refused'}"
    found = message_of(name, ours)
    # Their bytes, with each field once and in order, because NaN is unequal to itself.
    same = found.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
    return None if same else f"ours: {found}; theirs: {expected}"


def random_messages(program, seed, count):
    seen = 0
    with subprocess.Popen([program, "random", str(seed), str(count)], stdout=subprocess.PIPE) as process:
        for name, wire, _ in cases(process.stdout):
            yield name, wire
            seen += 1
    if process.returncode != 0 or seen != count:
        raise SystemExit(f"{program} made {seen} of {count} messages")


def recorded_messages():
    for signal, service in (("traces", "trace.v1.ExportTrace"), ("metrics", "metrics.v1.ExportMetrics"),
                            ("logs", "logs.v1.ExportLogs")):
        path = Path(__file__).resolve().parents[1] / "data" / "recorded" / f"{signal}.otlp.xz"
        data, at = lzma.decompress(path.read_bytes()), 0
        while at < len(data):
            (n,) = struct.unpack_from(">I", data, at)
            yield f"opentelemetry.proto.collector.{service}ServiceRequest", data[at + 4:at + 4 + n]
            at += 4 + n


def check(reader, name, wire, rng):
    """Whether google.protobuf took the text of the message, and that of a changed one, if any."""
    message = ids_fit(message_of(name, wire))
    dressed = dress(message.DESCRIPTOR,
                    json_format.MessageToDict(message, use_integers_for_enums=True), rng)
    texts = [written(dressed, rng)]
    if odd_case(message.DESCRIPTOR, dressed, rng):
        texts.append(written(dressed, rng))
    for text in texts:
        found = difference(reader, name, text)
        if found:
            raise SystemExit(f"{name}: {found}\njson {text!r}")
    taken = [theirs(name, text) is not REFUSED for text in texts]
    if not taken[0]:
        raise SystemExit(f"{name}: google.protobuf refuses its own text")
    return taken


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 63))
    arguments.add_argument("--count", type=int, default=2000)
    given = arguments.parse_args()
    print(f"seed {given.seed}", flush=True)
    rng, reader, taken = random.Random(given.seed), Reader(given.program), []
    for name, wire in random_messages(given.program, given.seed, given.count):
        taken += check(reader, name, wire, rng)
    for name, wire in islice(recorded_messages(), 0, None, 3):
        taken += check(reader, name, wire, rng)
    refused = taken.count(False)
    print(f"{len(taken)} texts, {refused} of them refused")
    return 0 if reader.close() == 0 and refused > given.count // 10 else 1


if __name__ == "__main__":
    sys.exit(main())
