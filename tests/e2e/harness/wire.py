"""Protobuf's wire format, byte by byte: cutting requests into records without decoding them, and
putting unknown fields where none are."""
from collections import Counter, namedtuple

from google.protobuf.descriptor import FieldDescriptor

Field = namedtuple("Field", "number type value raw")  # value: of type 2 the bytes inside


def varint(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _read_varint(data, at):
    n = shift = 0
    while True:
        byte = data[at]
        at += 1
        n |= (byte & 0x7f) << shift
        if byte < 0x80:
            return n, at
        shift += 7


def fields(data):
    at = 0
    while at < len(data):
        start = at
        key, at = _read_varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _read_varint(data, at)
        elif kind == 2:
            n, at = _read_varint(data, at)
            value, at = data[at:at + n], at + n
        else:
            n = {1: 8, 5: 4}[kind]
            value, at = data[at:at + n], at + n
        if at > len(data):
            raise ValueError("truncated")
        yield Field(key >> 3, kind, value, data[start:at])


def record(number, inside):
    return varint(number << 3 | 2) + varint(len(inside)) + inside


# ---- items ----

# Levels of a request: the number of the field that goes one level down. What is left at each level
# is the item's head: resource, scope, schema URLs, and whatever is unknown there.
_DATA = (5, 7, 9, 10, 11)  # metric data: points are field 1 of each kind
_DOWN = {"traces": (1, 2, 2), "logs": (1, 2, 2), "metrics": (1, 2, 2, _DATA, 1)}


def _walk(data, down, heads):
    wanted = down[0] if isinstance(down[0], tuple) else (down[0],)
    inner = [f for f in fields(data) if f.number in wanted and f.type == 2]
    head = b"".join(f.raw for f in fields(data) if not (f.number in wanted and f.type == 2))
    for f in inner:
        # of a metric's data the kind matters too
        own = heads + (head, f.number) if len(wanted) > 1 else heads + (head,)
        if len(down) == 1:
            yield own + (f.value,)
        else:
            yield from _walk(f.value, down[1:], own)


def items(signal, *requests):
    """The multiset of a signal's items in these requests; each item with the bytes of its heads. The
    request's own head is left out: a merged request has those of all."""
    return Counter(key[1:] for data in requests for key in _walk(data, _DOWN[signal], ()))


def count(signal, data):
    return sum(items(signal, data).values())


# ---- unknown fields ----

def _unknown(seed):
    """One field of each wire type, with numbers that OTLP has not given out."""
    return (varint(1900 << 3) + varint(seed * 7919 + 1),
            varint(1901 << 3 | 1) + seed.to_bytes(8, "little"),
            record(1902, b"from the future %d \x00\xff" % seed),
            varint(1903 << 3 | 5) + seed.to_bytes(4, "little"))


def with_unknown_fields(descriptor, data, _state=None):
    """The same message with unknown fields at every level, in front, in the middle and behind.
    Returns the bytes; their known fields are as they were."""
    state = _state if _state is not None else [0]
    state[0] += 1
    front, middle, behind, last = _unknown(state[0])
    parts = []
    for f in fields(data):
        known = descriptor.fields_by_number.get(f.number)
        if known is not None and known.type == FieldDescriptor.TYPE_MESSAGE and f.type == 2:
            parts.append(record(f.number, with_unknown_fields(known.message_type, f.value, state)))
        else:
            parts.append(f.raw)
    half = len(parts) // 2
    return front + b"".join(parts[:half]) + middle + b"".join(parts[half:]) + behind + last
