"""Reads the ledgers of the sender and the destinations (ledger.h) and compares them. A set of spans is
a large integer here, a byte for each: a million spans are compared in milliseconds."""
import mmap
import struct
from dataclasses import dataclass

_COUNTS = struct.Struct("=8Q")
ACKNOWLEDGED = 2
COUNT_MAX = 255  # what a destination counts of one span


class Ledger:
    """Of one program, which may still be writing."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def close(self):
        self._map.close()

    def _count(self, i):
        return _COUNTS.unpack_from(self._map)[i]

    issued = property(lambda self: self._count(0))
    acknowledged = property(lambda self: self._count(1))
    delivered = property(lambda self: self._count(2))
    requests = property(lambda self: self._count(3))
    spoilt = property(lambda self: self._count(4))
    refused = property(lambda self: self._count(5))
    unanswered = property(lambda self: self._count(6))

    def spans(self, first, end):
        """A byte for each of these."""
        return self._map[_COUNTS.size + first:_COUNTS.size + end]


def _those(spans, wanted):
    """The set of those whose byte is wanted."""
    return int.from_bytes(spans.translate(bytes(int(wanted(b)) for b in range(256))), "little")


def _first(those, most=10):
    spans, found = those.to_bytes((those.bit_length() + 7) // 8, "little"), []
    while len(found) < most and (at := spans.find(1, found[-1] + 1 if found else 0)) >= 0:
        found.append(at)
    return found


@dataclass
class Account:
    """What a destination has, held against what the sender was told; in spans."""
    acknowledged: int
    delivered: int  # each counted once
    again: int      # deliveries of one that had been delivered
    lost: int
    first_lost: list
    invented: int
    spoilt: int
    contradicted: int  # spans that were to be dropped and came, and decisions that were made differently again

    def __str__(self):
        lost = f" (the first: {self.first_lost})" if self.lost else ""
        return (f"{self.acknowledged} acknowledged, {self.delivered} delivered, {self.again} again, "
                f"{self.lost} lost{lost}, {self.invented} invented, {self.spoilt} spoilt, "
                f"{self.contradicted} contradicted")


class Decisions:
    """Of the processor that drops groups of spans (sample.c). A loss is none where it has decided so."""
    GROUP, DROP = 64, 2
    _COUNT = struct.Struct("=Q")

    def __init__(self, path):
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def close(self):
        self._map.close()

    @property
    def contradictions(self):
        return self._COUNT.unpack_from(self._map)[0]

    def dropped(self, end):
        """The spans below `end` that it has decided to drop."""
        groups = self._map[self._COUNT.size:self._COUNT.size + end // self.GROUP + 1]
        wanted = (b"\1" if group == self.DROP else b"\0" for group in groups)
        return int.from_bytes(b"".join(one * self.GROUP for one in wanted)[:end], "little")


def account(sender, destination, decisions=None):
    issued = sender.issued
    told, seen = sender.spans(0, issued), destination.spans(0, issued)
    acknowledged, arrived = _those(told, lambda b: b == ACKNOWLEDGED), _those(seen, bool)
    dropped = decisions.dropped(issued) if decisions else 0
    lost = acknowledged & ~arrived & ~dropped
    deliveries = destination.delivered if COUNT_MAX in seen else sum(seen)
    beyond = max(0, destination.delivered - deliveries)  # with numbers that nobody has had
    return Account(acknowledged=acknowledged.bit_count(), delivered=arrived.bit_count(),
                   again=deliveries - arrived.bit_count(), lost=lost.bit_count(),
                   first_lost=_first(lost), spoilt=destination.spoilt,
                   invented=(arrived & ~_those(told, bool)).bit_count() + beyond,
                   contradicted=(arrived & dropped).bit_count() + (decisions.contradictions if decisions else 0))


def passes(sender, destinations, since):
    """Was a span with this number or a higher one acknowledged, and delivered everywhere?"""
    issued = sender.issued
    found = _those(sender.spans(since, issued), lambda b: b == ACKNOWLEDGED)
    for destination in destinations:
        found &= _those(destination.spans(since, issued), bool)
    return found != 0
