import Foundation
import HTDemucsKit

/// What became of a song.
struct SongResult: Sendable {
  enum Outcome: Sendable {
    case done(folder: String, SeparationReport)
    /// With the error in one line.
    case failed(String)
  }

  let song: Song
  let outcome: Outcome

  var isFailure: Bool {
    if case .failed = outcome { true } else { false }
  }
}

/// The file of `--report`: a list with an object for each input, written when all are through.
///
/// An object has `input`, `folder` and `report`, or `input` and `error`.
struct ReportFile {
  private let url: URL

  /// Checks what can be checked before hours are spent on songs.
  ///
  /// - Throws: `ReportFileError`.
  init(given path: String, songs: [Song]) throws {
    url = URL(filePath: path)
    let folder = url.deletingLastPathComponent().path
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue {
      throw ReportFileError.unwritable(path: path, reason: "it is a folder")
    }
    guard FileManager.default.isWritableFile(atPath: folder) else {
      throw ReportFileError.unwritable(path: path, reason: "there is no folder \(folder) that may be written to")
    }
    let places = songs.map { $0.url.resolvingSymlinksInPath() }
    guard !places.contains(url.resolvingSymlinksInPath()) else {
      throw ReportFileError.unwritable(path: path, reason: "it would replace an input")
    }
  }

  /// Writes the file, whole or not at all.
  ///
  /// - Throws: `ReportFileError`.
  func write(_ results: [SongResult]) throws {
    let lines = try results.map { try Self.object($0).line }
    do {
      try Data("[\n\(lines.joined(separator: ",\n"))\n]\n".utf8).write(to: url, options: .atomic)
    } catch {
      throw ReportFileError.unwritable(path: url.path, reason: failureReason(error))
    }
  }

  private static func object(_ result: SongResult) throws -> JSONValue {
    let input = ("input", JSONValue.string(result.song.given))
    return switch result.outcome {
    case .done(let folder, let report):
      .object([input, ("folder", .string(folder)), ("report", try .report(report))])
    case .failed(let message): .object([input, ("error", .string(message))])
    }
  }
}

/// Why a report cannot be kept.
enum ReportFileError: Error, Equatable {
  case unwritable(path: String, reason: String)
}

extension ReportFileError: LocalizedError {
  var errorDescription: String? {
    switch self {
    case .unwritable(let path, let reason): "The report \(path) cannot be written: \(reason)."
    }
  }

  var recoverySuggestion: String? { "Make room there, or give --report another path." }
}
