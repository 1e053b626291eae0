import Foundation

/// A value that one thread at a time reads or changes.
///
/// `@unchecked`: every access is under the lock. Not `Synchronization.Mutex`, which the thread sanitiser does not know on Linux: it would see races everywhere.
final class Guarded<Value>: @unchecked Sendable {
  private let lock = NSLock()
  private var value: Value

  init(_ value: sending Value) {
    self.value = value
  }

  func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
    try lock.withLock { try body(&value) }
  }
}
