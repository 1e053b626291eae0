import Foundation
import HTDemucsKit

/// Where `separate` reports to.
protocol SeparationReporter: Sendable {
  /// Tells something worth knowing that is no error.
  func note(_ message: String) throws
  /// What is told of a song's segments.
  func progress(of song: Song) -> any SongProgress
  /// Tells of a song's stems.
  func done(_ song: Song, folder: String, _ separated: SeparatedSong, wallSeconds: Double) throws
  /// Tells why a song failed or, without one, why all of them did.
  ///
  /// - Returns: The error in one line.
  func failed(_ song: Song?, _ error: any Error) throws -> String
  /// Tells how many songs were separated and how many failed.
  func summary(done: Int, failed: Int) throws
}

/// What is told while a song is separated.
protocol SongProgress: Sendable {
  /// Called by the task that separates.
  func update(_ progress: SeparationProgress)
  /// Called once, after the last update.
  ///
  /// - Throws: What kept an update from being told.
  func end() throws
}

/// Results on standard output; notes, warnings, errors and, on a terminal, a progress bar on standard error.
struct TextReporter: SeparationReporter {
  private let console: Console
  private let isQuiet: Bool

  /// - Parameters:
  ///   - console: Where text goes.
  ///   - isQuiet: Errors only.
  init(_ console: Console, isQuiet: Bool) {
    self.console = console
    self.isQuiet = isQuiet
  }

  func note(_ message: String) {
    if !isQuiet { console.note(message) }
  }

  func progress(of song: Song) -> any SongProgress {
    guard !isQuiet, console.errors.columns != nil, console.environment["TERM"] != "dumb" else { return NoProgress() }
    return ProgressBar(title: song.url.lastPathComponent, on: console.errors)
  }

  /// Prints one line: song, folder, names of the files, time; and a line for each warning.
  func done(_ song: Song, folder: String, _ separated: SeparatedSong, wallSeconds: Double) throws {
    guard !isQuiet else { return }
    let names = separated.files.map(\.name).joined(separator: " ")
    let seconds = String(format: "%.1f", wallSeconds)
    try console.print(printable("\(song.given) -> \(folder): \(names) (\(seconds) s)"))
    for warning in separated.report.warnings { console.warning("\(song.given): \(warning)") }
  }

  func failed(_ song: Song?, _ error: any Error) -> String {
    let text = message(of: error, about: song)
    tellFailure(of: song, text, on: console)
    return text
  }

  func summary(done: Int, failed: Int) { tellFailures(done: done, failed: failed, on: console) }
}

/// One JSON object a line on standard output; errors also on standard error.
///
/// Every object has an `event`: `note` (message), `progress` (input, segments_done, segments_total, remaining_seconds:
/// null until a segment is done), `done` (input, folder, stems: file by name, sample_rate_hz, frames, wall_seconds,
/// report), `error` (input, or null where all fail for one reason; message) and, last, `summary` (done, failed).
struct JSONReporter: SeparationReporter {
  private let console: Console
  private let isQuiet: Bool

  /// - Parameters:
  ///   - console: Where text goes.
  ///   - isQuiet: No notes and no progress.
  init(_ console: Console, isQuiet: Bool) {
    self.console = console
    self.isQuiet = isQuiet
  }

  func note(_ message: String) throws {
    if !isQuiet { try print("note", [("message", .string(message))]) }
  }

  func progress(of song: Song) -> any SongProgress {
    guard !isQuiet else { return NoProgress() }
    return ProgressEvents { progress in
      try print(
        "progress",
        [
          ("input", .string(song.given)), ("segments_done", .integer(progress.segmentsDone)),
          ("segments_total", .integer(progress.segmentsTotal)),
          ("remaining_seconds", progress.remainingSeconds.map(JSONValue.seconds) ?? .null),
        ])
    }
  }

  func done(_ song: Song, folder: String, _ separated: SeparatedSong, wallSeconds: Double) throws {
    let files = GivenFolder(given: folder)
    try print(
      "done",
      [
        ("input", .string(song.given)), ("folder", .string(folder)),
        ("stems", .object(separated.files.map { ($0.stem.rawValue, .string(files.path(of: $0.name))) })),
        ("sample_rate_hz", .number(separated.sampleRateHz)), ("frames", .integer(separated.frames)),
        ("wall_seconds", .seconds(wallSeconds)), ("report", try .report(separated.report)),
      ])
  }

  func failed(_ song: Song?, _ error: any Error) throws -> String {
    let text = message(of: error, about: song)
    try print("error", [("input", song.map { .string($0.given) } ?? .null), ("message", .string(text))])
    tellFailure(of: song, text, on: console)
    return text
  }

  func summary(done: Int, failed: Int) throws {
    try print("summary", [("done", .integer(done)), ("failed", .integer(failed))])
  }

  private func print(_ event: String, _ values: [(key: String, value: JSONValue)]) throws {
    try console.print(JSONValue.object([("event", .string(event))] + values).line)
  }
}

extension JSONValue {
  /// A report as its own JSON.
  static func report(_ report: SeparationReport) throws -> JSONValue {
    .serialised(String(decoding: try report.json(), as: UTF8.self))
  }
}

private struct NoProgress: SongProgress {
  func update(_ progress: SeparationProgress) {}
  func end() {}
}

/// What is told of an error, with the song named as it was given.
private func message(of error: any Error, about song: Song?) -> String {
  let text = message(of: error)
  return song.map { text.replacing(printable($0.url.path), with: printable($0.given)) } ?? text
}

/// `error: …` on standard error, with the song's name where the message lacks it.
private func tellFailure(of song: Song?, _ text: String, on console: Console) {
  let isNamed = song.map { text.contains(printable($0.given)) } ?? true
  console.error(isNamed ? text : "\(song?.given ?? ""): \(text)")
}

private func tellFailures(done: Int, failed: Int, on console: Console) {
  if failed > 0, done + failed > 1 {
    console.tell("\(done) of \(done + failed) inputs were separated, \(failed) failed")
  }
}
