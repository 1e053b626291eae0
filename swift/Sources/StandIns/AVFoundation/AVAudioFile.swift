import CSndfile
import Foundation

/// An audio file that is open for reading or for writing.
///
/// Read are the kinds that libsndfile knows (WAV, RF64, AIFF, CAF, FLAC, Ogg, MP3, …), written are WAV, AIFF, CAF and
/// FLAC. Errors are `NSError`s of `NSOSStatusErrorDomain`.
public class AVAudioFile: NSObject {
  /// Format of the samples in the file.
  public let fileFormat: AVAudioFormat
  /// Format of the samples that are read or written: float32, not interleaved unless that was asked for.
  public let processingFormat: AVAudioFormat
  /// The sample frame that is read or written next.
  ///
  /// When reading, it may be set; when writing, it may not, in this stand-in.
  public var framePosition: AVAudioFramePosition = 0

  private let url: URL
  private var decoder: AudioDecoder?
  private var encoder: AudioEncoder?
  private let isWriting: Bool
  private var lengthWhenClosed: AVAudioFramePosition = 0
  private var interleaved: [Float] = []

  private static let blockFrames = 8192

  /// Opens a file to be read as float32, not interleaved.
  ///
  /// - Throws: If there is no such file, or it is no audio of a kind that can be read, or is seen to be truncated.
  public convenience init(forReading fileURL: URL) throws {
    try self.init(forReading: fileURL, commonFormat: .pcmFormatFloat32, interleaved: false)
  }

  /// Opens a file to be read in a processing format, which here has to be float32.
  ///
  /// - Throws: If there is no such file, or it is no audio of a kind that can be read, or is seen to be truncated.
  public init(forReading fileURL: URL, commonFormat format: AVAudioCommonFormat, interleaved: Bool) throws {
    try requireFloat32(format, fileURL)
    let decoder = try AudioDecoder(fileURL)
    let channels = AVAudioChannelCount(decoder.info.channels)
    let sampleRate = Double(decoder.info.samplerate)
    url = fileURL
    self.decoder = decoder
    isWriting = false
    let (type, isPCM) = storedFormat(decoder.info.format)
    fileFormat = AVAudioFormat(type, sampleRate, channels, interleaved: isPCM)
    processingFormat = AVAudioFormat(format, sampleRate, channels, interleaved: interleaved)
  }

  /// Opens a new file, in place of what there was; its kind follows from the extension: wav, flac, aiff or caf.
  ///
  /// - Parameters:
  ///   - fileURL: Where to write.
  ///   - settings: What to write: format, rate and channels, and bits: `AVLinearPCMBitDepthKey` of 32 (floating-point),
  ///     24 or 16 for PCM, `AVEncoderBitDepthHintKey` of 24 or 16 for FLAC.
  ///   - format: Type of the samples that are handed over: float32. In files of integers, full scale 1 is
  ///     `2^(bits - 1)`, as in readers; values are rounded to nearest, ties to even, and cut where they do not fit.
  ///   - interleaved: Whether the samples that are handed over are interleaved.
  /// - Throws: If the file cannot be written or cannot be as the settings say.
  public init(
    forWriting fileURL: URL, settings: [String: Any], commonFormat format: AVAudioCommonFormat, interleaved: Bool
  ) throws {
    try requireFloat32(format, fileURL)
    let encoding = try AudioEncoding(settings, fileURL)
    let (sampleRate, channels) = (Double(encoding.sampleRate), AVAudioChannelCount(encoding.channels))
    encoder = try AudioEncoder(fileURL, encoding)
    url = fileURL
    isWriting = true
    let (type, isPCM) = storedFormat(encoding.libsndfileFormat)
    fileFormat = AVAudioFormat(type, sampleRate, channels, interleaved: isPCM)
    processingFormat = AVAudioFormat(format, sampleRate, channels, interleaved: interleaved)
  }

  /// Number of sample frames in the file.
  ///
  /// To know it, an MP3 file has to be decoded once more. A file that turns out to be damaged has a length up to which it cannot be read.
  public var length: AVAudioFramePosition { decoder?.frames ?? encoder?.framesWritten ?? lengthWhenClosed }

  /// Completes a file that is written, and closes it; so does the end of this object's life.
  ///
  /// It cannot fail: a file whose last bytes could not be written is emptied instead.
  public func close() {
    lengthWhenClosed = length
    decoder = nil
    encoder = nil
  }

  /// Reads as many frames as the buffer has room for.
  ///
  /// - Throws: As `read(into:frameCount:)` does.
  public func read(into buffer: AVAudioPCMBuffer) throws {
    try read(into: buffer, frameCount: buffer.frameCapacity)
  }

  /// Reads frames; afterwards the buffer's `frameLength` is how many, and less than asked for at the end of the file.
  ///
  /// - Throws: If the file is closed, was opened for writing or is damaged, or if none is left. (What Apple's does at the
  ///   end is not documented; it was seen to throw an error without a message.)
  public func read(into buffer: AVAudioPCMBuffer, frameCount frames: AVAudioFrameCount) throws {
    buffer.frameLength = 0
    guard let decoder else {
      throw isWriting
        ? AudioFileStatus.permissions.error(url, "the file is open for writing and cannot be read")
        : AudioFileStatus.fileNotFound.error(url, "the file was closed")
    }
    try requireProcessingFormat(buffer)
    if decoder.position != framePosition { try decoder.move(to: framePosition) }
    let wanted = Int(min(frames, buffer.frameCapacity))
    if decoder.position == framePosition {
      while buffer.frameLength < wanted, case let count = try readBlock(decoder, buffer, wanted), count > 0 {
        buffer.frameLength += AVAudioFrameCount(count)
        framePosition += AVAudioFramePosition(count)
      }
    }
    guard buffer.frameLength > 0 || wanted == 0 else {
      throw AudioFileStatus.endOfFile.error(url, "the file has no frame \(framePosition): it ended or is truncated")
    }
  }

  /// Writes the frames of a buffer, as many as its `frameLength` says.
  ///
  /// - Throws: If the file is closed, was opened for reading, or cannot take the samples.
  public func write(from buffer: AVAudioPCMBuffer) throws {
    guard let encoder else {
      throw isWriting
        ? AudioFileStatus.fileNotFound.error(url, "the file was closed")
        : AudioFileStatus.permissions.error(url, "the file is open for reading and cannot be written")
    }
    try requireProcessingFormat(buffer)
    guard framePosition == encoder.framesWritten else {
      throw AudioFileStatus.parameter.error(url, "frame \(framePosition) is not the next one to be written")
    }
    let (frames, channels) = (Int(buffer.frameLength), Int(buffer.format.channelCount))
    for start in stride(from: 0, to: frames, by: Self.blockFrames) {
      let count = min(Self.blockFrames, frames - start)
      try withBlock(count * channels) { samples in
        for (channel, plane) in buffer.planes.enumerated() {
          for frame in 0..<count { samples[frame * channels + channel] = plane[(start + frame) * buffer.stride] }
        }
        try encoder.write(samples, frames: count)
      }
      framePosition = encoder.framesWritten
    }
  }

  private func readBlock(_ decoder: AudioDecoder, _ buffer: AVAudioPCMBuffer, _ wanted: Int) throws -> Int {
    let (start, channels) = (Int(buffer.frameLength), Int(buffer.format.channelCount))
    let frames = min(Self.blockFrames, wanted - start)
    return try withBlock(frames * channels) { samples in
      do {
        let count = try decoder.read(into: samples, frames: frames)
        for (channel, plane) in buffer.planes.enumerated() {
          for frame in 0..<count { plane[(start + frame) * buffer.stride] = samples[frame * channels + channel] }
        }
        return count
      } catch {
        // What was read before is handed over first; the next call meets the same error.
        if start > 0 { return 0 }
        throw error
      }
    }
  }

  private func withBlock<Result>(_ count: Int, _ body: (UnsafeMutablePointer<Float>) throws -> Result) rethrows
    -> Result
  {
    if interleaved.count < count { interleaved = [Float](repeating: 0, count: count) }
    return try interleaved.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { preconditionFailure("a block has at least one sample") }
      return try body(start)
    }
  }

  private func requireProcessingFormat(_ buffer: AVAudioPCMBuffer) throws {
    guard buffer.format == processingFormat else {
      throw AudioFileStatus.parameter.error(url, "the buffer's format is not the file's processing format")
    }
  }
}

private func requireFloat32(_ format: AVAudioCommonFormat, _ url: URL) throws {
  guard format == .pcmFormatFloat32 else {
    throw AudioFileStatus.unsupportedDataFormat.error(url, "samples are read and written as float32 only")
  }
}

/// The type that samples of a libsndfile format are stored as, and whether they are PCM.
private func storedFormat(_ format: CInt) -> (type: AVAudioCommonFormat, isPCM: Bool) {
  let pcm: [(Int, AVAudioCommonFormat)] = [
    (Int(SF_FORMAT_PCM_16), .pcmFormatInt16), (Int(SF_FORMAT_PCM_32), .pcmFormatInt32),
    (Int(SF_FORMAT_FLOAT), .pcmFormatFloat32), (Int(SF_FORMAT_DOUBLE), .pcmFormatFloat64),
    (Int(SF_FORMAT_PCM_24), .otherFormat), (Int(SF_FORMAT_PCM_S8), .otherFormat), (Int(SF_FORMAT_PCM_U8), .otherFormat),
  ]
  let (container, type) = (Int(format) & Int(SF_FORMAT_TYPEMASK), Int(format) & Int(SF_FORMAT_SUBMASK))
  guard container != SF_FORMAT_FLAC, let found = pcm.first(where: { $0.0 == type }) else {
    return (.otherFormat, false)
  }
  let isForeign = container == SF_FORMAT_AIFF || Int(format) & Int(SF_FORMAT_ENDMASK) == SF_ENDIAN_BIG
  return (isForeign ? .otherFormat : found.1, true)
}
