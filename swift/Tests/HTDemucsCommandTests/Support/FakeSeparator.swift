import Foundation
import os

@testable import HTDemucsCommand
@testable import HTDemucsKit

/// A separator that writes nothing and says what it was asked for.
final class FakeSeparator: SongSeparator {
  struct Failure: LocalizedError {
    let song: URL
    var errorDescription: String? { "\(song.path) was made to fail." }
    var recoverySuggestion: String? { "Take another." }
  }

  struct Request: Equatable {
    let song: URL
    let folder: URL
    let options: FileOptions
  }

  static let stems: [StemType] = [.drums, .bass, .vocals]
  static let segments = 2

  private let segmentSamples: Int
  private let warnings: [SeparationWarning]
  private let asked = OSAllocatedUnfairLock<[Request]>(initialState: [])

  init(segmentSamples: Int = 441_000, warnings: [SeparationWarning] = []) {
    self.segmentSamples = segmentSamples
    self.warnings = warnings
  }

  var requests: [Request] { asked.withLock { $0 } }

  func outputs(_ options: SeparationOptions) throws -> [StemType] {
    _ = try ChunkPlan.fitting(segmentSamples: segmentSamples, name: options.plan, overlap: options.overlap)
    return try StemPlan(options.selection, available: Self.stems).outputs
  }

  func prewarm() async throws {}

  /// Fails for songs called `fails`, and waits for ever, but for cancellation, for one called `hangs`.
  func separate(
    _ song: URL, to folder: URL, options: FileOptions, progress: ProgressHandler?
  ) async throws -> SeparatedSong {
    asked.withLock { $0.append(Request(song: song, folder: folder, options: options)) }
    for done in 0...Self.segments {
      try Task.checkCancellation()
      progress?(
        SeparationProgress(segmentsDone: done, segmentsTotal: Self.segments, elapsedSeconds: 1.5 * Double(done)))
    }
    switch songName(song) {
    case "fails": throw Failure(song: song)
    case "hangs":
      try await Task.sleep(for: .seconds(3600))
      throw Failure(song: song)
    default: break
    }
    let suffix = options.format.container.rawValue
    return SeparatedSong(
      folder: songName(song), files: try outputs(options.separation).map { ($0, "\($0).\(suffix)") },
      sampleRateHz: 48_000, frames: 96_000, report: report)
  }

  func measure(_ waveform: Waveform, options: SeparationOptions) async throws -> SeparationReport { report }

  private var report: SeparationReport {
    var segment = SegmentReport(index: 0, startSeconds: 0)
    (segment.transformSeconds, segment.networkSeconds, segment.inverseSeconds) = (0.25, 1, 0.5)
    return SeparationReport(
      model: "fixture", variant: "float32", packageSHA256: "00", plan: .design, computeUnits: .validation,
      computeUnitPlan: nil, audioSeconds: 4, sampleRateHz: 48_000, wallSeconds: 2, loadSeconds: 0.1,
      peakMemoryBytes: 1_000_000, segments: [segment], warnings: warnings)
  }
}

/// The tool, run in this process with a separator that is a fake.
struct FakeTool {
  var separator = FakeSeparator()
  var output = MemoryOutput()
  var errors = MemoryOutput()
  var environment: [String: String] = [:]
  var termination = Termination()
  /// Packages that were loaded.
  let loaded = Loaded()

  final class Loaded: Sendable {
    private let list = OSAllocatedUnfairLock<[(URL, HTDemucsProcessor.Configuration)]>(initialState: [])
    var packages: [URL] { list.withLock { $0.map(\.0) } }
    var configurations: [HTDemucsProcessor.Configuration] { list.withLock { $0.map(\.1) } }
    func add(_ package: URL, _ configuration: HTDemucsProcessor.Configuration) {
      list.withLock { $0.append((package, configuration)) }
    }
  }

  /// Songs called `missing` cannot be opened, and packages called `damaged.mlpackage` cannot be loaded.
  func run(_ arguments: String...) async -> Int32 {
    let services = Services(
      executable: nil,
      requireReadable: { song, _ in
        if songName(song) == "missing" {
          throw AudioProcessingError.unreadableFile(path: song.path, reason: "there is no such file")
        }
      },
      separator: { [loaded, separator] package, configuration in
        if package.lastPathComponent == "damaged.mlpackage" { throw PackageError.notFound(path: package.path) }
        loaded.add(package, configuration)
        return separator
      })
    return await HTDemucsTool.run(
      arguments: arguments, environment: environment, standardOutput: output, standardError: errors,
      services: services, termination: termination)
  }

  /// Standard output as JSON objects, one a line.
  func events() throws -> [[String: Any]] {
    try output.lines.map { line in
      guard let event = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
        throw CocoaError(.coderReadCorrupt)
      }
      return event
    }
  }
}
