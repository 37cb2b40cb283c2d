#define _GNU_SOURCE
#include "libjack.h"

#include "jack.h"

#include <dlfcn.h>
#include <pthread.h>

#define LIBRARY "libjack.so.0"

struct rt_libjack rt_libjack;
static bool loaded;

static void say_nothing(const char *text)
{
    (void)text; /* libjack would write to the user's terminal; what matters is in our return values */
}

static void load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    loaded = true;
#define FIND(result, name, arguments)                           \
    *(void **)&rt_libjack.name = dlsym(library, "jack_" #name); \
    if (!rt_libjack.name) loaded = false;
    RT_LIBJACK(FIND)
    if (!loaded) return;
    rt_libjack.set_error_function(say_nothing);
    rt_libjack.set_info_function(say_nothing);
}

bool rt_libjack_load(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return loaded;
}

void rt_jack_quieten(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (!library) return;
    static const char *const names[] = {"jack_set_error_function", "jack_set_info_function"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void (*set)(void (*)(const char *));
        *(void **)&set = dlsym(library, names[i]);
        if (set) set(say_nothing);
    }
    dlclose(library); /* our count of it; whoever loaded it has theirs */
}
