// The part of Apple's AVFoundation that this package uses, for systems that lack the framework: files over libsndfile,
// sample rate conversion over soxr. Names, types and behaviour are those of developer.apple.com/documentation/avfaudio
// and of the SDK's headers; AudioFileTests, AudioBufferTests and AudioConverterTests state them. Samples in memory are
// float32 only, and classes are not Sendable even where a newer SDK says that they are.

/// Key of a file's data format: an `AudioFormatID`.
public let AVFormatIDKey = "AVFormatIDKey"
/// Key of a sample rate in Hz.
public let AVSampleRateKey = "AVSampleRateKey"
/// Key of a number of channels.
public let AVNumberOfChannelsKey = "AVNumberOfChannelsKey"
/// Key of the bits of a PCM sample: here 16, 24 or 32.
public let AVLinearPCMBitDepthKey = "AVLinearPCMBitDepthKey"
/// Key of whether PCM samples are big-endian.
public let AVLinearPCMIsBigEndianKey = "AVLinearPCMIsBigEndianKey"
/// Key of whether PCM samples are floating-point numbers.
public let AVLinearPCMIsFloatKey = "AVLinearPCMIsFloatKey"
/// Key of the bits of a sample that an encoder is given: here 16 or 24.
public let AVEncoderBitDepthHintKey = "AVEncoderBitDepthHintKey"

/// Identifies a data format, by four characters.
public typealias AudioFormatID = UInt32

/// `lpcm`: uncompressed samples.
public let kAudioFormatLinearPCM: AudioFormatID = 0x6C70_636D
/// `flac`: FLAC.
public let kAudioFormatFLAC: AudioFormatID = 0x666C_6163

/// The usual algorithm of sample rate conversion.
public let AVSampleRateConverterAlgorithm_Normal = "AVSampleRateConverterAlgorithm_Normal"
/// The best algorithm of sample rate conversion.
public let AVSampleRateConverterAlgorithm_Mastering = "AVSampleRateConverterAlgorithm_Mastering"

/// How good a conversion is.
public enum AVAudioQuality: Int, Sendable {
  /// The least there is.
  case min = 0
  /// Low.
  case low = 0x20
  /// Medium.
  case medium = 0x40
  /// High.
  case high = 0x60
  /// The best there is.
  case max = 0x7F
}
