import os

@testable import HTDemucsCommand

/// Text output that is kept; a terminal where it has columns.
final class MemoryOutput: TextOutput {
  let columns: Int?
  private let kept = OSAllocatedUnfairLock(initialState: "")
  private let writesUntilClosed: OSAllocatedUnfairLock<Int>

  /// - Parameters:
  ///   - columns: Width of the terminal; nil for none.
  ///   - writesUntilClosed: How many writes succeed before nobody reads any more.
  init(columns: Int? = nil, writesUntilClosed: Int = .max) {
    self.columns = columns
    self.writesUntilClosed = OSAllocatedUnfairLock(initialState: writesUntilClosed)
  }

  var text: String { kept.withLock { $0 } }
  var lines: [String] { text.split(separator: "\n").map(String.init) }

  func write(_ text: String) throws {
    try writesUntilClosed.withLock {
      guard $0 > 0 else { throw TextOutputError.closed }
      $0 -= 1
    }
    kept.withLock { $0 += text }
  }
}
