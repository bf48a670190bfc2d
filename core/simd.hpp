// Loops over independent lanes, compiled for several instruction sets; the machine's best is taken when the program
// starts.
#pragma once

// One binary serves every x86-64: without this its loops would use four lanes of the sixteen that most cores have.
// Sanitizers are not ready when the choice is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define PERFPIPE_SIMD __attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512")))
#else
#define PERFPIPE_SIMD
#endif
