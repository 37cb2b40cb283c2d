/* For LD_PRELOAD: counts the allocations and locks of a thread between hook_enter and hook_leave.

   It stands in front of glibc's allocator by its public names and reaches it by its own (__libc_malloc…), so that it
   needs no dlsym, which itself allocates. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

static _Thread_local int watched __attribute__((tls_model("initial-exec")));
static _Atomic int64_t allocations, locks;
static int (*real_lock)(pthread_mutex_t *);

__attribute__((constructor)) static void find_lock(void)
{
    real_lock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
}

void hook_enter(void) { watched = 1; }
void hook_leave(void) { watched = 0; }
int64_t hook_allocations(void) { return allocations; }
int64_t hook_locks(void) { return locks; }

static void count(_Atomic int64_t *counter)
{
    if (watched) atomic_fetch_add(counter, 1);
}

void *malloc(size_t size)
{
    count(&allocations);
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    count(&allocations);
    return __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size)
{
    count(&allocations);
    return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size)
{
    count(&allocations);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    void *made = memalign(alignment, size);
    if (!made) return ENOMEM;
    *memory = made;
    return 0;
}

void free(void *memory)
{
    count(&allocations);
    __libc_free(memory);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    count(&locks);
    if (!real_lock) find_lock(); /* called before our constructor */
    return real_lock(mutex);
}
