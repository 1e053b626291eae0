import Foundation

/// A lock and the state that it protects; copies share both.
///
/// Source: developer.apple.com/documentation/os/osallocatedunfairlock. It is over a lock that the thread sanitiser knows on
/// Linux, which `Synchronization.Mutex` is not: there it would see races everywhere.
public struct OSAllocatedUnfairLock<State>: @unchecked Sendable {
  // `@unchecked`: every access to the state is under the lock, or by the caller's own leave.
  private let storage: Storage

  private final class Storage {
    let lock = NSLock()
    var state: State

    init(_ state: State) {
      self.state = state
    }
  }

  /// A lock that protects state of any type.
  ///
  /// - Parameter initialState: The state at first.
  public init(uncheckedState initialState: State) {
    storage = Storage(initialState)
  }

  /// Runs `body` with the state while no other thread has it.
  ///
  /// - Parameter body: What is done with the state.
  /// - Returns: What `body` returns.
  /// - Throws: What `body` throws.
  public func withLock<R: Sendable>(_ body: @Sendable (inout State) throws -> R) rethrows -> R {
    try withLockUnchecked(body)
  }

  /// Runs `body`, which need not be sendable, with the state while no other thread has it.
  ///
  /// - Parameter body: What is done with the state.
  /// - Returns: What `body` returns.
  /// - Throws: What `body` throws.
  public func withLockUnchecked<R>(_ body: (inout State) throws -> R) rethrows -> R {
    try storage.lock.withLock { try body(&storage.state) }
  }
}

extension OSAllocatedUnfairLock where State: Sendable {
  /// A lock that protects sendable state.
  ///
  /// - Parameter initialState: The state at first.
  public init(initialState: State) {
    self.init(uncheckedState: initialState)
  }
}
