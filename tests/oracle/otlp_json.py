#!/usr/bin/env python3
"""otlp_json.py JSON_CASES [--seed N] [--count N] [--frames TYPE FILE]: compares the text that
formats/otlp makes of wire bytes with what google.protobuf reads in the same bytes."""
import argparse
import base64
import json
import random
import struct
import subprocess
import sys

from google.protobuf import descriptor, json_format, message_factory, symbol_database
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2  # noqa: F401
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2  # noqa: F401
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: F401

POOL = symbol_database.Default().pool
IDS = ("trace_id", "span_id", "parent_span_id")


def is_object(field):
    return field.type == descriptor.FieldDescriptor.TYPE_MESSAGE


def hex_of(text):
    return base64.b64decode(text).hex()


def hex_ids(message, made):
    """Turns what json_format makes of a message into OTLP's form: with ids in hex."""
    for field in message.fields:
        name = field.json_name
        if field.name in IDS and name in made:
            made[name] = hex_of(made[name])
        elif is_object(field) and name in made:
            for item in made[name] if field.is_repeated else (made[name],):
                hex_ids(field.message_type, item)
    return made


def otlp_form(message, made):
    """As the Collector writes it, too: every object that is neither in a oneof nor repeated is there."""
    return filled(message, hex_ids(message, made))


def filled(message, made):
    for field in message.fields:
        name = field.json_name
        if is_object(field) and field.is_repeated:
            for item in made.get(name, []):
                filled(field.message_type, item)
        elif is_object(field):
            if field.containing_oneof is None:
                made.setdefault(name, {})
            if name in made:
                filled(field.message_type, made[name])
    return made


def unlike(a, b, path="$"):
    """The first place where two parsed texts differ. Numbers compare by value and type: 1 and "1"
    differ, 1 and 1.0 do not."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return f"{path}: keys {sorted(a)} and {sorted(b)}"
        pairs = [(a[key], b[key], f"{path}.{key}") for key in a]
    elif isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return f"{path}: {len(a)} and {len(b)} items"
        pairs = [(x, y, f"{path}[{i}]") for i, (x, y) in enumerate(zip(a, b))]
    else:
        numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (a, b))
        same = a == b and (numbers or type(a) is type(b))
        return None if same else f"{path}: {a!r} and {b!r}"
    return next((found for found in (unlike(*pair) for pair in pairs) if found), None)


def no_repeated_key(pairs):
    keys = [key for key, _ in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError(f"a key comes twice: {keys}")
    return dict(pairs)


def cases(stream):
    def string():
        head = stream.read(4)
        return stream.read(struct.unpack("<I", head)[0]) if head else None

    while (name := string()) is not None:
        yield name.decode(), string(), string()


def check(name, wire, text):
    message = message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))()
    message.ParseFromString(wire)
    theirs = json_format.MessageToDict(message, use_integers_for_enums=True)
    # 64-bit integers are strings, so that every number is exact as a double.
    ours = json.loads(text.decode("utf-8"), object_pairs_hook=no_repeated_key, parse_int=float)
    return unlike(ours, otlp_form(message.DESCRIPTOR, theirs))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 63))
    arguments.add_argument("--count", type=int, default=4000)
    arguments.add_argument("--frames", nargs=2, metavar=("TYPE", "FILE"))
    given = arguments.parse_args()
    if given.frames:
        command, source = [given.program, "frames", given.frames[0]], open(given.frames[1], "rb")
    else:
        print(f"seed {given.seed}")
        command, source = [given.program, "random", str(given.seed), str(given.count)], None
    seen = bytes_in = bytes_out = 0
    with subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE) as process:
        for name, wire, text in cases(process.stdout):
            difference = check(name, wire, text)
            if difference:
                print(f"case {seen}, {name}: {difference}\nwire {wire.hex()}\njson {text!r}")
                process.kill()
                return 1
            seen, bytes_in, bytes_out = seen + 1, bytes_in + len(wire), bytes_out + len(text)
    print(f"{seen} cases, {bytes_in} bytes of protobuf, {bytes_out} bytes of JSON")
    expected = given.frames or seen == given.count
    return 0 if process.returncode == 0 and seen and expected else 1


if __name__ == "__main__":
    sys.exit(main())
