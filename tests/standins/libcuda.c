/* A CUDA driver without a GPU, for the real pycuda: device memory is host memory, work runs when a stream is waited for.
 *
 * Only what device/vision/backends/cuda.py leads pycuda to call. Memory of a context that is gone is unmapped, so that
 * whoever still reads it dies; standin_* is for the script beside it. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { OK = 0, INVALID_VALUE = 1, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, ILLEGAL_ADDRESS = 700 };
enum { BLOCKS = 256, DEPTH = 16, QUEUE = 256, STREAMS = 64 };

struct block { char *start; size_t size; int host; };
struct work { void *target; const void *source; size_t size; void (*call)(void); };
struct stream { int live, count; struct work queue[QUEUE]; };

static struct block blocks[BLOCKS];
static struct stream streams[STREAMS];
static int retained, primary;
static __thread void *stack[DEPTH];
static __thread int depth;

static size_t pages(size_t size) { return (size + 4095) / 4096 * 4096; }
static int current(void) { return depth > 0 && retained > 0; }

static int take(void **start, size_t size, int host) {
    if (!current()) return INVALID_CONTEXT;
    for (int i = 0; i < BLOCKS; i++)
        if (!blocks[i].start) {
            char *at = mmap(NULL, pages(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            memset(at, 0xff, size);
            blocks[i] = (struct block){at, size, host};
            *start = at;
            return OK;
        }
    return INVALID_VALUE;
}
static void run(struct stream *s) {
    for (int i = 0; i < s->count; i++) {
        if (s->queue[i].call) s->queue[i].call();
        else memcpy(s->queue[i].target, s->queue[i].source, s->queue[i].size);
    }
    s->count = 0;
}
static int give(void *start, int host) {
    if (!current()) return INVALID_CONTEXT;
    for (int i = 0; i < STREAMS; i++) run(&streams[i]);
    for (int i = 0; i < BLOCKS; i++)
        if (start && blocks[i].start == start && blocks[i].host == host) {
            munmap(start, pages(blocks[i].size));
            blocks[i].start = NULL;
            return OK;
        }
    return INVALID_VALUE;
}
static int push(uintptr_t handle, struct work work) {
    if (!current()) return INVALID_CONTEXT;
    if (handle < 1 || handle > STREAMS || !streams[handle - 1].live) return INVALID_HANDLE;
    struct stream *s = &streams[handle - 1];
    s->queue[s->count++] = work;
    return OK;
}
static int within(const void *at, size_t size, int host) {
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i].start && blocks[i].host == host && (char *)at >= blocks[i].start &&
            (char *)at + size <= blocks[i].start + blocks[i].size)
            return 1;
    return 0;
}

int cuInit(unsigned flags) { return OK; }
int cuGetErrorString(int error, const char **text) { *text = "refused by the stand-in"; return OK; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal ? 101 : OK; }
int cuDeviceGetCount(int *count) { *count = 1; return OK; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Orin", size); return OK; }
int cuDeviceComputeCapability(int *major, int *minor, int device) { *major = 8; *minor = 7; return OK; }
int cuDevicePrimaryCtxRetain(void **context, int device) { retained++; *context = &primary; return OK; }
int cuDevicePrimaryCtxRelease_v2(int device) {
    if (!retained) return INVALID_CONTEXT;
    if (!--retained)
        for (int i = 0; i < BLOCKS; i++)
            if (blocks[i].start) {
                munmap(blocks[i].start, pages(blocks[i].size));
                blocks[i].start = NULL;
            }
    return OK;
}
int cuCtxPushCurrent_v2(void *context) {
    if (depth == DEPTH) return INVALID_CONTEXT;
    stack[depth++] = context;
    return OK;
}
int cuCtxPopCurrent_v2(void **context) {
    if (!depth) return INVALID_CONTEXT;
    *context = stack[--depth];
    return OK;
}
int cuStreamCreate(uintptr_t *handle, unsigned flags) {
    if (!current()) return INVALID_CONTEXT;
    for (int i = 0; i < STREAMS; i++)
        if (!streams[i].live) {
            streams[i].live = 1;
            *handle = i + 1;
            return OK;
        }
    return INVALID_VALUE;
}
int cuStreamDestroy_v2(uintptr_t handle) { run(&streams[handle - 1]); streams[handle - 1].live = 0; return OK; }
int cuStreamSynchronize(uintptr_t handle) {
    if (!current()) return INVALID_CONTEXT;
    run(&streams[handle - 1]);
    return OK;
}
int cuMemAlloc_v2(void **start, size_t size) { return take(start, size, 0); }
int cuMemFree_v2(void *start) { return give(start, 0); }
int cuMemHostAlloc(void **start, size_t size, unsigned flags) { return take(start, size, 1); }
int cuMemFreeHost(void *start) { return give(start, 1); }
int cuMemcpyHtoDAsync_v2(void *target, const void *source, size_t size, uintptr_t stream) {
    if (!within(target, size, 0) || !within(source, size, 1)) return ILLEGAL_ADDRESS;
    return push(stream, (struct work){target, source, size, NULL});
}
int cuMemcpyDtoHAsync_v2(void *target, const void *source, size_t size, uintptr_t stream) {
    if (!within(target, size, 1) || !within(source, size, 0)) return ILLEGAL_ADDRESS;
    return push(stream, (struct work){target, source, size, NULL});
}

int standin_launch(uintptr_t stream, void (*call)(void)) { return push(stream, (struct work){.call = call}); }
int standin_within(const void *at, size_t size) { return within(at, size, 0); }
int standin_depth(void) { return depth; }
int standin_retained(void) { return retained; }
int standin_blocks(int host) {
    int count = 0;
    for (int i = 0; i < BLOCKS; i++) count += blocks[i].start != NULL && blocks[i].host == host;
    return count;
}
