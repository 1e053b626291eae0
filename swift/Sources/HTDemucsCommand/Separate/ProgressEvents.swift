import HTDemucsKit
import os

/// Updates that are printed; where that fails, the separation is cancelled: nobody reads of it any more.
final class ProgressEvents: SongProgress {
  private let print: @Sendable (SeparationProgress) throws -> Void
  private let failure = OSAllocatedUnfairLock<(any Error)?>(initialState: nil)

  init(print: @escaping @Sendable (SeparationProgress) throws -> Void) {
    self.print = print
  }

  func update(_ progress: SeparationProgress) {
    do {
      try print(progress)
    } catch {
      failure.withLock { $0 = $0 ?? error }
      withUnsafeCurrentTask { $0?.cancel() }
    }
  }

  func end() throws {
    if let error = failure.withLock({ $0 }) { throw error }
  }
}
