#ifndef CPU_VERSIONS_H
#define CPU_VERSIONS_H

// Compiles a function for several generations of x86-64 and picks one when the program starts. Elsewhere vector
// instructions are part of what every processor has. The thread sanitiser cannot bear the choice, which is made before
// it is there.
#if defined(__x86_64__) && !__has_feature(thread_sanitizer)
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_CPU
#endif

#endif
