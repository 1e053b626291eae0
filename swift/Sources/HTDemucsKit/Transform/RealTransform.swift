import Accelerate

/// The Fourier transform of a power of two of real samples, by vDSP, and the memory that one run of it needs.
///
/// Forward gives twice the mathematical transform, the inverse the sum over all bins without a factor.
struct RealTransform: Sendable {
  /// Length of the transform in samples.
  let samples: Int
  private let log2Samples: vDSP_Length
  private let setup: SharedSetup

  /// Tables for transforms of `samples` samples, a power of two.
  ///
  /// Traps where there is no memory for them, as an array would.
  init(samples: Int) {
    precondition(samples >= 2 && samples.nonzeroBitCount == 1, "a transform has a power of two of samples")
    self.samples = samples
    log2Samples = vDSP_Length(samples.trailingZeroBitCount)
    setup = SharedSetup(log2Samples: log2Samples)
  }

  /// Even- and odd-indexed samples to bins, in place; the bin at the Nyquist frequency lies in `imagp[0]`.
  func forward(_ values: SplitBuffer, scratch: SplitBuffer) {
    run(values, scratch, kFFTDirection_Forward)
  }

  /// Bins to even- and odd-indexed samples, in place; the bin at the Nyquist frequency is taken from `imagp[0]`.
  func inverse(_ values: SplitBuffer, scratch: SplitBuffer) {
    run(values, scratch, kFFTDirection_Inverse)
  }

  private func run(_ values: SplitBuffer, _ scratch: SplitBuffer, _ direction: Int) {
    var values = values.split
    var scratch = scratch.split
    vDSP_fft_zript(setup.pointer, &values, 1, &scratch, log2Samples, FFTDirection(direction))
  }
}

/// Frees vDSP's tables with the last transform that uses them.
///
/// `@unchecked`: the tables are never written after they were made, and vDSP documents that transforms share them.
private final class SharedSetup: @unchecked Sendable {
  let pointer: FFTSetup

  init(log2Samples: vDSP_Length) {
    guard let pointer = vDSP_create_fftsetup(log2Samples, FFTRadix(kFFTRadix2)) else {
      preconditionFailure("no memory for a transform of 2^\(log2Samples) samples")
    }
    self.pointer = pointer
  }

  deinit { vDSP_destroy_fftsetup(pointer) }
}

/// Two arrays of floats side by side: real and imaginary parts, or even- and odd-indexed samples.
///
/// Borrowed: valid as long as the `SplitStorage` that it comes from, or as the caller's memory.
struct SplitBuffer {
  let real: UnsafeMutablePointer<Float>
  let imag: UnsafeMutablePointer<Float>

  var split: DSPSplitComplex { DSPSplitComplex(realp: real, imagp: imag) }

  static func + (buffer: SplitBuffer, offset: Int) -> SplitBuffer {
    SplitBuffer(real: buffer.real + offset, imag: buffer.imag + offset)
  }
}

/// Memory for a `SplitBuffer`, aligned for vector instructions, zero at first.
final class SplitStorage {
  let buffer: SplitBuffer
  let count: Int
  private let memory: UnsafeMutableRawPointer

  init(count: Int) {
    let bytes = (count * MemoryLayout<Float>.stride + 63) & ~63
    memory = UnsafeMutableRawPointer.allocate(byteCount: 2 * bytes, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: 2 * bytes)
    buffer = SplitBuffer(
      real: memory.bindMemory(to: Float.self, capacity: count),
      imag: (memory + bytes).bindMemory(to: Float.self, capacity: count))
    self.count = count
  }

  deinit { memory.deallocate() }
}
