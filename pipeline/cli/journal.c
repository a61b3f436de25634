/* `sluice journal ls|inspect|verify|export DIR`. */
#include "pipeline/cli/journal.h"
#include "pipeline/journal/envelope.h"
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

struct look {
    struct inspection *inspection;
    const char *directory;
    const char *output;
    uint64_t records, damages;
};

/* The process that has the journal open, 0: none that can be seen. The lock is not tried, as that
 * could refuse the journal to a process that starts at this moment. */
static long process_of(const char *directory)
{
    char path[4096], line[256];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/lock", directory);
    FILE *locks = stat(path, &st) == 0 ? fopen("/proc/locks", "re") : NULL;
    long process = 0;
    while (locks && !process && fgets(line, sizeof line, locks)) {
        long pid;
        unsigned long long inode;
        if (sscanf(line, "%*s FLOCK %*s %*s %ld %*x:%*x:%llu", &pid, &inode) == 2 &&
            inode == st.st_ino)
            process = pid;
    }
    if (locks)
        (void)fclose(locks);
    return process;
}

static void print_time(int64_t ns)
{
    const time_t seconds = (time_t)(ns / 1000000000);
    struct tm tm;
    char text[32];
    if (!gmtime_r(&seconds, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm))
        text[0] = 0;
    (void)printf("%s.%03dZ", text, (int)(ns % 1000000000 / 1000000));
}

static void print_age(int64_t since_ns)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const long long age = now.tv_sec - since_ns / 1000000000;
    if (age < 120)
        (void)printf("%llds", age);
    else if (age < 120 * 60)
        (void)printf("%lldm", age / 60);
    else if (age < 48 * 3600)
        (void)printf("%lldh", age / 3600);
    else
        (void)printf("%lldd", age / 86400);
}

static void print_use(const char *directory)
{
    const long process = process_of(directory);
    if (process)
        (void)printf("  in use by process %ld, which may change what is shown here\n", process);
}

/* ---- ls ---- */

static int list(struct look *l)
{
    struct inspect_totals t;
    inspect_totals(l->inspection, &t);
    (void)printf("%s  %s\n  unsettled: %llu records, %llu items, %llu bytes", l->directory,
                 *t.stream ? t.stream : "(of an unknown stream)", (unsigned long long)t.records,
                 (unsigned long long)t.items, (unsigned long long)t.bytes);
    if (t.records) {
        (void)printf(", the oldest ");
        print_age(t.oldest_ns);
        (void)printf(" old");
    }
    (void)printf("\n  on disk: %u segments, %u spare, %llu bytes\n", t.segments, t.spares,
                 (unsigned long long)t.disk_bytes);
    if (t.quarantined_files)
        (void)printf("  quarantined: %llu files, %llu bytes\n",
                     (unsigned long long)t.quarantined_files,
                     (unsigned long long)t.quarantined_bytes);
    print_use(l->directory);
    return CLI_OK;
}

/* ---- inspect ---- */

static const char *name_of_type(uint8_t type)
{
    static const char *const names[] = {
        [RECORD_DATA] = "data",   [RECORD_COPY] = "copy", [RECORD_SETTLED] = "settled",
        [RECORD_PARTS] = "parts", [RECORD_NOTE] = "note", [RECORD_FORGET] = "forget",
        [RECORD_END] = "end"};
    return type < sizeof names / sizeof *names && names[type] ? names[type] : "?";
}

static void print_segment(const struct inspect_segment *s)
{
    (void)printf("%s  %llu bytes", s->name, (unsigned long long)s->size);
    if (s->head.created_ns) {
        (void)printf(", begun ");
        print_time(s->head.created_ns);
    }
    (void)printf(", %s %llu\n", s->is_sealed ? "sealed at" : "open, until now",
                 (unsigned long long)s->end);
}

static void print_items(struct look *l, const struct inspect_record *r)
{
    const bool unsettled = inspect_is_unsettled(l->inspection, r);
    uint64_t *mask = malloc(((size_t)r->head.items + 63) / 64 * sizeof *mask + 1);
    uint8_t *body = NULL;
    struct envelope envelope;
    if (!mask || inspect_body(l->inspection, r, &body) != SL_OK) {
        (void)printf("  damaged");
    } else {
        if (unsettled)
            (void)printf("  %u of %u open", inspect_open_items(l->inspection, r, body, mask),
                         r->head.items);
        else
            (void)printf("  %s", "settled");
        if (envelope_open(sl_slice(body + r->head.prefix, r->head.bytes - r->head.prefix),
                          &envelope, NULL) == SL_OK)
            (void)printf("  %s, %zu bytes, %u metadata", journal_signal_name(envelope.signal),
                         envelope.payload.n, envelope.n_entries);
    }
    free(body);
    free(mask);
}

static void print_record(void *ctx, const struct inspect_record *r)
{
    struct look *l = ctx;
    if (!l->records++ || r->at == FORMAT_RECORDS_AT)
        print_segment(r->segment);
    (void)printf("%12llu  %-7s  %12llu  %8u bytes  ", (unsigned long long)r->at,
                 name_of_type(r->head.type), (unsigned long long)r->head.seq, r->head.bytes);
    print_time(r->head.arrived_ns);
    if (r->head.type == RECORD_DATA || r->head.type == RECORD_COPY)
        print_items(l, r);
    (void)printf("\n");
}

static void print_damage(void *ctx, const struct inspect_segment *s, uint64_t at, uint64_t bytes,
                         const char *what)
{
    struct look *l = ctx;
    l->damages++;
    (void)printf("%s/%s: damaged at byte %llu, %llu bytes: %s\n", l->directory, s->name,
                 (unsigned long long)at, (unsigned long long)bytes, what);
}

static int inspect(struct look *l)
{
    const struct inspect_visitor print = {.ctx = l, .record = print_record, .damage = print_damage};
    (void)list(l);
    inspect_walk(l->inspection, &print);
    return CLI_OK;
}

/* ---- verify ---- */

static void verify_record(void *ctx, const struct inspect_record *r)
{
    struct look *l = ctx;
    uint8_t *body;
    l->records++;
    if (inspect_body(l->inspection, r, &body) == SL_OK)
        free(body);
    else
        print_damage(l, r->segment, r->at, FORMAT_RECORD_BYTES + r->head.bytes,
                     "the body's checksum is wrong, or it cannot be read");
}

static int verify(struct look *l)
{
    const struct inspect_visitor check = {
        .ctx = l, .record = verify_record, .damage = print_damage};
    inspect_walk(l->inspection, &check);
    (void)printf("%s: %llu records, %llu damaged places\n", l->directory,
                 (unsigned long long)l->records, (unsigned long long)l->damages);
    print_use(l->directory);
    return l->damages ? CLI_FAILED : CLI_OK;
}

/* ---- export ---- */

static int export(struct look *l)
{
    return journal_export(l->inspection, l->directory, l->output);
}

/* ---- the command ---- */

static int look_at(const char *directory, const char *output, int (*action)(struct look *))
{
    struct look l = {.directory = directory, .output = output};
    sl_error error = {.size = sizeof error};
    if (inspect_open(&journal_io_posix, directory, &l.inspection, &error) != SL_OK) {
        (void)fprintf(stderr, "sluice journal: %s\n", error.text);
        return CLI_FAILED;
    }
    const int code = action(&l);
    inspect_close(l.inspection);
    return code;
}

/* The directory, if it is a journal, and those right below it that are. */
static int look_at_all(const char *directory, const char *output, int (*action)(struct look *))
{
    struct dirent **names;
    uint32_t found = 0;
    int code = CLI_OK;
    if (inspect_is_journal(&journal_io_posix, directory))
        return look_at(directory, output, action);
    const int n = scandir(directory, &names, NULL, alphasort);
    if (n < 0) {
        (void)fprintf(stderr, "sluice journal: %s: %m\n", directory);
        return CLI_FAILED;
    }
    for (int i = 0; i < n; i++) {
        char path[4096];
        if (snprintf(path, sizeof path, "%s/%s", directory, names[i]->d_name) < (int)sizeof path &&
            names[i]->d_name[0] != '.' && inspect_is_journal(&journal_io_posix, path)) {
            const int one = look_at(path, output, action);
            code = one ? one : code;
            found++;
        }
        free(names[i]);
    }
    free(names);
    if (found)
        return code;
    (void)fprintf(stderr, "sluice journal: %s: no journal is there, nor in a directory of it\n",
                  directory);
    return CLI_FAILED;
}

int journal_command(const struct cli_command *c, const struct cli_values *v)
{
    static const struct {
        const char *name;
        int (*action)(struct look *);
    } actions[] = {{"ls", list}, {"inspect", inspect}, {"verify", verify}, {"export", export}};
    for (size_t i = 0; v->n_arguments == 2 && i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(v->arguments[0], actions[i].name) != 0)
            continue;
        if (actions[i].action == export && !v->output) {
            (void)fprintf(stderr, "sluice journal export: say where to: --output DIR\n");
            return CLI_USAGE;
        }
        return look_at_all(v->arguments[1], v->output, actions[i].action);
    }
    (void)fprintf(stderr, "sluice journal: it is: sluice journal %s\nTry: sluice journal --help\n",
                  c->arguments);
    return CLI_USAGE;
}
