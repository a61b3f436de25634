/* What is due: settlements that no append has taken along, segments to be freed, failures to be tried
 * again, age. */
#include "pipeline/journal/log_internal.h"

/* [turn] */
static void do_work(struct journal *j)
{
    sync_heed_failure(j);
    if (j->state == JOURNAL_NO_ROOM || j->state == JOURNAL_FAILED)
        (void)space_ensure(j, FORMAT_RECORD_BYTES, SPACE_FOR_DATA);
    const int32_t flushed = settle_flush(j);
    space_free_heads(j);
    copy_forward(j);
    if (flushed != SL_OK || j->state == JOURNAL_NO_ROOM || j->state == JOURNAL_FAILED)
        log_ask_work(j, RETRY_NS);
}

void journal_work(struct journal *j)
{
    expire_old(j);
    log_enter(j);
    log_take_turn(j);
    j->flush_asked = false;
    do_work(j);
    log_give_turn(j);
    if (j->state == JOURNAL_OK && j->wants_room) {
        j->wants_room = false;
        j->told.room = true;
    }
    log_leave(j);
}
