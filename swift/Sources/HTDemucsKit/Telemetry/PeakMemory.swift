import Foundation

/// Largest resident size that the process has had so far, in bytes.
///
/// Source: POSIX `getrusage`; its `ru_maxrss` counts bytes on Apple's systems (man page getrusage(2)) and kilobytes on
/// Linux.
package func peakMemoryBytes() -> Int {
  var usage = rusage()
  #if os(Linux)
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  #else
    getrusage(RUSAGE_SELF, &usage)
    return usage.ru_maxrss
  #endif
}
