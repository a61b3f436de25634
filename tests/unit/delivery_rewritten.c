/* Payloads of which only a part is new: what they may be made of, and what they hold. */
#include "pipeline/delivery/payload.h"
#include "sluice/otlp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct payload_limits limits = {.max_depth = 32};

/* A ResourceLogs with a schema URL and one empty log record. */
static size_t write_record(uint8_t *at, const char *schema_url)
{
    sl_writer w = sl_writer_fixed(at, 64);
    const size_t resource = sl_write_begin(&w, 1);
    const size_t scope = sl_write_begin(&w, 2);
    sl_write_bytes(&w, 2, sl_slice(NULL, 0));
    sl_write_end(&w, scope);
    sl_write_text(&w, 3, schema_url);
    sl_write_end(&w, resource);
    assert_false(w.failed);
    return w.used;
}

static struct payload *old_payload(struct memory *m)
{
    struct payload *p = payload_open(m, 64);
    const size_t n = write_record(p->buffer, "old");
    assert_int_equal(payload_close(p, &limits, n, SL_LOGS, NULL, 0, NULL), SL_OK);
    return p;
}

static void check_texts(struct payload *p, const char *first, const char *second)
{
    sl_view view;
    assert_int_equal(payload_view(p, &view), SL_OK);
    assert_int_equal(view.resources.n, 2);
    assert_true(sl_eq(sl_resource_at(&view, 0)->schema_url, sl_str(first)));
    assert_true(sl_eq(sl_resource_at(&view, 1)->schema_url, sl_str(second)));
}

static void holds_what_it_refers_to(void **state)
{
    struct memory *m = memory_create(0);
    struct payload *old = old_payload(m), *p = payload_open(m, 64);
    const size_t n = write_record(p->buffer, "new");
    const sl_bytes segments[] = {sl_slice(p->buffer, n), old->pub.segments[0]};
    (void)state;
    assert_int_equal(
        payload_close_rewritten(p, old, n, segments, 2, SL_LOGS, 2, SL_PAYLOAD_ALIGNED), SL_OK);
    payload_unref(old);
    assert_int_equal(p->pub.items, 2);
    assert_int_equal(p->pub.bytes, 2 * n);
    check_texts(p, "new", "old");

    /* once more, of its flat form */
    sl_bytes flat;
    struct payload *q = payload_open(m, 1);
    assert_int_equal(payload_flatten(p, &flat), SL_OK);
    assert_int_equal(payload_close_rewritten(q, p, 0, &flat, 1, SL_LOGS, 2, SL_PAYLOAD_ALIGNED),
                     SL_OK);
    payload_unref(p);
    check_texts(q, "new", "old");
    payload_unref(q);
    assert_int_equal(memory_used(m), 0);
    memory_destroy(m);
}

static void refuses_what_lies_elsewhere(void **state)
{
    struct memory *m = memory_create(0);
    struct payload *old = old_payload(m), *p = payload_open(m, 64);
    const size_t n = write_record(p->buffer, "new");
    const uint8_t stray[4] = {0};
    const sl_bytes whole = old->pub.segments[0];
    const sl_bytes wrong[] = {
        sl_slice(stray, sizeof stray),  /* of nobody */
        sl_slice(p->buffer, n + 1),     /* beyond what was written */
        sl_slice(whole.p + 1, whole.n), /* beyond the other's end */
        sl_slice(whole.p, SIZE_MAX),
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(payload_close_rewritten(p, old, n, &wrong[i], 1, SL_LOGS, 1, 0),
                         SL_ERR_INVALID);
    assert_int_equal(payload_close_rewritten(p, NULL, n, &whole, 1, SL_LOGS, 1, 0), SL_ERR_INVALID);
    assert_int_equal(payload_close_rewritten(p, old, p->capacity + 1, &whole, 1, SL_LOGS, 1, 0),
                     SL_ERR_INVALID);
    assert_int_equal(payload_close_rewritten(p, old, n, &whole, 1, SL_LOGS, 1, 0x80),
                     SL_ERR_INVALID);
    /* the caller still owns it, and may close it yet */
    assert_int_equal(payload_close(p, &limits, n, SL_LOGS, NULL, 0, NULL), SL_OK);
    payload_unref(p);
    payload_unref(old);
    assert_int_equal(memory_used(m), 0);
    memory_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_it_refers_to),
        cmocka_unit_test(refuses_what_lies_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
