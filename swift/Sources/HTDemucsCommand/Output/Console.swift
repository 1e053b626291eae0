import Foundation

/// Results on standard output, everything else on standard error.
struct Console: Sendable {
  /// The process's variables.
  let environment: [String: String]
  let output: any TextOutput
  let errors: any TextOutput

  /// Prints a result.
  ///
  /// - Throws: `TextOutputError`.
  func print(_ text: String, terminator: String = "\n") throws { try output.write(text + terminator) }

  /// Prints a line to standard error; where that is closed, nobody can be told.
  func tell(_ text: String, terminator: String = "\n") { try? errors.write(text + terminator) }

  /// Prints a line `note: …`.
  func note(_ message: String) { tell("note: \(printable(message))") }

  /// Prints a line `warning: …`.
  func warning(_ message: String) { tell("warning: \(printable(message))") }

  /// Prints a line `error: …`.
  func error(_ message: String) { tell("error: \(printable(message))") }
}

/// What is told of an error: what happened and what to do, on one line.
func message(of error: any Error) -> String {
  let suggestion = (error as? any LocalizedError)?.recoverySuggestion
  let sentences = [error.localizedDescription, suggestion].compactMap(\.self).joined(separator: " ")
  return printable(sentences.split(whereSeparator: \.isWhitespace).joined(separator: " "))
}
