/// A complex spectrogram of each signal, real and imaginary parts in planes of their own.
///
/// Values lie in the order that the core takes: signal, bin, frame, the frame fastest.
public struct Spectrogram: Equatable, Sendable {
  /// Number of signals: one channel of one source each.
  public let signals: Int
  /// Number of bins, from 0 Hz up.
  public let bins: Int
  /// Number of frames.
  public let frames: Int
  /// Real parts, `[signals, bins, frames]`.
  public var real: [Float]
  /// Imaginary parts, `[signals, bins, frames]`.
  public var imag: [Float]

  /// A spectrogram from its planes.
  ///
  /// - Parameters:
  ///   - real: Real parts, `[signals, bins, frames]`.
  ///   - imag: Imaginary parts, `[signals, bins, frames]`.
  ///   - signals: Number of signals.
  ///   - bins: Number of bins.
  ///   - frames: Number of frames.
  /// - Throws: `AudioProcessingError.bufferSize` if a plane has another number of values.
  public init(real: [Float], imag: [Float], signals: Int, bins: Int, frames: Int) throws {
    try requireCount(of: "real", real.count, signals * bins * frames)
    try requireCount(of: "imag", imag.count, signals * bins * frames)
    self.signals = signals
    self.bins = bins
    self.frames = frames
    self.real = real
    self.imag = imag
  }

  init(signals: Int, bins: Int, frames: Int) {
    self.signals = signals
    self.bins = bins
    self.frames = frames
    self.real = [Float](repeating: 0, count: signals * bins * frames)
    self.imag = real
  }
}
