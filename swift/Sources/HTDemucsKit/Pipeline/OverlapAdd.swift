import Accelerate

/// Weighted sum of overlapping segments, given out as soon as no later segment can change it.
///
/// Holds no more than one segment's length. Source: demucs 4.1.0, `apply.apply_model`.
struct OverlapAdd {
  private let signals: Int
  /// Sums of every signal, each with room for a whole segment: `[signals, capacity]`.
  private var sums: [Float]
  private var weights: [Float]
  private let capacity: Int
  /// Position in the track of the first sum.
  private var start = 0
  private var count = 0

  /// - Parameters:
  ///   - signals: Number of signals: stems times channels.
  ///   - segmentSamples: Length of a segment.
  init(signals: Int, segmentSamples: Int) {
    self.signals = signals
    capacity = segmentSamples
    sums = [Float](repeating: 0, count: signals * segmentSamples)
    weights = [Float](repeating: 0, count: segmentSamples)
  }

  /// Adds a segment's signals.
  ///
  /// - Parameters:
  ///   - segment: Where they lie, and their weights.
  ///   - values: What the network made of the whole context, `[signals, capacity]`.
  mutating func add(_ segment: ChunkPlan.Segment, _ values: UnsafePointer<Float>) {
    let offset = segment.start - start
    let added = vDSP_Length(segment.weights.count)
    precondition(offset >= 0 && offset + segment.weights.count <= capacity, "a segment that lies elsewhere")
    count = max(count, segment.stop - start)
    sums.withUnsafeMutableBufferPointer { sums in
      guard let first = sums.baseAddress else { return }
      for signal in 0..<signals {
        let sum = first + signal * capacity + offset
        let context = values + signal * capacity + segment.inContext.lowerBound
        vDSP_vma(context, 1, segment.weights, 1, sum, 1, sum, 1, added)
      }
    }
    weights.withUnsafeMutableBufferPointer { weights in
      for (index, weight) in segment.weights.enumerated() { weights[offset + index] += weight }
    }
  }

  /// Gives out what lies before `position`, the start of the next segment.
  ///
  /// - Parameters:
  ///   - position: One past the last sample that is given out.
  ///   - result: Takes it, `[signals, n]`; its memory is used again where it is of that length already.
  mutating func take(until position: Int, into result: inout Waveform) {
    let taken = position - start
    precondition(0 <= taken && taken <= count, "samples that no segment covers")
    if result.signals != signals || result.samples != taken { result = Waveform(signals: signals, samples: taken) }
    let rest = count - taken
    sums.withUnsafeMutableBufferPointer { sums in
      result.values.withUnsafeMutableBufferPointer { result in
        guard let first = sums.baseAddress, let target = result.baseAddress else { return }
        for signal in 0..<signals {
          let sum = first + signal * capacity
          vDSP_vdiv(weights, 1, sum, 1, target + signal * taken, 1, vDSP_Length(taken))
          sum.update(from: sum + taken, count: rest)
          (sum + rest).update(repeating: 0, count: count - rest)
        }
      }
    }
    weights.withUnsafeMutableBufferPointer { weights in
      guard let first = weights.baseAddress else { return }
      first.update(from: first + taken, count: rest)
      (first + rest).update(repeating: 0, count: count - rest)
    }
    start = position
    count = rest
  }
}
