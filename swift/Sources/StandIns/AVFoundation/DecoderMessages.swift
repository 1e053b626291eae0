import CSndfile
import Foundation

/// Keeps what decoders print on their own off the terminal.
///
/// libmpg123 (MP3, inside of libsndfile) comments on damaged files on C's `stderr` and cannot be told not to. Nothing is
/// lost: whether a file was read whole is checked by `AudioDecoder`.
enum DecoderMessages {
  private static let lock = NSLock()
  // Both are guarded by `lock`.
  nonisolated(unsafe) private static var users = 0
  nonisolated(unsafe) private static var kept: UnsafeMutablePointer<FILE>?
  nonisolated(unsafe) private static let nowhere = fopen("/dev/null", "w")

  /// Runs `body`, on any number of threads at once, without messages.
  static func discarded<Result>(during body: () throws -> Result) rethrows -> Result {
    change(by: 1)
    defer { change(by: -1) }
    return try body()
  }

  private static func change(by step: Int) {
    lock.withLock {
      if users == 0, let nowhere { kept = exchange_message_stream(nowhere) }
      users += step
      if users == 0, let kept { _ = exchange_message_stream(kept) }
    }
  }
}
