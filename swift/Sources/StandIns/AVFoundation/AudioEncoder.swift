import CSndfile
import Foundation

/// Writes the sample frames of a new file; its bytes depend on settings and samples alone.
final class AudioEncoder {
  private let url: URL
  private let access: FileAccess
  private let handle: OpaquePointer
  private let encoding: AudioEncoding
  private var integers: [Int32] = []
  private(set) var framesWritten: Int64 = 0

  init(_ url: URL, _ encoding: AudioEncoding) throws {
    self.url = url
    self.encoding = encoding
    var info = SF_INFO()
    info.samplerate = CInt(clamping: encoding.sampleRate)
    info.channels = CInt(clamping: encoding.channels)
    info.format = encoding.libsndfileFormat
    guard sf_format_check(&info) != 0 else {
      throw AudioFileStatus.unsupportedDataFormat.error(url, "a file of this kind cannot hold \(encoding)")
    }
    access = try FileAccess(writing: url)
    var calls = FileAccess.calls
    let opened = sf_open_virtual(&calls, CInt(SFM_WRITE), &info, access.pointer)
    guard let opened else {
      let reason = String(cString: sf_strerror(nil))
      throw access.failure == 0
        ? AudioFileStatus.unsupportedDataFormat.error(url, "a file of this kind cannot hold \(encoding): \(reason)")
        : AudioFileStatus.error(url, "the file cannot be written", errno: access.failure)
    }
    handle = opened
    // The chunk with the peaks has the time of day in it.
    sf_command(handle, CInt(SFC_SET_ADD_PEAK_CHUNK), nil, CInt(SF_FALSE))
  }

  /// Completes the file; one that could not be written whole is emptied.
  deinit {
    sf_close(handle)
    if access.failure != 0 { access.discard() }
  }

  /// Writes frames, interleaved.
  func write(_ samples: UnsafeMutablePointer<Float>, frames: Int) throws {
    let end = framesWritten + Int64(frames)
    guard end * Int64(encoding.channels * encoding.bits / 8) <= encoding.largestDataBytes else {
      throw AudioFileStatus.tooLarge.error(url, "a file of this kind cannot be longer than 4 GiB; take FLAC or CAF")
    }
    let written =
      encoding.isFloat
      ? sf_writef_float(handle, samples, sf_count_t(frames))
      : sf_writef_int(handle, try quantised(samples, frames * encoding.channels), sf_count_t(frames))
    if access.failure != 0 {
      throw AudioFileStatus.error(url, "the file cannot be written", errno: access.failure)
    }
    guard written == sf_count_t(frames) else {
      throw AudioFileStatus.inputOutput.error(
        url, "the file cannot be written: \(String(cString: sf_strerror(handle)))")
    }
    framesWritten = end
  }

  /// Integers of `bits` bits in the upper bits of 32.
  ///
  /// The scale is that of readers, so that what was read from integers is written as the same integers.
  private func quantised(_ samples: UnsafeMutablePointer<Float>, _ count: Int) throws -> [Int32] {
    let fullScale = Double(1 << (encoding.bits - 1))
    integers.removeAll(keepingCapacity: true)
    for index in 0..<count {
      let scaled = (Double(samples[index]) * fullScale).rounded(.toNearestOrEven)
      guard !scaled.isNaN else { throw AudioFileStatus.parameter.error(url, "a sample is NaN; integers have none") }
      integers.append(Int32(min(max(scaled, -fullScale), fullScale - 1)) << (32 - encoding.bits))
    }
    return integers
  }
}
