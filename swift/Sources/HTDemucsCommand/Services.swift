import Foundation
import HTDemucsKit

/// What the commands work with: the kit, or a test's stand-ins for it.
struct Services: Sendable {
  /// The running program's file; packages are looked for beside its build.
  var executable: URL?
  /// Checks that a file can be opened as audio, without reading it.
  var requireReadable: @Sendable (_ song: URL, _ allowsDownmix: Bool) throws -> Void
  /// Reads and checks a package.
  var separator: @Sendable (URL, HTDemucsProcessor.Configuration) async throws -> any SongSeparator

  static let standard = Services(
    executable: Bundle.main.executableURL?.resolvingSymlinksInPath(),
    requireReadable: { _ = try AudioInput(contentsOf: $0, allowsDownmix: $1) },
    separator: { try await HTDemucsProcessor(package: $0, configuration: $1) })
}

/// Something that separates songs.
protocol SongSeparator: Sendable {
  /// Checks options without running anything, and names what would be given, in order.
  func outputs(_ options: SeparationOptions) throws -> [StemType]
  /// Loads what is needed, so that the first separation does not wait for it.
  func prewarm() async throws
  /// Separates a file into files.
  func separate(_ song: URL, to folder: URL, options: FileOptions, progress: ProgressHandler?) async throws
    -> SeparatedSong
  /// Separates audio in memory for the report only.
  func measure(_ waveform: Waveform, options: SeparationOptions) async throws -> SeparationReport
}

/// Stems on disk.
struct SeparatedSong: Sendable {
  /// Name of the folder of stems.
  let folder: String
  /// Each stem and its file's name, in order.
  let files: [(stem: StemType, name: String)]
  let sampleRateHz: Double
  let frames: Int
  let report: SeparationReport
}

extension HTDemucsProcessor: SongSeparator {
  nonisolated func separate(
    _ song: URL, to folder: URL, options: FileOptions, progress: ProgressHandler?
  ) async throws -> SeparatedSong {
    let separated = try await separate(contentsOf: song, to: folder, options: options, progress: progress)
    return SeparatedSong(
      folder: separated.folder.lastPathComponent,
      files: separated.stems.compactMap { stem in separated.files[stem].map { (stem, $0.lastPathComponent) } },
      sampleRateHz: separated.sampleRateHz, frames: separated.frames, report: separated.report)
  }

  nonisolated func measure(_ waveform: Waveform, options: SeparationOptions) async throws -> SeparationReport {
    try await separate(waveform, options: options).report
  }
}
