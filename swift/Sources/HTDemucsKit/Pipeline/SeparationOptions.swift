/// What is separated, and by which plan.
public struct SeparationOptions: Equatable, Sendable {
  /// Which stems are given.
  public enum Selection: Equatable, Sendable {
    /// All that the model separates, in its order.
    case all
    /// These, in this order.
    case only([StemType])
    /// This stem and the rest of the mix, called `no_` and the stem's name; before any rounding to integers or change of
    /// level, both add up to the mix.
    case twoStems(StemType)
  }

  /// Which stems are given.
  public var selection: Selection
  /// How the track is cut into segments; nil for the plan that fits the package.
  public var plan: ChunkPlan.Name?
  /// Share of a segment that it has in common with the next; nil for the plan's own.
  public var overlap: Double?
  /// A plan of one's own, as with other ramps, in place of `plan` and `overlap`.
  public var customPlan: ChunkPlan?

  /// Options; all stems by the package's plan unless said otherwise.
  ///
  /// - Parameters:
  ///   - selection: Which stems are given.
  ///   - plan: How the track is cut; nil for the plan that fits the package.
  ///   - overlap: Share in common with the next segment, `0 <= overlap < 1`; nil for the plan's own.
  ///   - customPlan: A plan of one's own, in place of `plan` and `overlap`.
  public init(
    selection: Selection = .all, plan: ChunkPlan.Name? = nil, overlap: Double? = nil, customPlan: ChunkPlan? = nil
  ) {
    self.selection = selection
    self.plan = plan
    self.overlap = overlap
    self.customPlan = customPlan
  }

  /// The plan for a package's segments.
  ///
  /// - Throws: `AudioProcessingError.planDoesNotFit`, `.noPlan` or `.overlap`.
  func chunkPlan(segmentSamples: Int) throws -> ChunkPlan {
    guard let customPlan else {
      return try ChunkPlan.fitting(segmentSamples: segmentSamples, name: plan, overlap: overlap)
    }
    try customPlan.requireSegmentSamples(segmentSamples)
    return customPlan
  }
}

/// Which files are written, and how.
public struct FileOptions: Equatable, Sendable {
  /// What is separated, and by which plan.
  public var separation: SeparationOptions
  /// Container and encoding of the files.
  public var format: AudioFileFormat
  /// What is done about samples beyond full scale; nil for nothing where the encoding can hold them, and `rescale`
  /// where it cannot.
  public var clipMode: ClipMode?
  /// Whether an input of three to six channels is mixed down to stereo; it is refused otherwise.
  public var allowsDownmix: Bool

  /// Options; float32 WAV files of all stems unless said otherwise.
  ///
  /// - Parameters:
  ///   - separation: What is separated, and by which plan.
  ///   - format: Container and encoding of the files.
  ///   - clipMode: What is done about samples beyond full scale; nil for what suits the encoding.
  ///   - allowsDownmix: Whether more than two channels are mixed down.
  public init(
    separation: SeparationOptions = SeparationOptions(), format: AudioFileFormat = .float32WAV,
    clipMode: ClipMode? = nil, allowsDownmix: Bool = false
  ) {
    self.separation = separation
    self.format = format
    self.clipMode = clipMode
    self.allowsDownmix = allowsDownmix
  }

  var effectiveClipMode: ClipMode { clipMode ?? (format.encoding == .float32 ? .none : .rescale) }
}

/// Which of a model's sources are needed, and what is given.
struct StemPlan: Equatable, Sendable {
  /// Places of the sources that are needed.
  let sources: [Int]
  /// What is given: these sources, or one and the rest.
  let outputs: [StemType]
  /// Whether the last output is the mix less the first.
  let hasRest: Bool

  /// - Throws: `AudioProcessingError.unknownStem` or `.repeatedStem`.
  init(_ selection: SeparationOptions.Selection, available: [StemType]) throws {
    let stems: [StemType]
    switch selection {
    case .all: stems = available
    case .only(let chosen): stems = chosen
    case .twoStems(let stem): stems = [stem]
    }
    guard !stems.isEmpty else { throw AudioProcessingError.unknownStem("", available: available) }
    sources = try stems.map { stem in
      guard let place = available.firstIndex(of: stem) else {
        throw AudioProcessingError.unknownStem(stem.rawValue, available: available)
      }
      return place
    }
    for (place, stem) in stems.enumerated() where stems[..<place].contains(stem) {
      throw AudioProcessingError.repeatedStem(stem)
    }
    if case .twoStems(let stem) = selection {
      outputs = [stem, StemType(rawValue: "no_\(stem)")]
      hasRest = true
    } else {
      outputs = stems
      hasRest = false
    }
  }
}
