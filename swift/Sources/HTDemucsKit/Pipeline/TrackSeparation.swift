import Foundation
import os

/// A track through a network, segment by segment, with memory that does not grow with its length.
package struct TrackSeparation: Sendable {
  /// Separates one segment; used by one separation at a time.
  package let separator: SegmentSeparator
  /// Must fit the separator's segments.
  package let plan: ChunkPlan
  /// Which of the network's sources are wanted, by their place, in order.
  package let sources: [Int]
  /// What is separated; read once, or twice where the plan standardises it.
  package let track: any AudioTrack

  /// A separation that has not begun.
  package init(separator: SegmentSeparator, plan: ChunkPlan, sources: [Int], track: any AudioTrack) {
    self.separator = separator
    self.plan = plan
    self.sources = sources
    self.track = track
  }

  /// Separates the track.
  ///
  /// - Parameters:
  ///   - progress: Told of each segment, first with none done.
  ///   - deliver: Takes consecutive pieces, `[2 sources.count, n]`, together as long as the track.
  /// - Returns: A report of each segment.
  /// - Throws: `AudioProcessingError.planDoesNotFit`, `.emptyTrack`, what the separator or the track throws, or
  ///   `CancellationError`.
  @discardableResult
  package func run(
    progress: (Int, Int) -> Void = { _, _ in }, deliver: (Waveform) throws -> Void
  ) async throws -> [SegmentReport] {
    try plan.requireSegmentSamples(separator.segmentSamples)
    let segments = try plan.segments(trackSamples: track.samples)
    let signals = 2 * sources.count
    let stems = UnsafeMutableBufferPointer<Float>.zeros(signals * plan.segmentSamples)
    defer { stems.deallocate() }
    guard let input = separator.input.waveform.baseAddress, let output = stems.baseAddress else { return [] }

    progress(0, segments.count)
    // Zeros beyond the track are zeros of the standardised track, as upstream's are: it pads after standardising.
    let standardisation = plan.standardisesTrack ? try Standardisation.of(track.reader()) : .identity
    let source = try track.reader()
    var reader = ForwardReader {
      var block = try source.nextBlock()
      block.apply(standardisation)
      return block
    }
    var overlapAdd = OverlapAdd(signals: signals, segmentSamples: plan.segmentSamples)
    var reports: [SegmentReport] = []
    var piece = Waveform(signals: signals, samples: 0)
    func deliverPiece(until position: Int) throws {
      overlapAdd.take(until: position, into: &piece)
      standardisation.undo(on: &piece)
      try deliver(piece)
    }
    for segment in segments {
      try Task.checkCancellation()
      if segment.start > 0 { try deliverPiece(until: segment.start) }
      try reader.read(segment.contextStart..<segment.contextStart + plan.segmentSamples, into: input)
      let seconds = Double(segment.start) / ChunkPlan.sampleRateHz
      log.info("Processing segment \(segment.index + 1) of \(segments.count) at \(seconds) s")
      reports.append(
        try await separator.separate(sources: sources, into: stems, segment: segment.index, startSeconds: seconds))
      overlapAdd.add(segment, output)
      progress(segment.index + 1, segments.count)
    }
    try deliverPiece(until: track.samples)
    return reports
  }
}

extension Waveform? {
  fileprivate mutating func apply(_ standardisation: Standardisation) {
    guard var block = self else { return }
    self = nil
    standardisation.apply(to: &block)
    self = block
  }
}
