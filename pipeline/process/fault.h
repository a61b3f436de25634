/* Fault points: places in which a test kills the process, as a power cut or the kernel would, to see
 * what is left behind. tests/e2e/kill visits each of them.
 *
 *     SLUICE_FAULT=journal.append.after_write:3 sluice run ...
 *
 * kills the process with SIGKILL when that point is reached for the third time (without a number:
 * the first), after one line on stderr. A build without SLUICE_FAULT_POINTS (the CMake option; on
 * where tests are built) has none of it; in others a point that is not asked for costs a load. Any
 * thread, also with locks held: nothing after the point runs.
 *
 * The points. A test compares this list with the calls, so a new one is added here as well:
 *
 *   journal.append.before_write        records are gathered, nothing is written
 *   journal.append.after_write         they are written, not synced, nobody was told
 *   journal.append.before_sync         durability power: before fdatasync
 *   journal.append.after_sync          durability power: synced, nobody was told
 *   journal.append.before_durable      before those who append are told
 *   journal.append.after_durable       after they were told
 *   journal.segment.before_create      before the file of a new segment is made
 *   journal.segment.after_create       it is there, empty
 *   journal.segment.after_allocate     it has its room
 *   journal.segment.after_header       its header is written
 *   journal.segment.before_rename      before a segment gets its name
 *   journal.segment.after_rename       it has its name
 *   journal.segment.before_sync_dir    before the directory is synced
 *   journal.segment.after_sync_dir     it is synced
 *   journal.segment.before_seal        before a full segment is sealed
 *   journal.segment.after_seal         it is sealed, there is no next one yet
 *   journal.segment.before_recycle     before a settled segment becomes a spare one
 *   journal.segment.after_recycle      it is a spare one
 *   journal.segment.before_unlink      before a settled segment is removed
 *   journal.segment.after_unlink       it is gone
 *   journal.settle.before_write        settlements are gathered, not written
 *   journal.settle.after_write         they are written
 *   journal.copy.before_write          before an old record is copied forward
 *   journal.copy.after_write           it is copied, its old segment is still there
 *   journal.note.before_write          before a processor's note is written
 *   journal.note.after_write           it is written, the processor was not told
 *   journal.read.before_take           before a record that waits is read
 *   journal.read.after_take            it was read, and is in somebody's hands
 *   journal.recover.begin              the lock is held, nothing was read
 *   journal.recover.before_scan        before a segment is read
 *   journal.recover.after_scan         it was read
 *   journal.recover.before_quarantine  before damage is moved aside
 *   journal.recover.after_quarantine   it was moved aside
 *   journal.recover.end                all is recovered, nothing new was appended
 *   journal.close.begin                before the last settlements are written
 *   journal.close.end                  after
 *   export.before_send                 a delivery goes to an exporter
 *   export.answered                    its answer is there, nothing is settled
 *   export.settled                     it is settled
 *   export.before_retry                it is to be tried again
 *   reload.before_swap                 the new graph has started, the old one is in force
 *   reload.after_swap                  the new graph is in force
 *   reload.retired                     what was replaced is gone
 *   shutdown.begin                     a signal came, nothing was told to drain
 *   shutdown.drained                   nothing is left, or the deadline came
 *   shutdown.stopped                   all components have stopped
 */
#ifndef SLUICE_PIPELINE_FAULT_H
#define SLUICE_PIPELINE_FAULT_H
#include <stdbool.h>

#ifdef SLUICE_FAULT_POINTS
/* Was a point asked for? Written before main. */
extern bool fault_is_armed;
void fault_reached(const char *name);

static inline void fault_point(const char *name)
{
    if (__builtin_expect(fault_is_armed, false))
        fault_reached(name);
}
#else
static inline void fault_point(const char *name)
{
    (void)name;
}
#endif
#endif
