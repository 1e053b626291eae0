import Foundation

/// A number of channels.
public typealias AVAudioChannelCount = UInt32
/// A number of sample frames: a frame has one sample of every channel.
public typealias AVAudioFrameCount = UInt32
/// A place in a file, in sample frames.
public typealias AVAudioFramePosition = Int64
/// A number of packets: for PCM, of sample frames.
public typealias AVAudioPacketCount = UInt32

/// Types of samples in memory.
public enum AVAudioCommonFormat: UInt, Sendable {
  /// None of the others, such as 24-bit integers or compressed data.
  case otherFormat = 0
  /// 32-bit floating-point numbers, full scale 1.
  case pcmFormatFloat32 = 1
  /// 64-bit floating-point numbers, full scale 1.
  case pcmFormatFloat64 = 2
  /// 16-bit integers.
  case pcmFormatInt16 = 3
  /// 32-bit integers.
  case pcmFormatInt32 = 4
}

/// Identifies a channel layout; the lower 16 bits are the number of channels.
public typealias AudioChannelLayoutTag = UInt32

/// Channels without roles; to be combined with their number by `|`.
public let kAudioChannelLayoutTag_DiscreteInOrder: AudioChannelLayoutTag = 147 << 16

/// What the channels of audio are.
public class AVAudioChannelLayout: NSObject {
  /// Number of channels.
  public let channelCount: AVAudioChannelCount
  private let tag: AudioChannelLayoutTag

  /// The layout that a tag identifies; nil for the tags 0 and 1 << 16, which say that the layout is described elsewhere.
  public init?(layoutTag: AudioChannelLayoutTag) {
    guard layoutTag & ~(1 << 16) != 0 else { return nil }
    tag = layoutTag
    channelCount = layoutTag & 0xFFFF
  }

  /// Whether another layout is the same.
  override public func isEqual(_ object: Any?) -> Bool { (object as? AVAudioChannelLayout)?.tag == tag }

  /// Equal for equal layouts.
  override public var hash: Int { Int(tag) }
}

/// A format of audio: type, order, rate and number of samples.
public class AVAudioFormat: NSObject {
  /// Type of the samples.
  public let commonFormat: AVAudioCommonFormat
  /// Number of channels.
  public let channelCount: AVAudioChannelCount
  /// Sample frames per second, in Hz.
  public let sampleRate: Double
  /// Whether samples of a frame are neighbours, rather than those of a channel.
  public let isInterleaved: Bool

  init(_ commonFormat: AVAudioCommonFormat, _ sampleRate: Double, _ channels: AVAudioChannelCount, interleaved: Bool) {
    self.commonFormat = commonFormat
    self.sampleRate = sampleRate
    channelCount = channels
    isInterleaved = interleaved
  }

  /// A format of one or two channels; nil for more, which need a layout, and for what no audio can be.
  public convenience init?(
    commonFormat format: AVAudioCommonFormat, sampleRate: Double, channels: AVAudioChannelCount, interleaved: Bool
  ) {
    guard format != .otherFormat, sampleRate > 0, sampleRate.isFinite, (1...2).contains(channels) else { return nil }
    self.init(format, sampleRate, channels, interleaved: interleaved)
  }

  /// A format of the channels of a layout.
  public convenience init(
    commonFormat format: AVAudioCommonFormat, sampleRate: Double, interleaved: Bool,
    channelLayout layout: AVAudioChannelLayout
  ) {
    self.init(format, sampleRate, layout.channelCount, interleaved: interleaved)
  }

  /// Whether another format is equivalent; for mono, whether it is interleaved makes no difference.
  override public func isEqual(_ object: Any?) -> Bool {
    guard let other = object as? AVAudioFormat else { return false }
    return commonFormat == other.commonFormat && channelCount == other.channelCount && sampleRate == other.sampleRate
      && (channelCount == 1 || isInterleaved == other.isInterleaved)
  }

  /// Equal for equivalent formats.
  override public var hash: Int {
    var hasher = Hasher()
    hasher.combine(commonFormat)
    hasher.combine(channelCount)
    hasher.combine(sampleRate)
    return hasher.finalize()
  }
}
