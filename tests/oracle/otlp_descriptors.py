#!/usr/bin/env python3
"""otlp_descriptors.py DUMP: compares the descriptors of formats/otlp/proto, which the program DUMP
prints, with those in the packages opentelemetry-proto and googleapis-common-protos."""
import subprocess
import sys

from google.protobuf import descriptor_pb2
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

# What theirs has and ours leaves out, on purpose: OTLP gives these no meaning.
LEFT_OUT_FIELDS = {
    ("google.rpc.BadRequest.FieldViolation", "reason"),
    ("google.rpc.BadRequest.FieldViolation", "localized_message"),
}
# Files of which ours must have every message and enum.
WHOLE_PACKAGES = ("opentelemetry.proto.",)

ROOTS = (trace_service_pb2, metrics_service_pb2, logs_service_pb2, status_pb2, error_details_pb2)


def files(roots):
    found = {}
    waiting = [root.DESCRIPTOR for root in roots]
    while waiting:
        file = waiting.pop()
        if file.name not in found:
            found[file.name] = file
            waiting += file.dependencies
    return found.values()


def packed(field):
    repeated = field.label == field.LABEL_REPEATED
    scalar = field.type not in (field.TYPE_STRING, field.TYPE_BYTES, field.TYPE_MESSAGE)
    return repeated and scalar and (not field.options.HasField("packed") or field.options.packed)


def facts_of_message(name, message, facts):
    facts.add(("message", name))
    oneofs = {}
    for field in message.field:
        if field.HasField("oneof_index"):
            lowest = oneofs.get(field.oneof_index, field.number)
            oneofs[field.oneof_index] = min(lowest, field.number)
    for field in message.field:
        oneof = oneofs[field.oneof_index] if field.HasField("oneof_index") else 0
        kind = descriptor_pb2.FieldDescriptorProto.Type.Name(field.type)[len("TYPE_"):].lower()
        facts.add(("field", name, str(field.number), field.name,
                   "many" if field.label == field.LABEL_REPEATED else "one", kind,
                   str(int(packed(field))), str(oneof), field.type_name[1:] or "-"))
    for nested in message.nested_type:
        facts_of_message(f"{name}.{nested.name}", nested, facts)
    for enum in message.enum_type:
        facts_of_enum(f"{name}.{enum.name}", enum, facts)


def facts_of_enum(name, enum, facts):
    for value in enum.value:
        facts.add(("enum", name, value.name, str(value.number)))


def facts_of_theirs():
    facts = set()
    for file in files(ROOTS):
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        assert proto.syntax == "proto3" or proto.package == "google.protobuf", proto.name
        for message in proto.message_type:
            facts_of_message(f"{proto.package}.{message.name}", message, facts)
        for enum in proto.enum_type:
            facts_of_enum(f"{proto.package}.{enum.name}", enum, facts)
        for service in proto.service:
            for method in service.method:
                facts.add(("method", f"{proto.package}.{service.name}", method.name,
                           method.input_type[1:], method.output_type[1:]))
    return facts


def main():
    printed = subprocess.run(sys.argv[1:2], check=True, capture_output=True, text=True).stdout
    ours = {tuple(line.split()) for line in printed.splitlines()}
    theirs = facts_of_theirs()
    held = {fact[1] for fact in ours}

    def expected(fact):
        if fact[1] not in held and not fact[1].startswith(WHOLE_PACKAGES):
            return False
        return fact[0] != "field" or (fact[1], fact[3]) not in LEFT_OUT_FIELDS

    theirs = {fact for fact in theirs if expected(fact)}
    for fact in sorted(ours - theirs):
        print("only ours:  ", *fact)
    for fact in sorted(theirs - ours):
        print("only theirs:", *fact)
    fields = sum(fact[0] == "field" for fact in ours)
    messages = sum(fact[0] == "message" for fact in ours)
    print(f"{messages} messages, {fields} fields, {len(ours)} facts")
    # A dump that prints nothing would agree with everything that is left out.
    return 0 if ours == theirs and messages >= 40 and fields >= 150 else 1


if __name__ == "__main__":
    sys.exit(main())
