/* A stand-in for libcuda.so.1: device memory is host memory, a stream does everything at once, and a graph is the list of
   copies that were asked for while it was recorded. FAKE_FAULT=name makes that function fail with code 2. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct { void *to; const void *from; size_t size; } copy;
typedef struct { copy copies[16]; int count; } graph;

static graph *recorded; /* being recorded, or NULL */
static int live;        /* handles and page-locked buffers not yet freed */

static int fault(const char *name)
{
    const char *wanted = getenv("FAKE_FAULT");
    return wanted && strcmp(wanted, name) == 0 ? 2 : 0;
}

#define CHECK() if (fault(__func__)) return 2

int fake_live(void) { return live; }

int cuInit(unsigned flags) { (void)flags; CHECK(); return 0; }
int cuDriverGetVersion(int *version) { *version = 13010; return 0; }
int cuGetErrorString(int code, const char **text) { *text = code == 2 ? "out of memory" : "unknown"; return 0; }
int cuDeviceGetCount(int *count) { *count = getenv("FAKE_NONE") ? 0 : 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 7 + ordinal; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, device == 7 ? "Fake 7" : "?", (size_t)size); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    *value = device != 7 ? -1 : attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 132 : -1;
    return 0;
}
int cuDeviceTotalMem_v2(size_t *size, int device) { *size = device == 7 ? (size_t)141 << 30 : 0; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)(intptr_t)device; return 0; }
int cuCtxSetCurrent(void *context) { return context == (void *)7 ? 0 : 1; }

int cuCtxSynchronize(void) { CHECK(); return recorded ? 900 : 0; }

static int make(void **handle, size_t size) { *handle = calloc(1, size); live++; return 0; }
static int drop(void *handle) { free(handle); live--; return 0; }

int cuMemHostAlloc(void **address, size_t size, unsigned flags) { (void)flags; CHECK(); make(address, size); memset(*address, 0xAA, size); return 0; }
int cuMemFreeHost(void *address) { return drop(address); }
int cuStreamCreate(void **stream, unsigned flags) { CHECK(); return flags == 1 ? make(stream, 1) : 1; }
int cuStreamDestroy_v2(void *stream) { return drop(stream); }
int cuStreamSynchronize(void *stream) { (void)stream; CHECK(); return recorded ? 900 : 0; }

static int transfer(void *to, const void *from, size_t size)
{
    if (recorded) recorded->copies[recorded->count++] = (copy){to, from, size};
    else memcpy(to, from, size);
    return 0;
}
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream) { (void)stream; CHECK(); return transfer((void *)to, from, size); }
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream) { (void)stream; CHECK(); return transfer(to, (const void *)from, size); }

int cuStreamBeginCapture_v2(void *stream, int mode) { (void)stream; if (recorded || mode != 1) return 1; return make((void **)&recorded, sizeof(graph)); }
int cuStreamEndCapture(void *stream, void **out) { (void)stream; if (!recorded) return 1; *out = recorded; recorded = NULL; return 0; }
int cuGraphInstantiateWithFlags(void **out, void *from, unsigned long long flags)
{
    (void)flags;
    CHECK();
    make(out, sizeof(graph));
    memcpy(*out, from, sizeof(graph));
    return 0;
}
int cuGraphLaunch(void *instance, void *stream)
{
    (void)stream;
    for (int i = 0; i < ((graph *)instance)->count; i++) {
        const copy *c = &((graph *)instance)->copies[i];
        memcpy(c->to, c->from, c->size);
    }
    return 0;
}
int cuGraphDestroy(void *from) { return drop(from); }
int cuGraphExecDestroy(void *instance) { return drop(instance); }
int cuEventCreate(void **event, unsigned flags) { (void)flags; return make(event, 1); }
int cuEventDestroy_v2(void *event) { return drop(event); }
int cuEventRecord(void *event, void *stream) { (void)event; (void)stream; return 0; }
int cuEventElapsedTime(float *milliseconds, void *start, void *stop) { *milliseconds = start != stop ? 0.25f : -1.0f; return 0; }
