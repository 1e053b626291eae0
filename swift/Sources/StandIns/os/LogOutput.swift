import Foundation

/// Where lines of the log go.
package enum LogOutput {
  private static let isMirrored = ProcessInfo.processInfo.environment["OS_ACTIVITY_DT_MODE"] != nil
  private static let timeStyle = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
  private static let captured = OSAllocatedUnfairLock<[String]?>(initialState: nil)

  /// Lines that are written while `body` runs, on any thread, instead of where they go otherwise.
  ///
  /// For tests.
  package static func lines(while body: () throws -> Void) rethrows -> [String] {
    captured.withLock { $0 = [] }
    defer { captured.withLock { $0 = nil } }
    try body()
    return captured.withLock { $0 ?? [] }
  }

  /// A line of the log, as it is printed.
  package static func printed(_ line: String, at time: Date) -> String { "\(time.formatted(timeStyle)) \(line)\n" }

  static func write(_ message: () -> String) {
    let isCapturing = captured.withLock { $0 != nil }
    guard isCapturing || isMirrored else { return }
    let line = message().replacingOccurrences(of: "\n", with: "\\n")
    if isCapturing {
      captured.withLock { $0?.append(line) }
    } else {
      FileHandle.standardError.write(Data(printed(line, at: .now).utf8))
    }
  }
}
