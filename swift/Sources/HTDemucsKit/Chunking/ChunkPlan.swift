import Foundation

/// Where segments lie in a track and how they are blended.
///
/// A plan is data. For a track of a given length it lists segments; each says which samples the core reads (its
/// context, which may reach beyond the track, where there are zeros), which samples of the track it contributes to,
/// and with what weights. The stems are the weighted sum of the segments' stems divided by the sum of the weights.
/// The Python package's plans (`htdemucs_coreml.pipeline.chunk_plan`) have the same names and numbers.
///
/// ```swift
/// let plan = try ChunkPlan.design()
/// for segment in try plan.segments(trackSamples: 1_000_000) {
///   print(segment.start, segment.stop)  // 0 441000, 352800 793800, 705600 1000000
/// }
/// ```
public struct ChunkPlan: Equatable, Sendable {
  /// The chunk plans there are.
  public enum Name: String, CaseIterable, Codable, Sendable {
    /// Flat weights with ramps, segments padded with zeros at the track's end.
    ///
    /// Segments of 441,000 samples (10 s) at every 352,800 (8 s). Weights are 1 but for a ramp `i / 44100` over the
    /// first and `1 - i / 44100` over the last 44,100 samples; none at the track's start and end. Neighbours share
    /// 88,200 samples, twice the ramp.
    case design
    /// Triangular weights, segments centred on real context, as upstream does.
    ///
    /// Segments of 343,980 samples (7.8 s) at every 257,985. A segment that the track's end cuts short is centred in
    /// its context, which reaches back into the track. Source: demucs 4.1.0, `apply.apply_model` with `shifts=0,
    /// split=True, overlap=0.25`, `apply.TensorChunk.padded` and `utils.center_trim`.
    case demucs

    /// Length in samples of the segments that the plan is made for.
    public var standardSegmentSamples: Int {
      switch self {
      case .design: 441_000
      case .demucs: 343_980
      }
    }

    /// Share of a segment that it has in common with the next, unless said otherwise.
    public var standardOverlap: Double {
      switch self {
      case .design: 0.2
      case .demucs: 0.25
      }
    }

    /// The default variant of package, `variants.toml`'s, with segments of `standardSegmentSamples`.
    package var standardVariant: String {
      switch self {
      case .design: "mixed"
      case .demucs: "mixed-7_8s"
      }
    }

    /// The plan that is made for segments of a length, if one is.
    static func made(forSegmentSamples segmentSamples: Int) -> Name? {
      allCases.first { $0.standardSegmentSamples == segmentSamples }
    }
  }

  /// How weights rise from 0 to 1 over `0 <= x < 1`; they fall as the mirror image.
  public enum Ramp: String, CaseIterable, Codable, Sendable {
    /// `x`
    case linear
    /// `sin(pi x / 2)`, whose squares add up to 1.
    case cosine
    /// `sin(pi x / 2)^2`, smooth at both ends.
    case hann

    /// Weight at `position`, computed in Double and rounded once.
    func weight(at position: Double) -> Float {
      switch self {
      case .linear:
        return Float(position)
      case .cosine:
        return Float(sin(Double.pi / 2 * position))
      case .hann:
        let root = sin(Double.pi / 2 * position)
        return Float(root * root)
      }
    }
  }

  /// One run of the core: what it reads, what it contributes to and with what weights.
  public struct Segment: Equatable, Sendable {
    /// Its place in the plan, from 0.
    public let index: Int
    /// Position in the track of the first sample that the core reads.
    ///
    /// It reads the plan's `segmentSamples`; positions before 0 and from the track's length on are zeros.
    public let contextStart: Int
    /// First sample of the track that it contributes to.
    public let start: Int
    /// One past the last sample of the track that it contributes to; both lie within its context.
    public let stop: Int
    /// Weight of each sample, `[stop - start]`, at least 0.
    public let weights: [Float]

    /// Where `start..<stop` lies in the core's output.
    public var inContext: Range<Int> { start - contextStart..<stop - contextStart }
  }

  /// Sample rate of every model so far, in hertz.
  package static let sampleRateHz = 44_100.0

  /// Name of the plan, as the command-line tools call it.
  public let name: Name
  /// What the core reads at once, in samples.
  public let segmentSamples: Int
  /// Distance between the starts of neighbouring segments, in samples.
  public let strideSamples: Int
  /// Length of each ramp in samples: half of what neighbours share; 0 for plan `demucs`, which has none.
  ///
  /// So at overlaps of up to a half every sample has a segment that counts in full.
  public let rampSamples: Int
  private let rise: [Float]
  private let fall: [Float]

  /// Whether the core sees the track scaled so that its mono mix has mean 0 and standard deviation 1.
  public var standardisesTrack: Bool { name == .demucs }

  /// Plan `design`.
  ///
  /// - Parameters:
  ///   - overlap: Share of a segment that it has in common with the next, `0 <= overlap < 1`. The ramps are half of
  ///     that: at 0 segments abut without blending, above a half more than two segments meet.
  ///   - ramp: Shape of the ramps.
  ///   - segmentSamples: Length of a segment in samples, at least 1.
  /// - Returns: The plan.
  /// - Throws: `AudioProcessingError.overlap` if `overlap` is out of range.
  public static func design(
    overlap: Double = Name.design.standardOverlap, ramp: Ramp = .linear,
    segmentSamples: Int = Name.design.standardSegmentSamples
  ) throws -> ChunkPlan {
    let strideSamples = try strideSamples(segmentSamples: segmentSamples, overlap: overlap)
    let rampSamples = (segmentSamples - strideSamples) / 2
    return ChunkPlan(
      name: .design, segmentSamples: segmentSamples, strideSamples: strideSamples, rampSamples: rampSamples,
      rise: (0..<rampSamples).map { ramp.weight(at: Double($0) / Double(rampSamples)) },
      fall: (0..<rampSamples).map { ramp.weight(at: Double(rampSamples - $0) / Double(rampSamples)) })
  }

  /// Plan `demucs`.
  ///
  /// - Parameters:
  ///   - overlap: Share of a segment that it has in common with the next, `0 <= overlap < 1`.
  ///   - segmentSamples: Length of a segment in samples, at least 1.
  /// - Returns: The plan.
  /// - Throws: `AudioProcessingError.overlap` if `overlap` is out of range.
  public static func demucs(
    overlap: Double = Name.demucs.standardOverlap, segmentSamples: Int = Name.demucs.standardSegmentSamples
  ) throws -> ChunkPlan {
    let half = segmentSamples / 2
    let peak = Float(segmentSamples - half)
    return ChunkPlan(
      name: .demucs, segmentSamples: segmentSamples,
      strideSamples: try strideSamples(segmentSamples: segmentSamples, overlap: overlap), rampSamples: 0,
      rise: (0..<half).map { Float($0 + 1) / peak },
      fall: (half..<segmentSamples).map { Float(segmentSamples - $0) / peak })
  }

  /// The plan for a core whose segments have `segmentSamples` samples.
  ///
  /// - Parameters:
  ///   - segmentSamples: What the core reads at once.
  ///   - name: By default the plan made for that length: 441,000: `design`, 343,980: `demucs`.
  ///   - overlap: By default the plan's own.
  /// - Returns: The plan.
  /// - Throws: `AudioProcessingError.planDoesNotFit` if the plan does not fit the length, `.noPlan` if no plan does,
  ///   `.overlap` if `overlap` is out of range.
  public static func fitting(
    segmentSamples: Int, name: Name? = nil, overlap: Double? = nil
  ) throws -> ChunkPlan {
    guard let name = name ?? Name.made(forSegmentSamples: segmentSamples) else {
      throw AudioProcessingError.noPlan(packageSegmentSamples: segmentSamples)
    }
    let overlap = overlap ?? name.standardOverlap
    let plan =
      switch name {
      case .design: try design(overlap: overlap)
      case .demucs: try demucs(overlap: overlap)
      }
    try plan.requireSegmentSamples(segmentSamples)
    return plan
  }

  /// Checks that a core reads as many samples at once as this plan gives it.
  ///
  /// - Parameter segmentSamples: What the core reads at once.
  /// - Throws: `AudioProcessingError.planDoesNotFit`, which names the variant and the plan that would fit.
  public func requireSegmentSamples(_ segmentSamples: Int) throws {
    guard segmentSamples == self.segmentSamples else {
      throw AudioProcessingError.planDoesNotFit(
        plan: name, planSegmentSamples: self.segmentSamples, packageSegmentSamples: segmentSamples)
    }
  }

  /// How many segments a track has: one at every stride that lies within it.
  ///
  /// - Parameter trackSamples: Length of the track in samples.
  /// - Returns: `ceil(trackSamples / strideSamples)`; 0 for a track without samples.
  public func segmentCount(trackSamples: Int) -> Int {
    trackSamples > 0 ? (trackSamples - 1) / strideSamples + 1 : 0
  }

  /// Lists the segments of a track in order; neither their starts nor their contexts ever move back.
  ///
  /// - Parameter trackSamples: Length of the track in samples.
  /// - Returns: The segments, each computed when it is asked for.
  /// - Throws: `AudioProcessingError.emptyTrack` if the track has no sample.
  /// - Complexity: O(`segmentSamples`) time and memory per segment.
  public func segments(trackSamples: Int) throws -> some Collection<Segment> & Sendable {
    guard trackSamples >= 1 else { throw AudioProcessingError.emptyTrack(samples: trackSamples) }
    return Segments(plan: self, trackSamples: trackSamples)
  }

  fileprivate func segment(_ index: Int, trackSamples: Int) -> Segment {
    let start = index * strideSamples
    let stop = min(start + segmentSamples, trackSamples)
    switch name {
    case .design:
      return Segment(
        index: index, contextStart: start, start: start, stop: stop,
        weights: rampedWeights(count: stop - start, rises: start > 0, falls: stop < trackSamples))
    case .demucs:
      let missing = segmentSamples - (stop - start)
      return Segment(
        index: index, contextStart: start - missing / 2, start: start, stop: stop,
        weights: Array((rise + fall).prefix(stop - start)))
    }
  }

  /// A segment that falls is a whole one: only the track's end cuts segments short.
  private func rampedWeights(count: Int, rises: Bool, falls: Bool) -> [Float] {
    var weights = [Float](repeating: 1, count: count)
    if rises {
      let risen = min(rampSamples, count)
      weights.replaceSubrange(..<risen, with: rise.prefix(risen))
    }
    if falls {
      weights.replaceSubrange((count - rampSamples)..., with: fall)
    }
    return weights
  }

  private static func strideSamples(segmentSamples: Int, overlap: Double) throws -> Int {
    precondition(segmentSamples >= 1, "a segment has at least one sample")
    guard overlap >= 0, overlap < 1 else { throw AudioProcessingError.overlap(overlap) }
    let strideSamples = Int((1 - overlap) * Double(segmentSamples))
    guard strideSamples >= 1 else { throw AudioProcessingError.overlap(overlap) }
    return strideSamples
  }
}

/// Segments of one track, each computed when it is asked for, so that memory does not grow with the track.
private struct Segments: RandomAccessCollection, Sendable {
  let plan: ChunkPlan
  let trackSamples: Int

  var startIndex: Int { 0 }
  var endIndex: Int { plan.segmentCount(trackSamples: trackSamples) }

  subscript(index: Int) -> ChunkPlan.Segment { plan.segment(index, trackSamples: trackSamples) }
}
