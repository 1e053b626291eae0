/// How far a separation is.
public struct SeparationProgress: Equatable, Sendable {
  /// Segments that are done.
  public let segmentsDone: Int
  /// Segments that the track has.
  public let segmentsTotal: Int
  /// Time since the first segment began, in seconds.
  public let elapsedSeconds: Double

  /// Share that is done, from 0 to 1.
  public var fraction: Double { Double(segmentsDone) / Double(max(segmentsTotal, 1)) }

  /// Time that remains if the other segments take as long as those before; nil before the first is done.
  public var remainingSeconds: Double? {
    guard segmentsDone > 0 else { return nil }
    return elapsedSeconds / Double(segmentsDone) * Double(segmentsTotal - segmentsDone)
  }
}

/// Told of each segment: first with none done, last with all.
public typealias ProgressHandler = @Sendable (SeparationProgress) -> Void
