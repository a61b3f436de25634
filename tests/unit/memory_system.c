/* What the system grants and what the process uses: cgroup v1 and v2 from files made up here. */
#include "pipeline/memory/system.h"

#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1024 * 1024 };

static char root[] = "/tmp/sluice-system-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
    (void)st, (void)what, (void)ftw;
    return remove(path);
}

static void put(const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
}

static int begin(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/sluice-system-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static uint64_t of_machine(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void no_cgroup(void **state)
{
    (void)state;
    assert_int_equal(system_memory_granted(root), of_machine());
    put("/proc/self/cgroup", "\n:\n0:\n5:cpu:/x\nnonsense");
    assert_int_equal(system_memory_granted(root), of_machine());
}

static void version_2(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/system.slice/sluice.service\n");
    put("/sys/fs/cgroup/system.slice/sluice.service/memory.max", "20971520\n");
    assert_int_equal(system_memory_granted(root), 20 * MIB);
    put("/sys/fs/cgroup/system.slice/memory.max", "10485760\n"); /* one above grants less */
    assert_int_equal(system_memory_granted(root), 10 * MIB);
    put("/sys/fs/cgroup/system.slice/memory.max", "max\n");
    put("/sys/fs/cgroup/system.slice/sluice.service/memory.max", "max\n");
    assert_int_equal(system_memory_granted(root), of_machine());
}

/* In a container the group is the root, or has the host's name, which leads nowhere. */
static void in_a_container(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "31457280\n");
    assert_int_equal(system_memory_granted(root), 30 * MIB);
    put("/proc/self/cgroup", "0::/../../docker/0123456789abcdef\n");
    assert_int_equal(system_memory_granted(root), 30 * MIB);
}

static void version_1(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "11:cpu,cpuacct:/a\n4:hugetlb,memory:/a/b\n1:name=systemd:/a\n0::/\n");
    put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "41943040\n");
    assert_int_equal(system_memory_granted(root), 40 * MIB);
    put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
    assert_int_equal(system_memory_granted(root), of_machine());
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "52428800\n");
    assert_int_equal(system_memory_granted(root), 50 * MIB);
}

static void used(void **state)
{
    enum { MANY = 64 * MIB };
    (void)state;
    const uint64_t before = system_memory_used();
    assert_true(before > 0);
    char *at = mmap(NULL, MANY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(at != MAP_FAILED);
    memset(at, 1, MANY);
    const uint64_t with = system_memory_used();
    munmap(at, MANY);
    assert_in_range(with - before, MANY - 8 * MIB, MANY + 8 * MIB);
    assert_true(system_memory_used() < before + 8 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_cgroup, begin, end),
        cmocka_unit_test_setup_teardown(version_2, begin, end),
        cmocka_unit_test_setup_teardown(in_a_container, begin, end),
        cmocka_unit_test_setup_teardown(version_1, begin, end),
        cmocka_unit_test(used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
