/// The shift and scale by which plan `demucs` standardises a track, the same for both channels.
struct Standardisation: Equatable, Sendable {
  /// Mean of the track's mono mix.
  let shift: Float
  /// Its standard deviation + 1e-8, with which silence stays silence.
  let scale: Float

  /// Leaves samples as they are.
  static let identity = Standardisation(shift: 0, scale: 1)

  private static let epsilon = 1e-8

  /// Mean and unbiased standard deviation of a track's mono mix, in one pass and in Double.
  ///
  /// Of fewer than two samples the deviation is taken as 0, where upstream's would be NaN. What is computed: demucs
  /// 4.1.0, `api.Separator.separate_tensor`. How: Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm
  /// for Computing Sample Variances", 1979: the update by a block, which does not lose figures where the mean is large.
  ///
  /// - Throws: What the reader throws, or `CancellationError`.
  static func of(_ reader: any AudioTrackReader) throws -> Standardisation {
    var (count, mean, squaredDeviations) = (0.0, 0.0, 0.0)
    while let block = try reader.nextBlock() {
      try Task.checkCancellation()
      let added = Double(block.samples)
      let (blockMean, blockDeviations) = momentsOfMono(block)
      let difference = blockMean - mean
      squaredDeviations += blockDeviations + difference * difference * count * added / (count + added)
      mean += difference * added / (count + added)
      count += added
    }
    let deviation = count > 1 ? (squaredDeviations / (count - 1)).squareRoot() : 0
    return Standardisation(shift: Float(mean), scale: Float(deviation + epsilon))
  }

  /// `(samples - shift) / scale`, in place.
  func apply(to samples: inout Waveform) {
    guard self != .identity else { return }
    samples.values.withUnsafeMutableBufferPointer {
      for index in $0.indices { $0[index] = ($0[index] - shift) / scale }
    }
  }

  /// `samples * scale + shift`, in place.
  func undo(on samples: inout Waveform) {
    guard self != .identity else { return }
    samples.values.withUnsafeMutableBufferPointer { for index in $0.indices { $0[index] = $0[index] * scale + shift } }
  }

  /// Mean, and sum of squared deviations from it.
  private static func momentsOfMono(_ block: Waveform) -> (mean: Double, squaredDeviations: Double) {
    block.values.withUnsafeBufferPointer { values in
      let samples = block.samples
      func mono(_ index: Int) -> Double { Double((values[index] + values[samples + index]) / 2) }
      let mean = (0..<samples).reduce(0) { $0 + mono($1) } / Double(samples)
      let squaredDeviations = (0..<samples).reduce(0) {
        let deviation = mono($1) - mean
        return $0 + deviation * deviation
      }
      return (mean, squaredDeviations)
    }
  }
}
