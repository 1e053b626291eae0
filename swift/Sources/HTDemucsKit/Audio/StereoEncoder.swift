import AVFoundation
import Foundation

/// Encodes interleaved stereo samples into a file.
protocol StereoEncoder {
  func write(_ samples: [Float]) throws
  func finish() throws
}

/// Rounds to an integer of `bits` bits, full scale being `2^(bits - 1)`: the scale of readers, so that what was read from
/// integers is written as the same integers.
private func quantised(_ sample: Float, bits: Int) -> Int32 {
  let fullScale = Double(1 << (bits - 1))
  return Int32(min(max((Double(sample) * fullScale).rounded(.toNearestOrEven), -fullScale), fullScale - 1))
}

/// WAV by the project's own hand: AVFoundation promises neither the same bytes every time nor 64-bit sizes.
struct WAVEncoder: StereoEncoder {
  private let file: OutputFile
  private let encoding: AudioFileFormat.Encoding

  init(_ url: URL, _ encoding: AudioFileFormat.Encoding, sampleRateHz: Double, frames: Int) throws {
    self.encoding = encoding
    file = try OutputFile(creating: url)
    try file.write(wavHeader(encoding, sampleRateHz: Int(sampleRateHz), frames: frames))
  }

  func write(_ samples: [Float]) throws {
    switch encoding {
    case .float32:
      try file.write(valuesOf: samples)
    case .int16:
      try file.write(valuesOf: samples.map { Int16(truncatingIfNeeded: quantised($0, bits: 16)).littleEndian })
    case .int24:
      try file.write(
        valuesOf: [UInt8](unsafeUninitializedCapacity: 3 * samples.count) { bytes, initialised in
          for (index, sample) in samples.enumerated() {
            let integer = UInt32(bitPattern: quantised(sample, bits: 24))
            for byte in 0..<3 { bytes[3 * index + byte] = UInt8(truncatingIfNeeded: integer >> (8 * byte)) }
          }
          initialised = 3 * samples.count
        })
    }
  }

  func finish() throws { try file.finish() }
}

/// FLAC by AVFoundation.
final class FLACEncoder: StereoEncoder {
  private let url: URL
  private let file: AVAudioFile
  private let buffer: AVAudioPCMBuffer
  private let bits: Int
  private var frames = 0

  init(_ url: URL, _ encoding: AudioFileFormat.Encoding, sampleRateHz: Double) throws {
    self.url = url
    bits = encoding.integerBits ?? 24
    do {
      file = try AVAudioFile(
        forWriting: url,
        settings: [
          AVFormatIDKey: kAudioFormatFLAC, AVSampleRateKey: sampleRateHz, AVNumberOfChannelsKey: 2,
          AVEncoderBitDepthHintKey: bits,
        ], commonFormat: .pcmFormatFloat32, interleaved: false)
    } catch {
      throw AudioProcessingError.unwritable(path: url.path, reason: failureReason(error))
    }
    guard
      let buffer = AVAudioPCMBuffer(
        pcmFormat: file.processingFormat, frameCapacity: AVAudioFrameCount(trackBlockSamples))
    else { throw AudioProcessingError.unwritable(path: url.path, reason: "there is no memory for a block") }
    self.buffer = buffer
  }

  func write(_ samples: [Float]) throws {
    let fullScale = Float(1 << (bits - 1))
    guard let channels = buffer.floatChannelData else { return }
    frames += samples.count / 2
    for start in stride(from: 0, to: samples.count / 2, by: trackBlockSamples) {
      let count = min(trackBlockSamples, samples.count / 2 - start)
      for index in 0..<count {
        for channel in 0..<2 {
          channels[channel][index] = Float(quantised(samples[2 * (start + index) + channel], bits: bits)) / fullScale
        }
      }
      buffer.frameLength = AVAudioFrameCount(count)
      do {
        try releasingObjects { try file.write(from: buffer) }
      } catch {
        throw AudioProcessingError.unwritable(path: url.path, reason: failureReason(error))
      }
    }
  }

  func finish() throws {
    file.close()
    // Closing tells no errors, such as that of a full disk.
    guard let whole = try? AVAudioFile(forReading: url), whole.length == frames else {
      throw AudioProcessingError.unwritable(path: url.path, reason: "not all of it reached the disk")
    }
    try synchronise(url)
  }
}
