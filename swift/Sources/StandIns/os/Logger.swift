// The part of Apple's `os` that this package uses, for systems that lack it. Names, types and behaviour are those of
// developer.apple.com/documentation/os/logger; LoggerTests states them.
//
// Apple's compiler takes only a string literal or interpolation where `OSLogMessage` is asked for, and only constants
// as privacy and format. The attributes here make it as strict.

/// Writes messages of one part of a program to the system's log.
///
/// Here the log is standard error, and only where the environment has `OS_ACTIVITY_DT_MODE`, which on Apple's systems
/// makes the log appear there too. Otherwise a message costs nothing: its values are not even computed.
public struct Logger: Sendable {
  private let subsystem: String
  private let category: String

  /// A log for a part (`category`) of a program (`subsystem`, in reverse DNS notation).
  public init(subsystem: String, category: String) {
    self.subsystem = subsystem
    self.category = category
  }

  /// What helps only while debugging.
  @_semantics("oslog.requires_constant_arguments")
  public func debug(_ message: OSLogMessage) { write("debug", message) }

  /// What is helpful, but not needed, to understand an error.
  @_semantics("oslog.requires_constant_arguments")
  public func info(_ message: OSLogMessage) { write("info", message) }

  /// What is needed to understand an error.
  @_semantics("oslog.requires_constant_arguments")
  public func notice(_ message: OSLogMessage) { write("notice", message) }

  /// Something unexpected that is no failure.
  @_semantics("oslog.requires_constant_arguments")
  public func warning(_ message: OSLogMessage) { write("warning", message) }

  /// An error.
  @_semantics("oslog.requires_constant_arguments")
  public func error(_ message: OSLogMessage) { write("error", message) }

  private func write(_ level: String, _ message: OSLogMessage) {
    LogOutput.write { "[\(subsystem):\(category)] \(level): \(message.interpolation.rendered())" }
  }
}
