import Accelerate
import Foundation

/// Waveforms to complex spectrograms and back, as HTDemucs does it.
///
/// | | |
/// |---|---|
/// | transform | `transformSamples` (4096) points every `hopSamples` (1024), at 44.1 kHz: 10.77 Hz and 23.2 ms |
/// | window | periodic Hann, `0.5 - 0.5 cos(2 pi n / transformSamples)`, in both directions |
/// | scale | `1 / sqrt(transformSamples)` forward, undone by the inverse (torch's `normalized=True`) |
/// | padding | by reflection, as `Framing` says |
/// | memory order | signal, bin, frame, the frame fastest; real and imaginary parts in planes of their own |
///
/// A value is immutable and may be used by any number of tasks at once. Both directions take any number of signals
/// (channels times stems) in one call, and allocate once per call, nothing per frame.
///
/// ```swift
/// let fft = try AudioFFT()
/// let spectrogram = try fft.spectrogram(of: Waveform(samples, signals: 2))  // [2, 2048, ceil(n / 1024)]
/// let waveform = try fft.waveform(from: spectrogram, samples: samples.count / 2)
/// ```
public struct AudioFFT: Sendable {
  /// Where frames lie and which bins are kept.
  public enum Framing: Sendable, CaseIterable {
    /// What HTDemucs was trained on: frame `t` is centred half a hop into hop `t`, there is one for every hop begun,
    /// and the bin at the Nyquist frequency is dropped.
    ///
    /// Upstream computes two more frames at each end and cuts them away; its inverse puts zeros in their place and
    /// in the dropped bin. So the inverse undoes what is further than 1.5 hops from both ends, but for what lay at
    /// the Nyquist frequency. Source: demucs 4.1.0, `HTDemucs._spec`, `HTDemucs._ispec` and `hdemucs.pad1d`.
    case demucs
    /// What `torch.stft(center=True)` does: frame `t` is centred on sample `t * hopSamples`, and all bins are kept.
    /// The inverse undoes everything.
    case centred
  }

  /// Length of the shortest transform.
  public static let minimumTransformSamples = 16

  /// Length of the transform and of its window, in samples.
  public let transformSamples: Int
  /// Distance between frames in samples: a quarter of the transform.
  public let hopSamples: Int
  /// Where frames lie and which bins are kept.
  public let framing: Framing

  private let transform: RealTransform
  /// Windows by even and odd index, with every factor of the transform and of overlap-add in them.
  private let analysisWindow: SplitWindow
  private let synthesisWindow: SplitWindow
  private let edges: EdgeGains?

  /// A transform of a given length.
  ///
  /// - Parameters:
  ///   - transformSamples: Length of the transform: a power of two, at least `minimumTransformSamples`.
  ///   - framing: Where frames lie and which bins are kept.
  /// - Throws: `AudioProcessingError.transformSize` for another length.
  public init(transformSamples: Int = 4096, framing: Framing = .demucs) throws {
    guard transformSamples >= Self.minimumTransformSamples, transformSamples.nonzeroBitCount == 1 else {
      throw AudioProcessingError.transformSize(samples: transformSamples)
    }
    self.transformSamples = transformSamples
    self.framing = framing
    hopSamples = transformSamples / 4
    transform = RealTransform(samples: transformSamples)

    // vDSP's forward transform is twice the mathematical one.
    let scale = 1 / Double(transformSamples).squareRoot()
    let window = Self.hannWindow(samples: transformSamples)
    analysisWindow = SplitWindow(window.map { $0 * scale / 2 })
    // vDSP's inverse lacks the factor 1 / n; four squared windows add up to 3/2 at every sample.
    synthesisWindow = SplitWindow(window.map { $0 * scale * 2 / 3 })
    edges = framing == .centred ? EdgeGains(window: window) : nil
  }

  /// The periodic Hann window `0.5 - 0.5 cos(2 pi n / samples)`.
  ///
  /// - Parameter samples: Length of the window.
  /// - Returns: `[samples]`, to be rounded once where it is used. (vDSP's normalised window is another one, about
  ///   1.633 times as large.)
  public static func hannWindow(samples: Int) -> [Double] {
    (0..<samples).map { 0.5 - 0.5 * cos(2 * Double.pi * Double($0) / Double(samples)) }
  }

  /// Number of bins of a spectrogram, from 0 Hz up.
  public var bins: Int {
    switch framing {
    case .demucs: transformSamples / 2
    case .centred: transformSamples / 2 + 1
    }
  }

  /// Number of frames of a waveform.
  ///
  /// - Parameter samples: Length of the waveform in samples.
  /// - Returns: `ceil(samples / hopSamples)` for framing `demucs`, `1 + floor(samples / hopSamples)` for `centred`.
  public func frameCount(samples: Int) -> Int {
    switch framing {
    case .demucs: (samples + hopSamples - 1) / hopSamples
    case .centred: 1 + samples / hopSamples
    }
  }

  /// Samples between the start of the first frame and that of the waveform.
  private var leadSamples: Int {
    switch framing {
    case .demucs: hopSamples + hopSamples / 2
    case .centred: 2 * hopSamples
    }
  }

  // MARK: - Waveform to spectrogram

  /// Complex spectrogram of every signal of a waveform.
  ///
  /// - Parameter waveform: `[signals, samples]`, at least `transformSamples` samples.
  /// - Returns: `[signals, bins, frameCount(samples:)]`.
  /// - Throws: `AudioProcessingError.tooShort`, or `.nonFiniteSample` for NaN and infinity.
  /// - Complexity: O(signals × samples × log `transformSamples`).
  public func spectrogram(of waveform: Waveform) throws -> Spectrogram {
    var result = Spectrogram(
      signals: waveform.signals, bins: bins, frames: frameCount(samples: waveform.samples))
    try waveform.values.withUnsafeBufferPointer { values in
      try result.real.withUnsafeMutableBufferPointer { real in
        try result.imag.withUnsafeMutableBufferPointer { imag in
          try spectrogram(of: values, signals: waveform.signals, real: real, imag: imag)
        }
      }
    }
    return result
  }

  /// Complex spectrogram of every signal of a waveform, into memory that the caller owns, such as a model's inputs.
  ///
  /// - Parameters:
  ///   - waveform: `[signals, samples]`, at least `transformSamples` samples.
  ///   - signals: Number of signals, at least 1.
  ///   - real: Real parts, `[signals, bins, frameCount(samples:)]`; overwritten.
  ///   - imag: Imaginary parts, likewise.
  /// - Throws: `AudioProcessingError.bufferSize` if a buffer does not fit, `.tooShort`, or `.nonFiniteSample` for NaN
  ///   and infinity. The buffers are then as before.
  public func spectrogram(
    of waveform: UnsafeBufferPointer<Float>, signals: Int,
    real: UnsafeMutableBufferPointer<Float>, imag: UnsafeMutableBufferPointer<Float>
  ) throws {
    let (samples, frames) = try requireShapes(
      waveform: waveform.count, real: real.count, imag: imag.count, signals: signals)
    if let place = firstNonFinite(in: waveform) {
      throw AudioProcessingError.nonFiniteSample(signal: place / samples, sample: place % samples)
    }
    guard let waveformStart = waveform.baseAddress, let realStart = real.baseAddress,
      let imagStart = imag.baseAddress
    else { return }

    let padded = SplitStorage(count: paddedSamples(frames: frames) / 2)
    let block = FrameBlock(transform: transform)
    defer { withExtendedLifetime((padded, block)) {} }
    for signal in 0..<signals {
      pad(waveformStart + signal * samples, samples: samples, into: padded)
      let plane = SplitBuffer(
        real: realStart + signal * bins * frames, imag: imagStart + signal * bins * frames)
      for first in stride(from: 0, to: frames, by: FrameBlock.capacity) {
        let count = min(FrameBlock.capacity, frames - first)
        for frame in 0..<count {
          let row = block.row(frame)
          multiply(padded.buffer + (first + frame) * hopSamples / 2, by: analysisWindow, into: row)
          transform.forward(row, scratch: block.scratch)
        }
        block.store(count, into: plane, bins: bins, frames: frames, first: first)
      }
    }
  }

  /// Splits a signal by even and odd index, reflected at both ends without repeating the outermost samples.
  private func pad(_ signal: UnsafePointer<Float>, samples: Int, into padded: SplitStorage) {
    let buffer = padded.buffer
    let pairs = samples / 2
    signal.withMemoryRebound(to: DSPComplex.self, capacity: pairs) {
      var whole = (buffer + leadSamples / 2).split
      vDSP_ctoz($0, 2, &whole, 1, vDSP_Length(pairs))
    }
    func reflected(_ position: Int) -> Float {
      let place = abs(position)
      return signal[place < samples ? place : 2 * (samples - 1) - place]
    }
    for pairs in [0..<leadSamples / 2, leadSamples / 2 + pairs..<padded.count] {
      for pair in pairs {
        buffer.real[pair] = reflected(2 * pair - leadSamples)
        buffer.imag[pair] = reflected(2 * pair + 1 - leadSamples)
      }
    }
  }

  private func multiply(_ values: SplitBuffer, by window: SplitWindow, into products: SplitBuffer) {
    let count = vDSP_Length(transformSamples / 2)
    vDSP_vmul(values.real, 1, window.even, 1, products.real, 1, count)
    vDSP_vmul(values.imag, 1, window.odd, 1, products.imag, 1, count)
  }

  // MARK: - Spectrogram to waveform

  /// Waveform of every signal of a spectrogram: the inverse of `spectrogram(of:)`, as far as `Framing` says.
  ///
  /// What a network returns is in general the spectrogram of no waveform; the result is then the waveform whose
  /// spectrogram is nearest to it by least squares. Imaginary parts at 0 Hz and at the Nyquist frequency are ignored.
  ///
  /// - Parameters:
  ///   - spectrogram: `[signals, bins, frames]`.
  ///   - samples: Length of the waveform, with `frameCount(samples:) == frames`, at least `transformSamples`.
  /// - Returns: `[signals, samples]`.
  /// - Throws: `AudioProcessingError.binCount` or `.frameCount` if the shape does not fit, `.tooShort`, or
  ///   `.nonFiniteSpectrogram` for NaN and infinity.
  /// - Complexity: O(signals × samples × log `transformSamples`).
  public func waveform(from spectrogram: Spectrogram, samples: Int) throws -> Waveform {
    guard spectrogram.bins == bins else {
      throw AudioProcessingError.binCount(bins: spectrogram.bins, requiredBins: bins)
    }
    guard samples >= 0, spectrogram.frames == frameCount(samples: samples) else {
      throw AudioProcessingError.frameCount(
        frames: spectrogram.frames, samples: samples, requiredFrames: frameCount(samples: max(samples, 0)))
    }
    var result = Waveform(signals: spectrogram.signals, samples: samples)
    try spectrogram.real.withUnsafeBufferPointer { real in
      try spectrogram.imag.withUnsafeBufferPointer { imag in
        try result.values.withUnsafeMutableBufferPointer { values in
          try waveform(real: real, imag: imag, signals: spectrogram.signals, into: values)
        }
      }
    }
    return result
  }

  /// Waveform of every signal of a spectrogram, into memory that the caller owns.
  ///
  /// - Parameters:
  ///   - real: Real parts, `[signals, bins, frameCount(samples:)]`.
  ///   - imag: Imaginary parts, likewise.
  ///   - signals: Number of signals, at least 1.
  ///   - waveform: `[signals, samples]`, at least `transformSamples` samples; overwritten.
  /// - Throws: `AudioProcessingError.bufferSize` if a buffer does not fit, `.tooShort`, or `.nonFiniteSpectrogram`
  ///   for NaN and infinity. The waveform is then as before.
  public func waveform(
    real: UnsafeBufferPointer<Float>, imag: UnsafeBufferPointer<Float>, signals: Int,
    into waveform: UnsafeMutableBufferPointer<Float>
  ) throws {
    let (samples, frames) = try requireShapes(
      waveform: waveform.count, real: real.count, imag: imag.count, signals: signals)
    for plane in [real, imag] {
      guard let place = firstNonFinite(in: plane) else { continue }
      throw AudioProcessingError.nonFiniteSpectrogram(
        signal: place / (bins * frames), bin: place / frames % bins, frame: place % frames)
    }
    guard let waveformStart = waveform.baseAddress, let realStart = real.baseAddress,
      let imagStart = imag.baseAddress
    else { return }

    let planeValues = bins * frames
    invert(
      (0..<signals).map {
        Plane(
          real: realStart + $0 * planeValues, imag: imagStart + $0 * planeValues, waveform: waveformStart + $0 * samples
        )
      }, binStride: frames, samples: samples)
  }

  /// One signal's spectrogram and the memory for its waveform.
  struct Plane {
    /// Real parts; a bin's frames lie side by side.
    let real: UnsafePointer<Float>
    /// Imaginary parts, likewise.
    let imag: UnsafePointer<Float>
    /// The waveform, overwritten.
    let waveform: UnsafeMutablePointer<Float>
  }

  /// Waveforms of spectrograms that lie anywhere in memory, without a check of their values.
  ///
  /// NaN and infinity come through as NaN or infinity.
  ///
  /// - Parameters:
  ///   - planes: The signals.
  ///   - binStride: Distance between the starts of neighbouring bins, at least `frameCount(samples:)`.
  ///   - samples: Length of each waveform, at least `transformSamples`.
  func invert(_ planes: [Plane], binStride: Int, samples: Int) {
    let frames = frameCount(samples: samples)
    precondition(samples >= transformSamples && binStride >= frames, "planes that are no spectrograms")
    let overlapped = SplitStorage(count: paddedSamples(frames: frames) / 2)
    let block = FrameBlock(transform: transform)
    defer { withExtendedLifetime((overlapped, block)) {} }
    for plane in planes {
      overlapped.buffer.real.update(repeating: 0, count: overlapped.count)
      overlapped.buffer.imag.update(repeating: 0, count: overlapped.count)
      for first in stride(from: 0, to: frames, by: FrameBlock.capacity) {
        let count = min(FrameBlock.capacity, frames - first)
        block.load(count, from: plane, bins: bins, binStride: binStride, first: first)
        for frame in 0..<count {
          let row = block.row(frame)
          transform.inverse(row, scratch: block.scratch)
          add(row, times: synthesisWindow, to: overlapped.buffer + (first + frame) * hopSamples / 2)
        }
      }
      crop(overlapped.buffer, samples: samples, into: plane.waveform)
    }
  }

  private func add(_ values: SplitBuffer, times window: SplitWindow, to sums: SplitBuffer) {
    let count = vDSP_Length(transformSamples / 2)
    vDSP_vma(values.real, 1, window.even, 1, sums.real, 1, sums.real, 1, count)
    vDSP_vma(values.imag, 1, window.odd, 1, sums.imag, 1, sums.imag, 1, count)
  }

  private func crop(_ overlapped: SplitBuffer, samples: Int, into signal: UnsafeMutablePointer<Float>) {
    let pairs = samples / 2
    var kept = (overlapped + leadSamples / 2).split
    signal.withMemoryRebound(to: DSPComplex.self, capacity: pairs) {
      vDSP_ztoc(&kept, 1, $0, 2, vDSP_Length(pairs))
    }
    if samples % 2 == 1 {
      signal[samples - 1] = kept.realp[pairs]
    }
    edges?.apply(to: signal, samples: samples)
  }

  // MARK: - Both directions

  /// Samples from the start of the first frame to the end of the last.
  private func paddedSamples(frames: Int) -> Int { (frames - 1) * hopSamples + transformSamples }

  /// Checks that buffers of these counts hold so many signals, of at least one window.
  private func requireShapes(
    waveform: Int, real: Int, imag: Int, signals: Int
  ) throws -> (samples: Int, frames: Int) {
    precondition(signals >= 1, "a waveform and a spectrogram have at least one signal")
    let samples = waveform / signals
    let frames = frameCount(samples: samples)
    try requireCount(of: "waveform", waveform, signals * samples)
    try requireCount(of: "real", real, signals * bins * frames)
    try requireCount(of: "imag", imag, signals * bins * frames)
    guard samples >= transformSamples else {
      throw AudioProcessingError.tooShort(samples: samples, requiredSamples: transformSamples)
    }
    return (samples, frames)
  }
}

/// A window by even and odd index, rounded to Float.
private struct SplitWindow: Sendable {
  let even: [Float]
  let odd: [Float]

  init(_ window: [Double]) {
    even = stride(from: 0, to: window.count, by: 2).map { Float(window[$0]) }
    odd = stride(from: 1, to: window.count, by: 2).map { Float(window[$0]) }
  }
}

/// Factors for samples near both ends of a waveform under framing `centred`, where fewer than four windows meet.
///
/// Overlap-add divides by the sum of the squared windows over each sample. Where four meet it is 3/2 and stands in the
/// synthesis window; these factors are 3/2 over what it really is. They depend on the distance to the first or to
/// the last frame only, so that they are computed once for waveforms of every length.
private struct EdgeGains: Sendable {
  /// For samples from the start on, `[hop]`: the frame before the first is missing.
  private let leading: [Float]
  /// For samples from a hop before the last frame's centre on, `[2 hop]`: one or both frames after it are missing.
  private let trailing: [Float]

  init(window: [Double]) {
    let hop = window.count / 4
    let squared = window.map { $0 * $0 }
    leading = (0..<hop).map { Float(1.5 / (1.5 - squared[$0 + 3 * hop])) }
    trailing = (0..<2 * hop).map { Float(1.5 / (1.5 - squared[$0] - ($0 < hop ? 0 : squared[$0 - hop]))) }
  }

  func apply(to signal: UnsafeMutablePointer<Float>, samples: Int) {
    let hop = leading.count
    vDSP_vmul(signal, 1, leading, 1, signal, 1, vDSP_Length(hop))
    let start = samples / hop * hop - hop
    vDSP_vmul(signal + start, 1, trailing, 1, signal + start, 1, vDSP_Length(samples - start))
  }
}
