import HTDemucsKit

/// The pipeline around a model that does nothing.
struct PassThroughBenchmark {
  private let track: SyntheticTrack
  private let model: PassThroughModel
  private let plan: ChunkPlan
  private let stems: [StemType]

  /// - Parameters:
  ///   - seconds: Length of the track.
  ///   - options: Plan and stems; one and the rest is no selection here.
  /// - Throws: `AudioProcessingError` if they do not fit.
  init(seconds: Double, options: SeparationOptions) throws {
    track = SyntheticTrack(seconds: seconds)
    plan = try ChunkPlan.fitting(
      segmentSamples: (options.plan ?? .design).standardSegmentSamples, overlap: options.overlap)
    model = PassThroughModel(segmentSamples: plan.segmentSamples)
    if case .only(let chosen) = options.selection {
      for stem in chosen where !PassThroughModel.stems.contains(stem) {
        throw AudioProcessingError.unknownStem(stem.rawValue, available: PassThroughModel.stems)
      }
      for (place, stem) in chosen.enumerated() where chosen[..<place].contains(stem) {
        throw AudioProcessingError.repeatedStem(stem)
      }
      stems = chosen
    } else {
      stems = PassThroughModel.stems
    }
  }

  /// Separates the track into nowhere.
  ///
  /// - Throws: `AudioProcessingError` or `CancellationError`.
  func run() async throws -> Benchmark {
    let separation = TrackSeparation(
      separator: try SegmentSeparator(model: model), plan: plan,
      sources: stems.compactMap(PassThroughModel.stems.firstIndex), track: track)
    let clock = ContinuousClock()
    let started = clock.now
    let segments = try await separation.run { _ in }
    return Benchmark(
      name: "pass-through", plan: plan.name, stems: stems,
      audioSeconds: Double(track.samples) / ChunkPlan.sampleRateHz, wallSeconds: (clock.now - started).seconds,
      stages: Benchmark.stages(of: segments), others: [.init(name: "making noise", seconds: track.spent.seconds)])
  }
}
