import CSndfile
import Foundation

/// How a file holds its samples, from the dictionary of settings and the file name's extension.
struct AudioEncoding: CustomStringConvertible {
  let sampleRate: Int
  let channels: Int
  /// Bits of a sample: 16, 24 or 32.
  let bits: Int
  let isFloat: Bool
  let isFLAC: Bool
  private let isBigEndian: Bool
  private let container: Int

  init(_ settings: [String: Any], _ url: URL) throws {
    func number(_ key: String) throws -> Int {
      let integer = (settings[key] as? any BinaryInteger).flatMap { Int(exactly: $0) }
      guard let value = integer ?? (settings[key] as? Double).flatMap({ Int(exactly: $0) }), value > 0 else {
        throw AudioFileStatus.parameter.error(url, "the settings have no positive integer \(key)")
      }
      return value
    }
    let format = try number(AVFormatIDKey)
    guard [kAudioFormatLinearPCM, kAudioFormatFLAC].map(Int.init).contains(format) else {
      throw AudioFileStatus.unsupportedDataFormat.error(
        url, "data format \(format) cannot be written, only PCM and FLAC")
    }
    isFLAC = format == Int(kAudioFormatFLAC)
    sampleRate = try number(AVSampleRateKey)
    channels = try number(AVNumberOfChannelsKey)
    bits = try number(isFLAC ? AVEncoderBitDepthHintKey : AVLinearPCMBitDepthKey)
    isFloat = !isFLAC && settings[AVLinearPCMIsFloatKey] as? Bool ?? false
    isBigEndian = !isFLAC && settings[AVLinearPCMIsBigEndianKey] as? Bool ?? false
    let containers = [
      "wav": SF_FORMAT_WAV, "flac": SF_FORMAT_FLAC, "aif": SF_FORMAT_AIFF, "aiff": SF_FORMAT_AIFF, "caf": SF_FORMAT_CAF,
    ]
    guard let container = containers[url.pathExtension.lowercased()] else {
      throw AudioFileStatus.unsupportedFileType.error(url, "the extension is none of wav, flac, aiff and caf")
    }
    self.container = Int(container)
    let fits =
      switch container {
      case SF_FORMAT_FLAC: isFLAC
      case SF_FORMAT_WAV: !isFLAC && !isBigEndian
      case SF_FORMAT_AIFF: !isFLAC && isBigEndian && !isFloat
      default: !isFLAC
      }
    guard fits, isFloat ? bits == 32 : [16, 24].contains(bits) else {
      throw AudioFileStatus.unsupportedDataFormat.error(url, "a file of this kind cannot hold \(self)")
    }
  }

  var description: String {
    let type = isFLAC ? "FLAC" : isFloat ? "floating-point" : "integer"
    return "\(bits)-bit \(type) samples\(isBigEndian ? ", big-endian" : "") (\(channels) channels, \(sampleRate) Hz)"
  }

  /// Most bytes of samples that the container can state the length of.
  var largestDataBytes: Int64 {
    [Int(SF_FORMAT_WAV), Int(SF_FORMAT_AIFF)].contains(container) ? 0xFFFF_F000 : .max
  }

  var libsndfileFormat: CInt {
    let type = isFloat ? SF_FORMAT_FLOAT : bits == 16 ? SF_FORMAT_PCM_16 : SF_FORMAT_PCM_24
    let order = container == Int(SF_FORMAT_CAF) && !isBigEndian ? SF_ENDIAN_LITTLE : SF_ENDIAN_FILE
    return CInt(container | Int(type) | Int(order))
  }
}
