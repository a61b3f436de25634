"""The commands over stored traces: what `sluice convert` writes, and what `sluice inspect` says of it."""
import struct

from harness import otlp
from harness.case import EndToEnd
from harness.process import command


def spans(requests):
    """The spans under their resources and scopes, as sortable bytes."""
    return sorted(otlp.canonical(r.resource) + r.schema_url.encode() + otlp.canonical(s.scope) + s.schema_url.encode()
                  + otlp.canonical(span)
                  for data in requests for r in otlp.parse("traces", data).resource_spans
                  for s in r.scope_spans for span in s.spans)


class Storage(EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.requests = otlp.recorded("traces")

    def recorded(self):
        path = self.file("in.otlp")
        path.write_bytes(b"".join(struct.pack(">I", len(data)) + data for data in self.requests))
        return path

    def convert(self, *args):
        done = command("convert", *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def refused(self, code, *args):
        done = command(*args)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def test_all_forms_hold_the_same(self):
        source = self.recorded()
        forms = [self.file(name) for name in ("a.sluice", "b.otlp", "c.sluice", "d.json", "e.sluice", "f.otlp")]
        for a, b in zip([source] + forms, forms):
            self.convert(a, b)
        expected = spans(self.requests)
        self.assertEqual(spans(otlp.read_frames(forms[1])), expected)
        self.assertEqual(spans(otlp.read_frames(forms[5])), expected)
        self.assertLess(forms[0].stat().st_size * 6, source.stat().st_size)

    def test_the_name_may_say_nothing(self):
        source = self.recorded().rename(self.file("in"))
        out = self.file("out")
        self.assertIn("--input-format", self.refused(2, "convert", source, out))
        self.convert("--input-format", "otlp", "--output-format", "sluice", source, out)
        self.assertEqual(out.read_bytes()[:4], b"SLTB")

    def test_many_blocks(self):
        source, out, back = self.recorded(), self.file("out.sluice"), self.file("back.otlp")
        self.convert("--block", "1", "--level", "3", source, out)
        said = command("inspect", out).stdout
        self.assertGreater(said.count("\nblock "), 0)
        self.assertNotIn("not closed", said)
        self.convert(out, back)
        self.assertEqual(spans(otlp.read_frames(back)), spans(self.requests))

    def test_what_is_left_out_is_said(self):
        source, out, back = self.recorded(), self.file("out.sluice"), self.file("back.otlp")
        self.convert("--ids", "derive", "--time", "ms", source, out)
        self.assertIn("span ids are derived, times cut to milliseconds", command("inspect", out).stdout)
        self.convert(out, back)
        found = [s for data in otlp.read_frames(back) for s in otlp.each_item("traces", otlp.parse("traces", data))]
        self.assertTrue(all(s.start_time_unix_nano % 1000000 == 0 for s in found))
        ids = {(s.trace_id, s.span_id) for s in found}
        sent = [s for data in self.requests for s in otlp.each_item("traces", otlp.parse("traces", data))]
        sent_ids = {(s.trace_id, s.span_id) for s in sent}
        self.assertEqual(sum((s.trace_id, s.parent_span_id) in ids for s in found),
                         sum((s.trace_id, s.parent_span_id) in sent_ids for s in sent))

    def test_columns(self):
        out = self.file("out.sluice")
        self.convert(self.recorded(), out)
        said = command("inspect", "--columns", out).stdout
        for column in ("span and parent ids", "starts", "ends", "trace ids"):
            self.assertRegex(said, rf"(?m)^{column} +\d+ +\d+")

    def test_a_file_that_was_not_closed_is_read_up_to_its_last_whole_block(self):
        source, out, back = self.recorded(), self.file("out.sluice"), self.file("back.otlp")
        self.convert(source, out)
        block = out.read_bytes()
        footer = struct.unpack("<Q", block[-16:-8])[0]
        blocks = block[:-footer]
        for cut in (0, 1, 50, len(blocks) - 1):  # of a second copy
            out.write_bytes(blocks + blocks[:cut])
            self.assertIn("not closed", command("inspect", out).stdout)
            self.convert(out, back)
            self.assertEqual(spans(otlp.read_frames(back)), spans(self.requests))

    def test_damage_is_said_with_its_place(self):
        source, out = self.recorded(), self.file("out.sluice")
        self.convert(source, out)
        data = bytearray(out.read_bytes())
        data[len(data) // 2] ^= 1
        out.write_bytes(data)
        said = self.refused(1, "convert", out, self.file("back.otlp"))
        self.assertRegex(said, r"out\.sluice: at byte 0: trace block: the [a-z ]+ at byte \d+ are damaged")
        self.assertFalse(self.file("back.otlp").exists())

    def test_bad_input_is_refused(self):
        cut, broken, none = self.file("cut.otlp"), self.file("broken.json"), self.file("none.sluice")
        cut.write_bytes(self.recorded().read_bytes()[:-3])
        broken.write_text('{"resourceSpans": [}\n')
        none.write_bytes(b"no block, for sure")
        out = self.file("out.sluice")
        self.assertIn("cut off", self.refused(1, "convert", cut, out))
        self.assertIn("broken.json: at byte 0: ", self.refused(1, "convert", broken, out))
        self.assertIn("SLTB", self.refused(1, "convert", none, self.file("x.otlp")))
        self.assertIn("No such file", self.refused(1, "convert", self.file("nothing.otlp"), out))
        self.assertFalse(out.exists())

    def test_usage(self):
        self.assertIn("keep or derive", self.refused(2, "convert", "--ids", "drop", "a.otlp", "b.sluice"))
        self.assertIn("ns, us or ms", self.refused(2, "convert", "--time", "s", "a.otlp", "b.sluice"))
        self.assertIn("unknown option", self.refused(2, "convert", "--what", "x", "a.otlp", "b.sluice"))
        self.refused(2, "convert", "a.otlp")
        self.refused(2, "inspect")
        for name in ("convert", "inspect"):
            done = command(name, "--help")
            self.assertEqual(done.returncode, 0)
            self.assertIn(f"Usage: sluice {name}", done.stdout)
