/* fsync and fdatasync fail with EIO while the file named by FAIL_FSYNC_WHILE exists: a disk that lies. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int failing(void) {
    const char *while_there = getenv("FAIL_FSYNC_WHILE");
    return while_there && access(while_there, F_OK) == 0;
}

static void tell(void) {
    const char *log = getenv("FAIL_FSYNC_WHILE");
    (void)!truncate(log, sysconf(_SC_PAGESIZE)); /* the judge sees by its size that it bit */
}

int fsync(int fd) {
    if (failing()) { tell(); errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
    if (failing()) { tell(); errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
