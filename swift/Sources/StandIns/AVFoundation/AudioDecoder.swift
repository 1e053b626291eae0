import CSndfile
import Foundation

/// Reads the sample frames of a file, from the start or from any other place.
final class AudioDecoder {
  private let url: URL
  private var stream: Stream
  private let hidesLength: Bool
  /// Frames that the file states; nil if it does not.
  private let statedFrames: Int64?
  /// Whether what the file states of its frames, if it does, can be relied on.
  private let isExact: Bool
  private lazy var countedFrames = countFrames()
  /// The next frame that is read.
  private(set) var position: Int64 = 0

  /// Encoders and decoders of MP3 may disagree on the padding of the first and of the last frame of 1152.
  private static let mp3Tolerance: Int64 = 2 * 1152

  init(_ url: URL) throws {
    self.url = url
    let seekable = try Stream(url)
    let isMP3 = seekable.container == SF_FORMAT_MPEG
    let streamed = isMP3 ? try Stream(url, hidesLength: true) : seekable
    // libsndfile guesses the length of an MP3 file that does not state it from the bit rate of its first frame, and
    // reads no further. Where it cannot see the file's end it does not guess, and reads to that end.
    let isUnstated = streamed.info.frames == Int64.max
    stream = isUnstated ? streamed : seekable
    hidesLength = isMP3 && isUnstated
    statedFrames = isUnstated ? nil : streamed.info.frames
    isExact = !isMP3 && !isUnstated
    try requireWhole()
  }

  var info: SF_INFO { stream.info }

  /// Number of frames that can be read; for a damaged file, more than that, so that reading it to its length fails.
  ///
  /// An MP3 file is decoded to know it, as is one that does not state it.
  var frames: Int64 { countedFrames }

  /// Reads up to so many frames, interleaved, and returns how many.
  func read(into samples: UnsafeMutablePointer<Float>, frames: Int) throws -> Int {
    let count = stream.read(into: samples, frames: frames)
    position += Int64(count)
    if let failure = stream.failure { throw AudioFileStatus.error(url, "the file cannot be read", errno: failure) }
    if count == 0 && stream.hasFailed {
      throw AudioFileStatus.invalidFile.error(
        url, "the file is truncated or damaged: it cannot be decoded beyond frame \(position)")
    }
    return count
  }

  /// Goes to a frame, or to the end if there are fewer.
  func move(to frame: Int64) throws {
    if isExact {
      let target = min(max(frame, 0), stream.info.frames)
      guard stream.seek(to: target) else {
        throw AudioFileStatus.invalidFile.error(url, "the file is damaged: frame \(target) cannot be found")
      }
      position = target
      return
    }
    // Decoding from the start gives the same samples as ever, unlike a leap into an MP3 file.
    if frame < position {
      stream = try Stream(url, hidesLength: hidesLength)
      position = 0
    }
    var skipped = [Float](repeating: 0, count: 4096 * Int(info.channels))
    try skipped.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      while position < frame, try read(into: start, frames: min(4096, Int(frame - position))) > 0 {}
    }
  }

  private func requireWhole() throws {
    let missing = Truncation.missingBytes(libsndfileLog: stream.log)
    if missing > 0 {
      throw AudioFileStatus.invalidFile.error(
        url, "the file is truncated, \(missing) bytes of its samples are missing")
    }
    if stream.container == SF_FORMAT_FLAC && stream.info.frames == Int64.max {
      // libsndfile 1.2.2 loses the end of such a file.
      throw AudioFileStatus.unsupportedDataFormat.error(
        url, "this FLAC file does not state its length; write it anew, as with flac or ffmpeg")
    }
    if stream.container == SF_FORMAT_OGG, try Truncation.lacksOggPages(url) {
      throw AudioFileStatus.invalidFile.error(url, "the file is truncated or damaged, pages of it are missing")
    }
  }

  private func countFrames() -> Int64 {
    let stated = statedFrames ?? 0
    if isExact { return stated }
    guard let stream = try? Stream(url, hidesLength: hidesLength) else { return stated + 1 }
    var counted: Int64 = 0
    var samples = [Float](repeating: 0, count: 65536 * Int(info.channels))
    samples.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      while case let count = stream.read(into: start, frames: 65536), count > 0 { counted += Int64(count) }
    }
    let isWhole = !stream.hasFailed && stream.failure == nil && counted >= stated - Self.mp3Tolerance
    return isWhole ? counted : max(stated, counted + 1)
  }
}

/// A file that libsndfile decodes.
private final class Stream {
  private let access: FileAccess
  private let handle: OpaquePointer
  let info: SF_INFO

  init(_ url: URL, hidesLength: Bool = false) throws {
    let access = try FileAccess(reading: url, hidesLength: hidesLength)
    var (calls, info) = (FileAccess.calls, SF_INFO())
    let handle = DecoderMessages.discarded { sf_open_virtual(&calls, CInt(SFM_READ), &info, access.pointer) }
    guard let handle else {
      if access.failure != 0 {
        throw AudioFileStatus.error(url, "the file cannot be read", errno: access.failure)
      }
      throw Self.refusal(sf_error(nil)).error(
        url, "this is not an audio file of a kind that can be read, such as WAV, FLAC, MP3 or Ogg")
    }
    self.access = access
    self.handle = handle
    self.info = info
  }

  deinit { sf_close(handle) }

  /// libsndfile's name of the file's kind.
  var container: Int { Int(info.format) & Int(SF_FORMAT_TYPEMASK) }

  /// Whether decoding came to something that it does not understand.
  var hasFailed: Bool { sf_error(handle) != 0 }

  /// An error of the system, as in `errno`.
  var failure: CInt? { access.failure == 0 ? nil : access.failure }

  /// What libsndfile found in the file's header.
  var log: String {
    var buffer = [CChar](repeating: 0, count: 1 << 16)
    let count = sf_command(handle, CInt(SFC_GET_LOG_INFO), &buffer, CInt(buffer.count))
    return String(decoding: buffer.prefix(max(0, Int(count))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  func read(into samples: UnsafeMutablePointer<Float>, frames: Int) -> Int {
    DecoderMessages.discarded { Int(sf_readf_float(handle, samples, sf_count_t(frames))) }
  }

  func seek(to frame: Int64) -> Bool { sf_seek(handle, frame, SEEK_SET) == frame }

  private static func refusal(_ code: CInt) -> AudioFileStatus {
    switch Int(code) {
    case Int(SF_ERR_UNRECOGNISED_FORMAT): .unsupportedFileType
    case Int(SF_ERR_UNSUPPORTED_ENCODING): .unsupportedDataFormat
    default: .invalidFile
    }
  }
}
