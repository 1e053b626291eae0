import AVFoundation
import Foundation

/// An audio file that can be read from the start as often as needed, without holding it in memory.
///
/// Opening checks that the file is there, is audio and, where its container tells, is not cut short; reading checks
/// every sample.
package struct AudioInput: Sendable {
  let url: URL
  /// Frames per second.
  package let sampleRateHz: Double
  /// Number of frames.
  package let frames: Int
  /// What the file states, from which `frames` may differ in both directions where it is compressed.
  private let statedFrames: Int
  private let mixer: StereoMixer
  /// The file as it was when it was opened first.
  private let version: FileVersion

  /// More than two weeks at 44.1 kHz, the most that FLAC can state, and few enough for every size that follows from it.
  private static let largestFrames = 1 << 36

  /// - Parameters:
  ///   - url: The file.
  ///   - allowsDownmix: Whether more than two channels are accepted.
  /// - Throws: `AudioProcessingError.unreadableFile`, `.truncatedFile`, `.resampling` or `.channels`; `CancellationError`, for
  ///   to count a compressed file's frames takes a while.
  package init(contentsOf url: URL, allowsDownmix: Bool) throws {
    self.url = url
    version = FileVersion(of: url)
    let container = try Self.container(of: url)
    let file = try Self.open(url)
    // What is read is in the processing format: a decoder may give other rates and channels than the file states.
    sampleRateHz = file.processingFormat.sampleRate
    try StreamResampler.requireSupported(rateHz: sampleRateHz)
    statedFrames = Int(file.length)
    frames = container.statesLength ? statedFrames : try Self.countedFrames(of: url)
    guard frames > 0 else { throw Self.unreadable(url, "it has no samples") }
    guard frames <= Self.largestFrames else {
      throw Self.unreadable(url, "it states \(frames) frames, more than \(Self.largestFrames)")
    }
    mixer = try StereoMixer(
      channels: Int(file.processingFormat.channelCount), allowsDownmix: allowsDownmix, container: container)
  }

  /// A reader at the start that gives stereo blocks at the file's own rate.
  package func stereoReader() throws -> any AudioTrackReader { try Reader(self) }

  private static func container(of url: URL) throws -> AudioContainer {
    let attributes: [FileAttributeKey: Any]
    do {
      attributes = try FileManager.default.attributesOfItem(atPath: url.resolvingSymlinksInPath().path)
    } catch {
      throw unreadable(url, "there is no such file")
    }
    // Opening a pipe would wait for its writer.
    switch attributes[.type] as? FileAttributeType {
    case .typeRegular?: break
    case .typeDirectory?: throw unreadable(url, "it is a folder; name the audio files in it")
    default: throw unreadable(url, "it is not a regular file, and audio is read more than once")
    }
    guard let size = (attributes[.size] as? NSNumber)?.intValue, size > 0 else {
      throw unreadable(url, "it is empty (0 bytes)")
    }
    do {
      let handle = try FileHandle(forReadingFrom: url)
      defer { try? handle.close() }
      let container = AudioContainer(header: [UInt8](try handle.read(upToCount: 12) ?? Data()))
      let missing = try statedBytesMissing(handle, container: container)
      guard missing == 0 else { throw AudioProcessingError.truncatedFile(path: url.path, missing: "\(missing) bytes") }
      return container
    } catch let error as AudioProcessingError {
      throw error
    } catch {
      throw unreadable(url, failureReason(error))
    }
  }

  private static func open(_ url: URL) throws -> AVAudioFile {
    do {
      return try AVAudioFile(forReading: url)
    } catch {
      throw unreadable(
        url, "it is damaged, or not an audio file of a kind that this system reads (\(code(of: error)))")
    }
  }

  /// Number of frames of a compressed file, by decoding it: its header may be a few frames off from what comes out.
  private static func countedFrames(of url: URL) throws -> Int {
    let file = try open(url)
    guard
      let buffer = AVAudioPCMBuffer(
        pcmFormat: file.processingFormat, frameCapacity: AVAudioFrameCount(trackBlockSamples))
    else { throw unreadable(url, "there is no memory for a block of it") }
    var frames = 0
    while frames < file.length {
      try Task.checkCancellation()
      do {
        try releasingObjects { try file.read(into: buffer) }
      } catch {
        // At the end of such a file a read may fail rather than give nothing.
        guard frames >= Int(file.length) - paddingFrames else {
          throw unreadable(url, "it is damaged after \(frames) of \(file.length) frames (\(code(of: error)))")
        }
        return frames
      }
      guard buffer.frameLength > 0 else { break }
      frames += Int(buffer.frameLength)
    }
    guard frames >= Int(file.length) - paddingFrames else {
      throw AudioProcessingError.truncatedFile(path: url.path, missing: "\(Int(file.length) - frames) frames")
    }
    return frames
  }

  /// What encoders and decoders of MP3 and AAC may disagree on: the padding of the first and of the last packet.
  private static let paddingFrames = 2 * 1152

  private static func code(of error: any Error) -> String {
    let error = error as NSError
    return "\(error.domain) \(error.code)"
  }

  private static func changed(_ url: URL) -> AudioProcessingError { unreadable(url, "it changed while it was read") }

  private static func unreadable(_ url: URL, _ reason: String) -> AudioProcessingError {
    .unreadableFile(path: url.path, reason: reason)
  }

  private final class Reader: AudioTrackReader {
    private let input: AudioInput
    private let file: AVAudioFile
    private let buffer: AVAudioPCMBuffer
    private var position = 0

    init(_ input: AudioInput) throws {
      self.input = input
      guard FileVersion(of: input.url) == input.version else { throw AudioInput.changed(input.url) }
      file = try AudioInput.open(input.url)
      guard file.length >= input.statedFrames, file.processingFormat.sampleRate == input.sampleRateHz,
        input.mixer.channels == Int(file.processingFormat.channelCount),
        let buffer = AVAudioPCMBuffer(
          pcmFormat: file.processingFormat, frameCapacity: AVAudioFrameCount(trackBlockSamples))
      else { throw AudioInput.changed(input.url) }
      self.buffer = buffer
    }

    func nextBlock() throws -> Waveform? {
      guard position < input.frames else { return nil }
      do {
        let count = AVAudioFrameCount(min(trackBlockSamples, input.frames - position))
        try releasingObjects { try file.read(into: buffer, frameCount: count) }
      } catch {
        try requireUnchanged()
        throw AudioInput.unreadable(
          input.url, "it is damaged from \(seconds(position)) on (\(AudioInput.code(of: error)))")
      }
      let count = Int(buffer.frameLength)
      guard count > 0, let channels = buffer.floatChannelData else {
        try requireUnchanged()
        throw AudioProcessingError.truncatedFile(
          path: input.url.path, missing: seconds(input.frames - position))
      }
      var block = Waveform(signals: Int(buffer.format.channelCount), samples: count)
      block.values.withUnsafeMutableBufferPointer { values in
        guard let start = values.baseAddress else { return }
        for channel in 0..<block.signals {
          (start + channel * count).update(from: channels[channel], count: count)
        }
      }
      if let place = block.values.withUnsafeBufferPointer({ firstNonFinite(in: $0) }) {
        throw AudioProcessingError.unreadableFile(
          path: input.url.path, reason: "the sample at \(seconds(position + place % count)) is NaN or infinite")
      }
      position += count
      if position == input.frames { try requireUnchanged() }
      return input.mixer.stereo(block)
    }

    /// Checks that nobody wrote into the file that this reads.
    ///
    /// One that was removed, or has another in its place, is still read as it was.
    private func requireUnchanged() throws {
      let now = FileVersion(of: input.url)
      guard !now.isSameFile(as: input.version) || now == input.version else { throw AudioInput.changed(input.url) }
    }

    private func seconds(_ frames: Int) -> String {
      String(format: "%.3f s", Double(frames) / input.sampleRateHz)
    }
  }
}
