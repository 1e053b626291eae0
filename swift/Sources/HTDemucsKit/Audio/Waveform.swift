/// Audio as planar samples: one signal after the other.
///
/// A signal is one channel of one source; with several stems, `signals` is stems times channels, channel fastest.
public struct Waveform: Equatable, Sendable {
  /// Number of signals.
  public let signals: Int
  /// Length of each signal in samples.
  public let samples: Int
  /// Samples at full scale 1.0, `[signals, samples]`.
  public var values: [Float]

  /// Audio from planar samples.
  ///
  /// - Parameters:
  ///   - values: `[signals, values.count / signals]` samples.
  ///   - signals: Number of signals, at least 1.
  /// - Throws: `AudioProcessingError.bufferSize` if `values` cannot be divided into signals of equal length.
  public init(_ values: [Float], signals: Int) throws {
    precondition(signals >= 1, "a waveform has at least one signal")
    self.signals = signals
    self.samples = values.count / signals
    self.values = values
    try requireCount(of: "waveform", values.count, samples * signals)
  }

  init(signals: Int, samples: Int) {
    self.signals = signals
    self.samples = samples
    self.values = [Float](repeating: 0, count: signals * samples)
  }

  private init(unchecked values: [Float], signals: Int) {
    self.signals = signals
    self.samples = values.count / signals
    self.values = values
  }

  /// Samples of one signal, `[samples]`.
  ///
  /// - Parameter signal: Which one, from 0.
  public subscript(signal: Int) -> ArraySlice<Float> { values[signal * samples..<(signal + 1) * samples] }

  /// A part of every signal, `[signals, range.count]`.
  func samples(_ range: Range<Int>) -> Waveform {
    var part = Waveform(signals: signals, samples: range.count)
    for signal in 0..<signals {
      let start = signal * samples
      part.values.replaceSubrange(
        signal * range.count..<(signal + 1) * range.count,
        with: values[start + range.lowerBound..<start + range.upperBound])
    }
    return part
  }

  /// Some of the signals, `[range.count, samples]`.
  func signals(_ range: Range<Int>) -> Waveform {
    Waveform(
      unchecked: Array(values[range.lowerBound * samples..<range.upperBound * samples]), signals: range.count)
  }

  /// Replaces samples of every signal from `position` on.
  mutating func replace(from position: Int, with block: Waveform) {
    for signal in 0..<signals {
      let start = signal * samples + position
      values.replaceSubrange(start..<start + block.samples, with: block[signal])
    }
  }
}
