/* Runs the audio callback a million times with messages flowing, on a thread that may do nothing else: allocations and
   locks are counted by malloc_hook.c, and a seccomp filter traps every system call but reading the clock and, where it
   is asked for, waking another process. */
#define _GNU_SOURCE
#include "../message.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define SYSCALL_RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define SYSCALL_RESULT(context) ((context)->uc_mcontext.regs[0])
#else
#error "the proof knows the system calls of x86-64 and aarch64"
#endif

#define MOST_FRAMES 4096
#define LOOKAHEAD 4 /* blocks that messages are sent ahead */

void hook_enter(void); /* malloc_hook.c, preloaded */
void hook_leave(void);

typedef int32_t (*callback)(const void *, void *, unsigned long, const void *, unsigned long, void *);
typedef int64_t (*send)(void *, const rt_message *, int64_t);

typedef struct {
    callback callback;   /* rt_portaudio_callback of the engine's library, as shipped */
    send send;           /* rt_engine_send of the same */
    void *engine;        /* stereo, with one input or none, freshly made */
    const rt_message *messages; /* (count,) in order of time, repeated every `span` samples */
    int64_t count, span;
    int64_t blocks;
    int64_t frames;
    int64_t trap_system_calls;
    int64_t may_wake;    /* FUTEX_WAKE is none of them */
    int64_t sent;        /* out: messages */
    int64_t trapped;     /* out: system calls */
    int64_t trapped_number;
    int64_t major_faults;
} proof;

static _Atomic int64_t trapped, trapped_number;

static void count_trap(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    trapped++;
    trapped_number = info->si_syscall;
    SYSCALL_RESULT((ucontext_t *)context) = -ENOSYS;
}

#define NO_CALL UINT32_MAX /* no system call has this number */

/* From here on this thread may read the clock, return from the handler above, and end; and `may_wake`: a futex's
   operation is its second argument, and FUTEX_WAKE the only one let through. */
static int forbid_system_calls(bool may_wake)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, 8),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, may_wake ? (uint32_t)SYS_futex : NO_CALL, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])), /* both are little-endian */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_WAKE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    const struct sigaction action = {.sa_sigaction = count_trap, .sa_flags = SA_SIGINFO};
    return sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void feed(proof *run, int64_t until)
{
    while (run->count > 0) {
        rt_message message = run->messages[run->sent % run->count];
        message.time += run->sent / run->count * run->span;
        if (message.time >= until || run->send(run->engine, &message, 1) == 0) return;
        run->sent++;
    }
}

static void run_blocks(proof *run)
{
    static float input[MOST_FRAMES], output[2 * MOST_FRAMES];
    uint32_t bits = 1;
    for (int64_t i = 0; i < run->frames; i++) input[i] = 0.1f * (float)(int32_t)(bits = bits * 747796405u + 1u) * 0x1p-31f;
    hook_enter();
    for (int64_t block = 0; block < run->blocks; block++) {
        feed(run, (block + LOOKAHEAD) * run->frames);
        run->callback(input, output, (unsigned long)run->frames, NULL, 0, run->engine);
    }
    hook_leave();
}

static void *run_thread(void *user_data)
{
    proof *run = user_data;
    if (run->trap_system_calls) {
        if (forbid_system_calls(run->may_wake)) {
            run->trapped = -1;
            return NULL;
        }
        run_blocks(run);
        run->trapped = trapped;
        run->trapped_number = trapped_number;
        syscall(SYS_exit, 0); /* what pthread_exit does before it is forbidden now */
    }
    struct rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    run_blocks(run);
    getrusage(RUSAGE_THREAD, &after);
    run->major_faults = after.ru_majflt - before.ru_majflt;
    return NULL;
}

/* 0, or an errno; run->trapped is -1 where the kernel has no seccomp. */
int32_t proof_run(proof *run)
{
    pthread_t thread;
    if (run->frames > MOST_FRAMES) return EINVAL;
    trapped = trapped_number = 0;
    const int error = pthread_create(&thread, NULL, run_thread, run);
    return error ? error : pthread_join(thread, NULL);
}
