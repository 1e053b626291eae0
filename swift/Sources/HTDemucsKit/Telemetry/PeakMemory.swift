import Foundation

/// Largest resident size that the process has had so far, in bytes; 0 where the system does not tell.
///
/// Sources: proc(5), `VmHWM` of `/proc/self/status`, on Linux, where `getrusage` counts the program that started this one
/// too; on Apple's systems getrusage(2), whose `ru_maxrss` counts bytes there.
package func peakMemoryBytes() -> Int {
  #if os(Linux)
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    let kilobytes = line?.split(separator: " ", omittingEmptySubsequences: true).dropFirst().first ?? ""
    return (Int(kilobytes.trimmingCharacters(in: .whitespaces)) ?? 0) * 1024
  #else
    var usage = rusage()
    getrusage(RUSAGE_SELF, &usage)
    return usage.ru_maxrss
  #endif
}
