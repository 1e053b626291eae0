/// The network between STFT and inverse STFT: three tensors in, three out, one segment at a time.
///
/// The seam at which the pipeline can be tested without a package. Shapes are those of the contract: for `S` sources,
/// `L` samples and `T = ceil(L / 1024)` frames, spectrograms are `[2, 2048, T]` in and `[S, 2, 2048, T]` out, waveforms
/// `[2, L]` in and `[S, 2, L]` out; a stem is the inverse STFT of its spectrogram plus its waveform.
package protocol SegmentModel: Sendable {
  /// The stems, in the order of the outputs.
  var sources: [StemType] { get }
  /// Length of a segment in samples, at 44.1 kHz.
  var segmentSamples: Int { get }

  /// Runs the network once.
  ///
  /// - Parameter input: The segment; not changed, and not kept beyond the call.
  /// - Returns: The stems, in memory of their own.
  /// - Throws: Whatever stops the network; `CancellationError` if the task was cancelled.
  func predict(_ input: SegmentInput) async throws -> any SegmentOutput
}

/// What a network returned for one segment.
package protocol SegmentOutput: Sendable {
  /// Lends the tensors to `body`; they are valid during the call only.
  func withStems<Result>(_ body: (StemTensors) throws -> Result) throws -> Result
}

/// Float32 numbers somewhere in memory, of any strides.
package struct StridedTensor {
  /// The element with all indices 0.
  package let start: UnsafePointer<Float>
  /// Number of indices of each axis.
  package let shape: [Int]
  /// Distance in elements between neighbours along each axis.
  package let strides: [Int]

  /// A tensor over memory that somebody else owns.
  package init(start: UnsafePointer<Float>, shape: [Int], strides: [Int]) {
    precondition(shape.count == strides.count, "every axis has a stride")
    self.start = start
    self.shape = shape
    self.strides = strides
  }

  /// Where the element with the given leading indices, and all others 0, lies.
  package func pointer(_ indices: Int...) -> UnsafePointer<Float> {
    start + zip(indices, strides).reduce(0) { $0 + $1.0 * $1.1 }
  }

  /// Strides of a tensor without gaps.
  package static func denseStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * shape[axis + 1] }
    return strides
  }
}

/// A network's three outputs, without the batch axis.
package struct StemTensors {
  /// Real parts of the stems' spectrograms, `[S, 2, 2048, T]`.
  package let real: StridedTensor
  /// Imaginary parts, likewise.
  package let imag: StridedTensor
  /// What is added to the inverse STFTs, `[S, 2, L]`.
  package let waveform: StridedTensor

  /// Three tensors of the contract's shapes.
  package init(real: StridedTensor, imag: StridedTensor, waveform: StridedTensor) {
    self.real = real
    self.imag = imag
    self.waveform = waveform
  }
}

/// A network's three inputs, without gaps, in memory that is used again for every segment.
///
/// `@unchecked`: raw memory is never sendable to the compiler. Whoever holds it takes turns; the pipeline writes, then
/// the network reads.
package final class SegmentInput: @unchecked Sendable {
  /// Length of the waveform in samples.
  package let samples: Int
  /// Number of frames of the spectrogram.
  package let frames: Int
  /// Real parts of the mix's spectrogram, `[2, bins, frames]`.
  package let real: UnsafeMutableBufferPointer<Float>
  /// Imaginary parts, likewise.
  package let imag: UnsafeMutableBufferPointer<Float>
  /// The mix, `[2, samples]`.
  package let waveform: UnsafeMutableBufferPointer<Float>

  /// Memory for segments of a length, zero at first.
  package init(samples: Int, transform: AudioFFT) {
    self.samples = samples
    frames = transform.frameCount(samples: samples)
    real = .zeros(2 * transform.bins * frames)
    imag = .zeros(2 * transform.bins * frames)
    waveform = .zeros(2 * samples)
  }

  deinit {
    for buffer in [real, imag, waveform] { buffer.deallocate() }
  }
}

extension UnsafeMutableBufferPointer<Float> {
  /// Memory for `count` numbers, zero at first, aligned for vector instructions; to be deallocated by its owner.
  static func zeros(_ count: Int) -> Self {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count * MemoryLayout<Float>.stride, alignment: 64)
    let buffer = memory.bindMemory(to: Float.self)
    buffer.initialize(repeating: 0)
    return buffer
  }
}
