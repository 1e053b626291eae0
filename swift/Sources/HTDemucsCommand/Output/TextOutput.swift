import Foundation

/// Where text goes: standard output, standard error, or a test's memory.
package protocol TextOutput: Sendable {
  /// Writes text at once, unbuffered.
  ///
  /// - Throws: `TextOutputError`.
  func write(_ text: String) throws
  /// Width of the terminal that this is, in columns; nil if it is none.
  var columns: Int? { get }
}

/// Why text could not be written.
package enum TextOutputError: Error, Equatable {
  /// Nobody reads any more: whoever read the output has seen enough.
  case closed
  /// A write failed for another reason, such as a full disk.
  case failed(reason: String)
}

/// A file descriptor of the process.
struct DescriptorOutput: TextOutput {
  let descriptor: Int32

  static let standardOutput = DescriptorOutput(descriptor: 1)
  static let standardError = DescriptorOutput(descriptor: 2)

  /// - Throws: `TextOutputError`; `.closed` only where SIGPIPE is ignored, for it ends the process otherwise.
  func write(_ text: String) throws {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
        continue
      }
      switch errno {
      case EINTR: continue
      case EPIPE: throw TextOutputError.closed
      default: throw TextOutputError.failed(reason: String(cString: strerror(errno)))
      }
    }
  }

  var columns: Int? {
    guard isatty(descriptor) == 1 else { return nil }
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return Self.usualColumns }
    return Int(size.ws_col)
  }

  /// Of terminals that do not tell.
  private static let usualColumns = 80
}
