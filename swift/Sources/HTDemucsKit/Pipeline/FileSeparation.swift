import Foundation

/// From an audio file to a folder of stems, with memory that does not grow with the song.
struct FileSeparation: Sendable {
  let input: AudioInput
  let stems: StemPlan
  let options: FileOptions
  /// The folder of stems.
  let target: URL

  /// Checks everything that can be checked before the network runs.
  ///
  /// - Parameters:
  ///   - song: The audio file.
  ///   - folder: Where the folder of stems goes.
  ///   - options: Which files are written, and how.
  ///   - available: What the model separates.
  /// - Throws: `AudioProcessingError`.
  init(_ song: URL, to folder: URL, options: FileOptions, available: [StemType]) throws {
    self.options = options
    stems = try StemPlan(options.separation.selection, available: available)
    input = try AudioInput(contentsOf: song, allowsDownmix: options.allowsDownmix)
    guard input.sampleRateHz == input.sampleRateHz.rounded() else {
      throw AudioProcessingError.resampling(
        fromHz: input.sampleRateHz, toHz: ChunkPlan.sampleRateHz, reason: "the rate is no whole number")
    }
    guard folder.isFileURL else {
      throw AudioProcessingError.unwritable(path: folder.absoluteString, reason: "it is no place in a file system")
    }
    target = folder.appending(path: songName(song))
    for stem in stems.outputs where Self.areSame(file(of: stem), song) {
      throw AudioProcessingError.wouldReplaceInput(path: file(of: stem).path)
    }
    // What could not be replaced in the end is found before hours are spent.
    try StemFolder.requireUsable(target, for: stems.outputs.map { file(of: $0).lastPathComponent })
  }

  /// Separates the file; its stems appear when all are complete, or not at all.
  ///
  /// - Returns: The files, a report of each segment, and warnings.
  /// - Throws: As `SourceSeparation.run`; `AudioProcessingError.unwritable`.
  func run(
    _ separator: SegmentSeparator, _ plan: ChunkPlan, progress: ProgressHandler?
  ) async throws -> (files: [StemType: URL], segments: [SegmentReport], warnings: [SeparationWarning]) {
    let folder = try StemFolder(for: target)
    do {
      let writers = try stems.outputs.map { stem in
        try StemFile(
          creating: folder.staging.appending(path: file(of: stem).lastPathComponent), format: options.format,
          clipMode: options.effectiveClipMode, sampleRateHz: input.sampleRateHz,
          frames: input.frames)
      }
      let separation = SourceSeparation(separator: separator, plan: plan, stems: stems, source: input)
      let segments = try await separation.run(progress: progress) { try writers[$0].write($1) }
      let warnings = try zip(stems.outputs, writers).flatMap { SeparationWarning.of(try $1.finish(), stem: $0) }
      try Task.checkCancellation()
      try folder.commit()
      let files = stems.outputs.map { ($0, file(of: $0)) }
      return (Dictionary(uniqueKeysWithValues: files), segments, warnings)
    } catch {
      folder.discard()
      throw folder.naming(error)
    }
  }

  private func file(of stem: StemType) -> URL {
    target.appending(path: "\(stem).\(options.format.container.rawValue)")
  }

  private static func areSame(_ file: URL, _ other: URL) -> Bool {
    var (first, second) = (stat(), stat())
    return stat(file.path, &first) == 0 && stat(other.path, &second) == 0 && first.st_dev == second.st_dev
      && first.st_ino == second.st_ino
  }
}

/// Name of the folder for an input's stems: the file's name without its suffix.
///
/// - Parameter song: The audio file.
/// - Returns: The name; a name without a dot, or with nothing but dots before it, is kept whole.
package func songName(_ song: URL) -> String {
  let name = song.lastPathComponent
  guard let dot = name.lastIndex(of: "."), name[..<dot].contains(where: { $0 != "." }) else { return name }
  return String(name[..<dot])
}
