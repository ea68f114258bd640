/* What this CPU and operating system can run. An instruction set counts only if the kernel also saves its
 * registers on a context switch (XCR0), which CPUID alone does not say. */
#include "kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum {
    LEAF1_ECX_SSSE3 = 1 << 9, /* its registers are of x86-64's baseline: nothing to ask the system */
    LEAF1_ECX_FMA = 1 << 12,
    LEAF1_ECX_OSXSAVE = 1 << 27,
    LEAF1_ECX_AVX = 1 << 28,
    LEAF1_ECX_F16C = 1 << 29,
    LEAF7_EBX_AVX2 = 1 << 5,
    LEAF7_EBX_BMI2 = 1 << 8,
    LEAF7_EBX_AVX512F = 1 << 16,
    LEAF7_EBX_AVX512DQ = 1 << 17,
    LEAF7_EBX_AVX512BW = 1 << 30,
    LEAF7_ECX_VBMI = 1 << 1,
    LEAF7_ECX_VNNI = 1 << 11,
    LEAF7_EDX_AMX = 1 << 24 | 1 << 25, /* TILE, INT8 */
    XCR0_AMX = 3 << 17,
    XCR0_YMM = 0x06, /* xmm and the upper halves of ymm */
    XCR0_ZMM = 0xe0, /* opmasks, upper halves of zmm0-15, zmm16-31 */
};
static const unsigned LEAF7_EBX_AVX512VL = 1u << 31;

/* XGETBV as assembly: the intrinsic would need this file built with -mxsave. */
static unsigned read_xcr0(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Linux gives a process the 8 KiB of tile registers only on request (arch_prctl, ARCH_REQ_XCOMP_PERM of state 18), and
 * the answer holds for all its threads. */
static bool amx_permitted(void) {
#ifdef __linux__
    return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
    return false;
#endif
}

unsigned tq_cpu_isa(void) {
    unsigned eax, ebx, ecx, edx, leaf7, xcr0;
    const unsigned leaf1_avx2 = LEAF1_ECX_OSXSAVE | LEAF1_ECX_AVX | LEAF1_ECX_FMA | LEAF1_ECX_F16C;
    const unsigned leaf7_avx2 = LEAF7_EBX_AVX2 | LEAF7_EBX_BMI2;
    const unsigned leaf7_avx512 = LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ | LEAF7_EBX_AVX512BW | LEAF7_EBX_AVX512VL;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return TQ_ISA_SCALAR;
    const unsigned base = ecx & LEAF1_ECX_SSSE3 ? TQ_ISA_SSSE3 : TQ_ISA_SCALAR;
    if ((ecx & leaf1_avx2) != leaf1_avx2) return base;
    if (!__get_cpuid_count(7, 0, &eax, &leaf7, &ecx, &edx)) return base;
    xcr0 = read_xcr0();
    if ((leaf7 & leaf7_avx2) != leaf7_avx2 || (xcr0 & XCR0_YMM) != XCR0_YMM) return base;
    if ((leaf7 & leaf7_avx512) != leaf7_avx512 || (xcr0 & XCR0_ZMM) != XCR0_ZMM) return base | TQ_ISA_AVX2;
    unsigned isa = base | TQ_ISA_AVX2 | TQ_ISA_AVX512;
    if (ecx & LEAF7_ECX_VNNI) isa |= TQ_ISA_AVX512VNNI;
    if (ecx & LEAF7_ECX_VBMI) isa |= TQ_ISA_AVX512VBMI;
    if ((edx & LEAF7_EDX_AMX) == LEAF7_EDX_AMX && (xcr0 & XCR0_AMX) == XCR0_AMX && amx_permitted()) isa |= TQ_ISA_AMX;
    return isa;
}
#elif defined(__aarch64__)
unsigned tq_cpu_isa(void) { return TQ_ISA_NEON; }
#else
unsigned tq_cpu_isa(void) { return TQ_ISA_SCALAR; }
#endif
