import HTDemucsKit

/// The STFT of one stereo segment of 10 s and the inverse of six stereo stems.
enum TransformBenchmark {
  static let usualRepeats = 10

  private static let stems = PassThroughModel.stems

  /// Runs each a few times, after once that does not count.
  ///
  /// - Parameter repeats: How often.
  /// - Returns: What was measured.
  /// - Throws: `AudioProcessingError` or `CancellationError`.
  static func run(repeats: Int = usualRepeats) throws -> Benchmark {
    let transform = try AudioFFT()
    let samples = ChunkPlan.Name.design.standardSegmentSamples
    let seconds = Double(samples) / ChunkPlan.sampleRateHz
    let mix = try SyntheticTrack(seconds: seconds).waveform().values
    let planeValues = 2 * transform.bins * transform.frameCount(samples: samples)
    var (real, imag) = ([Float](repeating: 0, count: planeValues), [Float](repeating: 0, count: planeValues))
    let clock = ContinuousClock()
    let forward = try (0...repeats).map { _ in
      try Task.checkCancellation()
      return try clock.measure {
        try mix.withUnsafeBufferPointer { mix in
          try real.withUnsafeMutableBufferPointer { real in
            try imag.withUnsafeMutableBufferPointer { imag in
              try transform.spectrogram(of: mix, signals: 2, real: real, imag: imag)
            }
          }
        }
      }.seconds
    }.dropFirst()
    let (allReal, allImag) = (repeated(real), repeated(imag))
    var waveforms = [Float](repeating: 0, count: mix.count * stems.count)
    let inverse = try (0...repeats).map { _ in
      try Task.checkCancellation()
      return try clock.measure {
        try allReal.withUnsafeBufferPointer { real in
          try allImag.withUnsafeBufferPointer { imag in
            try waveforms.withUnsafeMutableBufferPointer { waveforms in
              try transform.waveform(real: real, imag: imag, signals: 2 * stems.count, into: waveforms)
            }
          }
        }
      }.seconds
    }.dropFirst()
    let times = [Distribution(Array(forward)), Distribution(Array(inverse))]
    return Benchmark(
      name: "transforms", plan: nil, stems: stems, audioSeconds: seconds * Double(repeats),
      wallSeconds: times.reduce(0) { $0 + $1.total },
      stages: zip(["STFT", "inverse STFT"], times).map { Benchmark.Stage(name: $0, seconds: $1) }, others: [])
  }

  private static func repeated(_ values: [Float]) -> [Float] {
    Array([[Float]](repeating: values, count: stems.count).joined())
  }
}
