import Foundation

/// What a separation did and what it took.
///
/// ```swift
/// let report = try await processor.separate(contentsOf: song, to: folder).report
/// print(report.realTimeFactor, report.warnings)
/// try report.json().write(to: folder.appending(path: "report.json"))
/// ```
public struct SeparationReport: Codable, Equatable, Sendable {
  /// Model that the package holds, such as `htdemucs_6s`.
  public var model: String
  /// Variant of the package, such as `mixed`.
  public var variant: String
  /// Digest of the whole package.
  public var packageSHA256: String
  /// Chunk plan.
  public var plan: ChunkPlan.Name
  /// Where Core ML was allowed to run the model.
  public var computeUnits: ComputeUnits
  /// Where Core ML means to run the model's operations; nil where the system does not tell.
  public var computeUnitPlan: ComputeUnitPlan?
  /// Length of the input in seconds.
  public var audioSeconds: Double
  /// Sample rate of the input in hertz.
  public var sampleRateHz: Double
  /// Time from the call to its end, in seconds, waiting for other separations not counted.
  public var wallSeconds: Double
  /// Of that, time to load the model; 0 where it was loaded before.
  public var loadSeconds: Double
  /// Largest resident size that the process has had so far, in bytes.
  public var peakMemoryBytes: Int
  /// Each segment, in order.
  public var segments: [SegmentReport]
  /// What a listener or a developer should know.
  public var warnings: [SeparationWarning]

  /// Seconds of audio that were separated in one second.
  public var realTimeFactor: Double { wallSeconds > 0 ? audioSeconds / wallSeconds : 0 }

  /// Number of segments in which the network failed at least once.
  public var retries: Int { segments.count { !$0.failures.isEmpty } }

  /// The report as a JSON object with keys in snake case, sorted.
  public func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(self)
  }
}

/// What one segment took.
public struct SegmentReport: Codable, Equatable, Sendable {
  /// Its place in the plan, from 0.
  public var index: Int
  /// Where in the track it begins, in seconds.
  public var startSeconds: Double
  /// Time of the STFT, in seconds.
  public var transformSeconds = 0.0
  /// Time of the network, in seconds, failures included.
  public var networkSeconds = 0.0
  /// Time of the inverse STFT of all stems, in seconds.
  public var inverseSeconds = 0.0
  /// Why the network failed, once for each time.
  public var failures: [String] = []
  /// Whether the segment went through a network of shorter segments after the network had failed twice.
  public var usedSmallerSegments = false

  /// A report of a segment that has not begun.
  init(index: Int, startSeconds: Double) {
    self.index = index
    self.startSeconds = startSeconds
  }
}

extension Duration {
  /// The duration in seconds.
  package var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
