"""A reader of journals, written from docs/journal-format.md alone: what the program says of its own files is
held against it."""
import struct
from pathlib import Path

RECORDS_AT = 8192
DATA, COPY, SETTLED, PARTS, NOTE, FORGET, END = range(1, 8)
SIGNALS = {1: "traces", 2: "metrics", 4: "logs", 8: "profiles"}

_TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (0x82F63B78 if _byte & 1 else 0)
    _TABLE.append(_byte)


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Segment:
    """One file. `records`: (type, flags, items, prefix, seq, arrived, body)."""

    def __init__(self, path):
        self.bytes = Path(path).read_bytes()
        for at in (0, 4096):
            head = self.bytes[at:at + 512]
            if head[:8] == b"sluicejl" and \
                    crc32c(head[:12] + head[16:]) == struct.unpack_from("<I", head, 12)[0]:
                break
        else:
            raise ValueError(f"{path}: no head")
        (self.version, _, self.id, self.salt, self.first_seq, self.previous_id, self.previous_end,
         self.previous_salt, self.created, self.size, length) = struct.unpack_from("<IIQQQQQQqQH", head, 8)
        self.stream = head[82:82 + length].decode()
        self.end = len(self.bytes)

    def records(self):
        seed = crc32c(struct.pack("<QQ", self.id, self.salt))
        at = RECORDS_AT
        while at + 40 <= self.end:
            head = self.bytes[at:at + 40]
            crc, body_crc, size, kind, flags, _, items, prefix, seq, arrived = \
                struct.unpack("<IIIBBHIIQq", head)
            if crc32c(head[4:], seed) != crc or at + 40 + size > self.end:
                return
            body = self.bytes[at + 40:at + 40 + size]
            if crc32c(body) != body_crc:
                return
            yield kind, flags, items, prefix, seq, arrived, body
            at += 40 + (size + 7) // 8 * 8


def payload(body):
    """Of a DATA record: (signal, encoding, metadata, payload)."""
    version, head, signal, _, encoding, entries = struct.unpack_from("<6I", body)
    assert version == 1, version
    at = 32 + encoding
    metadata = []
    for _ in range(entries):
        texts = []
        for _ in range(2):
            n, = struct.unpack_from("<I", body, at)
            texts.append(body[at + 4:at + 4 + n].decode())
            at += 4 + n
        metadata.append(tuple(texts))
    assert at == head
    return SIGNALS[signal], body[32:32 + encoding].decode(), metadata, body[head:]


def unsettled(directory):
    """What has not ended, by sequence number: (which items are open, the owner's body)."""
    segments = sorted((Segment(p) for p in Path(directory).glob("????????????????.seg")),
                      key=lambda s: s.id)
    for one, other in zip(segments, segments[1:]):
        if other.previous_id == one.id and other.previous_salt == one.salt:
            one.end = other.previous_end
    found, settled, parts = {}, [], []
    for segment in segments:
        for kind, _, items, prefix, seq, _, body in segment.records():
            if kind in (DATA, COPY):
                mask = [not prefix or bool(body[k // 8] >> k % 8 & 1) for k in range(items)]
                if kind == COPY or seq not in found:
                    found[seq] = (mask, body[prefix:])
            elif kind == SETTLED:
                settled += struct.iter_unpack("<QQ", body)
            elif kind == PARTS:
                parts += ((seq, *part) for part in struct.iter_unpack("<II", body))
    for seq, first, n in parts:
        if seq in found:
            found[seq][0][first:first + n] = [False] * n
    return {seq: (mask, body) for seq, (mask, body) in sorted(found.items())
            if any(mask) and not any(first <= seq < first + n for first, n in settled)}
