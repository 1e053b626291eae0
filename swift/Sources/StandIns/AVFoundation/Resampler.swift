import CSoxr

/// Converts the rate of a stream of float32 channels; at equal rates, copies it.
final class Resampler {
  private let soxr: OpaquePointer?

  /// nil where soxr has no memory or cannot convert between the rates.
  ///
  /// - Parameters:
  ///   - inputRate: Rate of what goes in, in Hz.
  ///   - outputRate: Rate of what comes out, in Hz.
  ///   - channels: Number of channels.
  ///   - recipe: One of soxr's qualities.
  init?(from inputRate: Double, to outputRate: Double, channels: Int, recipe: CInt) {
    guard inputRate != outputRate else {
      soxr = nil
      return
    }
    var formats = soxr_io_spec(SOXR_FLOAT32_S, SOXR_FLOAT32_S)
    var quality = soxr_quality_spec(CUnsignedLong(recipe), 0)
    var runtime = soxr_runtime_spec(1)
    var error: soxr_error_t?
    soxr = soxr_create(inputRate, outputRate, CUnsignedInt(channels), &error, &formats, &quality, &runtime)
    guard soxr != nil, error == nil else { return nil }
  }

  deinit { soxr_delete(soxr) }

  /// Takes in some frames and gives out some.
  ///
  /// - Parameters:
  ///   - input: A pointer per channel to the frames; nil at the end of the stream.
  ///   - frames: How many there are.
  ///   - output: A pointer per channel to room for frames.
  ///   - capacity: For how many.
  /// - Returns: How many frames were taken in and given out; nil on failure.
  func process(
    _ input: [UnsafePointer<Float>]?, frames: Int, _ output: [UnsafeMutablePointer<Float>], capacity: Int
  ) -> (used: Int, made: Int)? {
    guard let soxr else {
      let count = min(frames, capacity)
      for (from, to) in zip(input ?? [], output) { to.update(from: from, count: count) }
      return (count, count)
    }
    var (used, made) = (0, 0)
    let inputs = input.map { $0.map { UnsafeRawPointer($0) as UnsafeRawPointer? } }
    var outputs = output.map { UnsafeMutableRawPointer($0) as UnsafeMutableRawPointer? }
    let error =
      if let inputs {
        inputs.withUnsafeBufferPointer { soxr_process(soxr, $0.baseAddress, frames, &used, &outputs, capacity, &made) }
      } else {
        soxr_process(soxr, nil, 0, &used, &outputs, capacity, &made)
      }
    return error == nil ? (used, made) : nil
  }
}
