import Foundation

/// Audio in memory.
public class AVAudioBuffer: NSObject {
  /// Format of the audio.
  public let format: AVAudioFormat

  init(format: AVAudioFormat) { self.format = format }
}

/// Samples in memory.
public class AVAudioPCMBuffer: AVAudioBuffer {
  /// Number of sample frames that there is memory for.
  public let frameCapacity: AVAudioFrameCount
  /// Number of sample frames that are valid, at most `frameCapacity`; 0 at first.
  public var frameLength: AVAudioFrameCount = 0 {
    didSet { precondition(frameLength <= frameCapacity, "a buffer of \(frameCapacity) frames was given more") }
  }

  /// Distance of neighbouring samples of a channel, in samples.
  public let stride: Int

  private let samples: UnsafeMutableBufferPointer<Float>
  private let channels: UnsafeMutableBufferPointer<UnsafeMutablePointer<Float>>

  /// Memory for so many sample frames; nil where the bytes, or a channel's, do not fit in 32 bits.
  ///
  /// This stand-in has float32 only, and gives nil for other types too. It fills the memory with NaN, since nothing is
  /// documented of what a new buffer holds.
  public init?(pcmFormat format: AVAudioFormat, frameCapacity: AVAudioFrameCount) {
    let channelCount = Int(format.channelCount)
    let (frames, samplesPerFrame) = (Int(frameCapacity), format.isInterleaved ? channelCount : 1)
    guard format.commonFormat == .pcmFormatFloat32, frames * samplesPerFrame * MemoryLayout<Float>.size <= UInt32.max
    else { return nil }
    self.frameCapacity = frameCapacity
    stride = samplesPerFrame
    samples = .allocate(capacity: max(frames * channelCount, 1))
    samples.initialize(repeating: .nan)
    channels = .allocate(capacity: channelCount)
    guard let start = samples.baseAddress else { return nil }
    for channel in 0..<channelCount {
      channels.initializeElement(at: channel, to: start + (format.isInterleaved ? channel : channel * frames))
    }
    super.init(format: format)
  }

  deinit {
    samples.deallocate()
    channels.deallocate()
  }

  /// For every channel, its samples, `stride` apart.
  public var floatChannelData: UnsafePointer<UnsafeMutablePointer<Float>>? { UnsafePointer(channels.baseAddress) }
}

extension AVAudioPCMBuffer {
  /// The same as `floatChannelData`, for a known number of channels.
  var planes: UnsafeBufferPointer<UnsafeMutablePointer<Float>> { UnsafeBufferPointer(channels) }
}
