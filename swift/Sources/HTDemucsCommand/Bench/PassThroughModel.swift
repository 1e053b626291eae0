import HTDemucsKit

/// A network that returns the mix as each of six stems.
///
/// A segment's spectrogram is copied once, and all stems are that copy: their axis has stride 0.
struct PassThroughModel: SegmentModel {
  static let stems: [StemType] = [.drums, .bass, .other, .vocals, .guitar, .piano]

  let segmentSamples: Int
  private let silence: Buffer

  /// - Parameter segmentSamples: Length of a segment.
  init(segmentSamples: Int) {
    self.segmentSamples = segmentSamples
    silence = Buffer(repeating: 0, count: segmentSamples)
  }

  var sources: [StemType] { Self.stems }

  func predict(_ input: SegmentInput) async throws -> any SegmentOutput {
    Output(
      real: Buffer(copying: input.real), imag: Buffer(copying: input.imag), silence: silence, frames: input.frames,
      samples: segmentSamples)
  }

  private struct Output: SegmentOutput {
    let real: Buffer
    let imag: Buffer
    let silence: Buffer
    let frames: Int
    let samples: Int

    func withStems<Result>(_ body: (StemTensors) throws -> Result) throws -> Result {
      defer { withExtendedLifetime(self) {} }
      let stems = PassThroughModel.stems.count
      let bins = real.count / (2 * frames)
      func spectrograms(_ buffer: Buffer) -> StridedTensor {
        StridedTensor(start: buffer.start, shape: [stems, 2, bins, frames], strides: [0, bins * frames, frames, 1])
      }
      return try body(
        StemTensors(
          real: spectrograms(real), imag: spectrograms(imag),
          waveform: StridedTensor(start: silence.start, shape: [stems, 2, samples], strides: [0, 0, 1])))
    }
  }

  /// Floats in memory of their own.
  ///
  /// `@unchecked`: raw memory is never sendable to the compiler; this is not changed any more.
  private final class Buffer: @unchecked Sendable {
    let start: UnsafePointer<Float>
    let count: Int
    private let memory: UnsafeMutableBufferPointer<Float>

    private init(_ memory: UnsafeMutableBufferPointer<Float>) {
      self.memory = memory
      count = memory.count
      guard let start = memory.baseAddress else { preconditionFailure("a buffer without elements") }
      self.start = UnsafePointer(start)
    }

    convenience init(repeating value: Float, count: Int) {
      let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
      memory.initialize(repeating: value)
      self.init(memory)
    }

    convenience init(copying values: UnsafeMutableBufferPointer<Float>) {
      let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: values.count)
      _ = memory.initialize(fromContentsOf: values)
      self.init(memory)
    }

    deinit { memory.deallocate() }
  }
}
