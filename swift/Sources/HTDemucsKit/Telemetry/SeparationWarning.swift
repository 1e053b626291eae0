import Foundation

/// Something worth knowing that did not stop a separation.
public enum SeparationWarning: Codable, Equatable, Sendable, CustomStringConvertible {
  /// The track is longer than 30 minutes: it takes long, and its stems take much space.
  case longTrack(minutes: Double)
  /// The track is not at the network's rate: it was resampled, and what lies above the lower rate's limit is lost.
  case resampled(fromHz: Double)
  /// A stem has samples beyond full scale, which its encoding cannot hold: they were cut.
  case cut(stem: StemType, samples: Int)
  /// A stem was too loud for its encoding and was made quieter: levels between stems have changed.
  case madeQuieter(stem: StemType, decibels: Double)
  /// The network failed in a segment and was run once more.
  case retried(segment: Int)
  /// The network failed twice in a segment, which went through shorter segments: their seams may be audible.
  case smallerSegments(segment: Int)
  /// Core ML runs part of the model on the CPU though other units were allowed.
  case partlyOnCPU(operations: Int, of: Int)

  /// A track is called long from here on.
  static let longTrackMinutes = 30.0

  /// What is to be said of a separation, files not counted.
  static func of(
    audioSeconds: Double, sampleRateHz: Double, segments: [SegmentReport], computeUnits: ComputeUnits,
    computeUnitPlan: ComputeUnitPlan?
  ) -> [SeparationWarning] {
    var warnings: [SeparationWarning] = []
    if audioSeconds > 60 * longTrackMinutes { warnings.append(.longTrack(minutes: audioSeconds / 60)) }
    if sampleRateHz != ChunkPlan.sampleRateHz { warnings.append(.resampled(fromHz: sampleRateHz)) }
    if let plan = computeUnitPlan, computeUnits != .cpuOnly, plan.cpuOperations > 0 {
      warnings.append(.partlyOnCPU(operations: plan.cpuOperations, of: plan.operations))
    }
    for segment in segments where !segment.failures.isEmpty {
      warnings.append(
        segment.usedSmallerSegments ? .smallerSegments(segment: segment.index) : .retried(segment: segment.index))
    }
    return warnings
  }

  /// What is to be said of a stem's file.
  static func of(_ losses: StemFile.Losses, stem: StemType) -> [SeparationWarning] {
    var warnings: [SeparationWarning] = []
    if losses.attenuationDB > 0 { warnings.append(.madeQuieter(stem: stem, decibels: losses.attenuationDB)) }
    if losses.cutSamples > 0 { warnings.append(.cut(stem: stem, samples: losses.cutSamples)) }
    return warnings
  }

  /// The warning in a sentence.
  public var description: String {
    switch self {
    case .longTrack(let minutes):
      String(format: "The track is %.0f minutes long: separating it takes long and its stems take much space.", minutes)
    case .resampled(let fromHz):
      "The track was resampled from \(Int(fromHz)) Hz to 44100 Hz and its stems back: what lies above 20 kHz is lost."
    case .cut(let stem, let samples):
      "\(samples) samples of \(stem) lie beyond full scale and were cut: take float32 or clip mode rescale."
    case .madeQuieter(let stem, let decibels):
      String(format: "\(stem) was made quieter by %.1f dB to fit its encoding: take float32 to keep levels.", decibels)
    case .retried(let segment):
      "The network failed in segment \(segment) and was run once more."
    case .smallerSegments(let segment):
      "The network failed twice in segment \(segment), which went through shorter segments: listen to its seams."
    case .partlyOnCPU(let operations, let total):
      "\(operations) of the model's \(total) operations run on the CPU."
    }
  }
}
