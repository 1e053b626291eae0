/// A source of any rate to stems at its own rate and length.
struct SourceSeparation: Sendable {
  let separator: SegmentSeparator
  let plan: ChunkPlan
  let stems: StemPlan
  let source: any StereoSource

  /// Separates the source.
  ///
  /// - Parameters:
  ///   - progress: Told of each segment.
  ///   - deliver: Takes consecutive blocks `[2, n]` of an output, by its place in `stems.outputs`; each output's are
  ///     together as long as the source.
  /// - Returns: A report of each segment.
  /// - Throws: As `TrackSeparation.run`, or what the source or `deliver` throws.
  func run(progress: ProgressHandler?, deliver: (Int, Waveform) throws -> Void) async throws -> [SegmentReport] {
    let resamplers = try stems.sources.map { _ in
      try StreamResampler(
        fromHz: ChunkPlan.sampleRateHz, toHz: source.sampleRateHz, outputFrames: source.frames)
    }
    let mix = stems.hasRest ? try source.stereoReader() : nil
    var rest = RestOfMix(mix: ForwardReader { try mix?.nextBlock() })
    var segmentsDone = 0
    func give(_ place: Int, _ block: Waveform) throws {
      // Blending, resampling and subtracting may exceed Float's range though every sample of the network was finite.
      guard block.values.withUnsafeBufferPointer({ firstNonFinite(in: $0) }) == nil else {
        throw AudioProcessingError.nonFiniteOutput(stem: stems.outputs[place], segment: max(segmentsDone - 1, 0))
      }
      try deliver(place, block)
    }
    func hand(_ place: Int, _ block: Waveform) throws {
      guard block.samples > 0 else { return }
      try give(place, block)
      if stems.hasRest { try give(1, rest.next(without: block)) }
    }
    let clock = ContinuousClock()
    let started = clock.now
    let separation = TrackSeparation(
      separator: separator, plan: plan, sources: stems.sources, track: TrackAtModelRate(source: source))
    let reports = try await separation.run(
      progress: { done, total in
        segmentsDone = done
        progress?(
          SeparationProgress(
            segmentsDone: done, segmentsTotal: total, elapsedSeconds: (clock.now - started).seconds))
      },
      deliver: { piece in
        for (place, resampler) in resamplers.enumerated() {
          try resampler.push(piece.signals(2 * place..<2 * place + 2)) { try hand(place, $0) }
        }
      })
    for (place, resampler) in resamplers.enumerated() { try resampler.finish { try hand(place, $0) } }
    return reports
  }
}

/// The mix less a stem, block by block.
private struct RestOfMix {
  var mix: ForwardReader
  private var position = 0

  init(mix: ForwardReader) {
    self.mix = mix
  }

  /// What remains of the mix's next samples.
  mutating func next(without stem: Waveform) throws -> Waveform {
    var rest = Waveform(signals: 2, samples: stem.samples)
    try rest.values.withUnsafeMutableBufferPointer { values in
      guard let start = values.baseAddress else { return }
      try mix.read(position..<position + stem.samples, into: start)
      for index in values.indices { values[index] -= stem.values[index] }
    }
    position += stem.samples
    return rest
  }
}
