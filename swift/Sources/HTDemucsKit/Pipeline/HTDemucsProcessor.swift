import CoreML
import Foundation
import os

/// Separates music into stems with a package: requests run one after the other, in the order in which they came.
///
/// ```swift
/// let processor = try await HTDemucsProcessor(package: packageURL)
/// let files = try await processor.separate(contentsOf: song, to: folder) { print($0.fraction) }
/// print(files.files[.vocals] ?? "no vocals")  // …/song/vocals.wav
/// ```
///
/// Cancelling the task of a request stops it within a segment, and leaves no partial file. Memory does not grow with the
/// length of a file; a waveform in memory takes room for itself and its stems.
public actor HTDemucsProcessor {
  /// How a processor runs its package.
  public struct Configuration: Equatable, Sendable {
    /// Where Core ML may run the model.
    public var computeUnits: ComputeUnits
    /// Where compiled models are kept, by the digest of their package; nil for the user's cache folder.
    public var compiledModels: URL?
    /// A package of the same weights with shorter segments, for segments in which the network fails twice, as where
    /// memory is short; nil for none.
    public var fallbackPackage: URL?

    /// A configuration; CPU and GPU, the most predictable units, unless said otherwise.
    ///
    /// - Parameters:
    ///   - computeUnits: Where Core ML may run the model.
    ///   - compiledModels: Where compiled models are kept; nil for the user's cache folder.
    ///   - fallbackPackage: A package of shorter segments for segments that fail.
    public init(
      computeUnits: ComputeUnits = .validation, compiledModels: URL? = nil, fallbackPackage: URL? = nil
    ) {
      self.computeUnits = computeUnits
      self.compiledModels = compiledModels
      self.fallbackPackage = fallbackPackage
    }
  }

  /// The package, as it was checked.
  public nonisolated let package: ModelPackage
  /// How the package is run.
  public nonisolated let configuration: Configuration
  /// What the package separates, in the order of its outputs.
  public nonisolated var stems: [StemType] { package.metadata.sources }

  private let fallback: ModelPackage?
  private let cache: CompiledModelCache
  private let turns = Turns()
  private var loaded: Loaded?

  private struct Loaded: Sendable {
    let separator: SegmentSeparator
    let computeUnitPlan: ComputeUnitPlan?
  }

  /// A processor for a package, which is read and checked now, and compiled and loaded when it is needed first.
  ///
  /// - Parameters:
  ///   - url: The `.mlpackage`.
  ///   - configuration: How it is run.
  /// - Throws: `PackageError` if the package, or the one to fall back to, is not complete, undamaged and one of this
  ///   project's.
  public init(package url: URL, configuration: Configuration = Configuration()) async throws {
    package = try ModelPackage(contentsOf: url)
    self.configuration = configuration
    cache = try configuration.compiledModels.map(CompiledModelCache.init(folder:)) ?? .standard()
    fallback = try configuration.fallbackPackage.map(ModelPackage.init(contentsOf:))
    if let fallback { try Self.requireRelated(fallback, to: package) }
  }

  /// Compiles and loads the model now, so that the first separation does not wait for it.
  ///
  /// Compilation happens once for a package and a version of the system; loading takes seconds on a device that
  /// sees the model for the first time, and is kept for the processor's life. Call it when a person is likely to
  /// separate something soon.
  ///
  /// - Throws: `PackageError.notLoadable` or `.cache`.
  public func prewarm() async throws {
    try await inTurn { _ in }
  }

  /// Separates audio that is in memory.
  ///
  /// - Parameters:
  ///   - waveform: `[1 or 2, samples]`, at least one sample; mono is taken for both channels.
  ///   - sampleRateHz: Its rate, from 1000 to 768,000; other rates than 44,100 Hz are resampled, and the stems back.
  ///   - options: What is separated, and by which plan.
  ///   - progress: Told of each segment.
  /// - Returns: Stems `[2, samples]` at the same rate, and a report.
  /// - Throws: `AudioProcessingError`, `PackageError` or `CancellationError`.
  public func separate(
    _ waveform: Waveform, sampleRateHz: Double = 44_100, options: SeparationOptions = SeparationOptions(),
    progress: ProgressHandler? = nil
  ) async throws -> Separation {
    let source = try WaveformSource(waveform, sampleRateHz: sampleRateHz)
    let stems = try StemPlan(options.selection, available: stems)
    let plan = try chunkPlan(options)
    return try await inTurn { request in
      var outputs = stems.outputs.map { _ in Waveform(signals: 2, samples: source.frames) }
      var positions = [Int](repeating: 0, count: outputs.count)
      let separation = SourceSeparation(
        separator: request.loaded.separator, plan: plan, stems: stems, source: source)
      let segments = try await separation.run(progress: progress) { place, block in
        outputs[place].replace(from: positions[place], with: block)
        positions[place] += block.samples
      }
      let report = self.report(request, plan, source, segments, warnings: [])
      return Separation(stems: Dictionary(uniqueKeysWithValues: zip(stems.outputs, outputs)), report: report)
    }
  }

  /// Separates an audio file into `folder/<song>/<stem>.<suffix>`, at the file's rate and length.
  ///
  /// - Parameters:
  ///   - song: Any audio file that the system reads.
  ///   - folder: Made if it is not there. The files appear when all are complete, or not at all.
  ///   - options: Which files are written, and how.
  ///   - progress: Told of each segment.
  /// - Returns: Where the files are, and a report.
  /// - Throws: `AudioProcessingError`, `PackageError` or `CancellationError`.
  public func separate(
    contentsOf song: URL, to folder: URL, options: FileOptions = FileOptions(), progress: ProgressHandler? = nil
  ) async throws -> SeparatedFile {
    let plan = try chunkPlan(options.separation)
    let separation = try FileSeparation(song, to: folder, options: options, available: stems)
    return try await inTurn { request in
      let (files, segments, warnings) = try await separation.run(request.loaded.separator, plan, progress: progress)
      let report = self.report(request, plan, separation.input, segments, warnings: warnings)
      return SeparatedFile(
        folder: separation.target, stems: separation.stems.outputs, files: files,
        sampleRateHz: separation.input.sampleRateHz, frames: separation.input.frames, report: report)
    }
  }

  /// Checks options against the package without running anything.
  ///
  /// - Parameter options: What would be separated, and by which plan.
  /// - Returns: The names of what would be given, in order.
  /// - Throws: `AudioProcessingError.unknownStem`, `.repeatedStem`, `.planDoesNotFit`, `.noPlan` or `.overlap`.
  public nonisolated func outputs(_ options: SeparationOptions) throws -> [StemType] {
    _ = try chunkPlan(options)
    return try StemPlan(options.selection, available: stems).outputs
  }

  // MARK: - Turns and loading

  /// A request whose turn has come, with the model loaded.
  private struct Request: Sendable {
    let loaded: Loaded
    /// Time that loading took; 0 where it was done before.
    let loadSeconds: Double
    let started: ContinuousClock.Instant

    /// Time since its turn came.
    var seconds: Double { (ContinuousClock.now - started).seconds }
  }

  /// Runs `body` with the loaded model when its turn has come.
  private func inTurn<Result: Sendable>(
    _ body: @Sendable (Request) async throws -> Result
  ) async throws -> Result {
    try await turns.take()
    do {
      let started = ContinuousClock.now
      let wasLoaded = loaded != nil
      let loaded = try await load()
      let loadSeconds = wasLoaded ? 0 : (ContinuousClock.now - started).seconds
      let result = try await body(Request(loaded: loaded, loadSeconds: loadSeconds, started: started))
      await turns.giveBack()
      return result
    } catch {
      await turns.giveBack()
      throw error
    }
  }

  /// The model, loaded now if that was not done before; called in a turn.
  private func load() async throws -> Loaded {
    if let loaded { return loaded }
    let (units, cache) = (configuration.computeUnits, cache)
    let smaller: SegmentSeparator? =
      if let fallback { try SegmentSeparator(model: try await Self.load(fallback, units, cache).model) } else { nil }
    let (model, plan) = try await Self.load(package, units, cache)
    let result = Loaded(separator: try SegmentSeparator(model: model, smaller: smaller), computeUnitPlan: plan)
    loaded = result
    return result
  }

  private static func load(
    _ package: ModelPackage, _ units: ComputeUnits, _ cache: CompiledModelCache
  ) async throws -> (model: CoreMLModel, plan: ComputeUnitPlan?) {
    let (url, wasCached) = try await cache.compiledModel(for: package)
    do {
      return try await load(package, compiled: url, units)
    } catch  where wasCached && !(error is CancellationError) {
      log.warning("The compiled model does not load and is made anew: \(error.localizedDescription, privacy: .public)")
      cache.remove(package)
    } catch {
      throw PackageError.notLoadable(path: package.url.path, reason: failureReason(error))
    }
    do {
      return try await load(package, compiled: cache.compiledModel(for: package).url, units)
    } catch let error as PackageError {
      throw error
    } catch {
      throw PackageError.notLoadable(path: package.url.path, reason: failureReason(error))
    }
  }

  private static func load(
    _ package: ModelPackage, compiled url: URL, _ units: ComputeUnits
  ) async throws -> (model: CoreMLModel, plan: ComputeUnitPlan?) {
    let configuration = MLModelConfiguration()
    configuration.computeUnits = units.coreML
    let model = try await MLModel.load(contentsOf: url, configuration: configuration)
    log.info("Loaded \(package.metadata.model, privacy: .public) \(package.metadata.variant, privacy: .public)")
    return (CoreMLModel(model: model, metadata: package.metadata), try await computeUnitPlan(compiled: url, units))
  }

  /// Core ML's plan; nil, and a line in the log, where it fails, for a report is no reason to separate nothing.
  private static func computeUnitPlan(compiled url: URL, _ units: ComputeUnits) async throws -> ComputeUnitPlan? {
    do {
      return try await .of(compiledModel: url, units: units)
    } catch {
      try Task.checkCancellation()
      log.error("Core ML does not tell where it runs the model: \(error.localizedDescription, privacy: .public)")
      return nil
    }
  }

  private static func requireRelated(_ fallback: ModelPackage, to package: ModelPackage) throws {
    let (ours, theirs) = (package.metadata, fallback.metadata)
    guard ours.weightsSHA256 == theirs.weightsSHA256, ours.sources == theirs.sources else {
      throw PackageError.unrelatedFallback(path: fallback.url.path, reason: "it was made from other weights")
    }
    guard theirs.segmentSamples < ours.segmentSamples else {
      throw PackageError.unrelatedFallback(
        path: fallback.url.path,
        reason: "its segments of \(theirs.segmentSamples) samples are not shorter than \(ours.segmentSamples)")
    }
  }

  private nonisolated func chunkPlan(_ options: SeparationOptions) throws -> ChunkPlan {
    try options.chunkPlan(segmentSamples: package.metadata.segmentSamples)
  }

  // MARK: - Reports

  private nonisolated func report(
    _ request: Request, _ plan: ChunkPlan, _ source: any StereoSource, _ segments: [SegmentReport],
    warnings: [SeparationWarning]
  ) -> SeparationReport {
    let audioSeconds = Double(source.frames) / source.sampleRateHz
    let all =
      SeparationWarning.of(
        audioSeconds: audioSeconds, sampleRateHz: source.sampleRateHz, segments: segments,
        computeUnits: configuration.computeUnits, computeUnitPlan: request.loaded.computeUnitPlan) + warnings
    for warning in all { log.warning("\(warning.description, privacy: .public)") }
    return SeparationReport(
      model: package.metadata.model, variant: package.metadata.variant, packageSHA256: package.sha256,
      plan: plan.name, computeUnits: configuration.computeUnits, computeUnitPlan: request.loaded.computeUnitPlan,
      audioSeconds: audioSeconds, sampleRateHz: source.sampleRateHz, wallSeconds: request.seconds,
      loadSeconds: request.loadSeconds, peakMemoryBytes: peakMemoryBytes(), segments: segments, warnings: all)
  }
}

/// Stems in memory.
public struct Separation: Sendable {
  /// Each stem, `[2, samples]`, at the rate and length of what was separated.
  public let stems: [StemType: Waveform]
  /// What the separation did and took.
  public let report: SeparationReport
}

/// Stems on disk.
public struct SeparatedFile: Sendable {
  /// The folder of stems.
  public let folder: URL
  /// What was written, in order.
  public let stems: [StemType]
  /// Each stem's file.
  public let files: [StemType: URL]
  /// Rate of the input and of each stem, in hertz.
  public let sampleRateHz: Double
  /// Length of the input and of each stem, in frames.
  public let frames: Int
  /// What the separation did and took.
  public let report: SeparationReport
}
