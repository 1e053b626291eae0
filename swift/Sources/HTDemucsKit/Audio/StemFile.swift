import Foundation

/// A stereo file that is written block by block; whole when it is finished.
final class StemFile {
  private let format: AudioFileFormat
  private let clipMode: ClipMode
  private let announcedFrames: Int
  private let encoder: any StereoEncoder
  /// With clip mode `rescale`, the samples as they came, until the peak is known.
  private let spool: OutputFile?
  private let spoolPlace: URL
  private let url: URL
  private var frames = 0
  private var peak: Float = 0
  private var cutSamples = 0

  private static let clampedPeak: Float = 0.99
  private static let rescaledHeadroom: Float = 1.01

  /// - Parameters:
  ///   - url: Where to write; nothing may be there. On failure a part may remain, so write to a temporary place.
  ///   - format: Container and encoding.
  ///   - clipMode: What is done about samples beyond full scale.
  ///   - sampleRateHz: Frames per second, a whole number.
  ///   - frames: Exact length.
  /// - Throws: `AudioProcessingError.unwritable`.
  init(
    creating url: URL, format: AudioFileFormat, clipMode: ClipMode, sampleRateHz: Double, frames: Int
  ) throws {
    self.url = url
    self.format = format
    self.clipMode = clipMode
    announcedFrames = frames
    encoder =
      switch format.container {
      case .wav: try WAVEncoder(url, format.encoding, sampleRateHz: sampleRateHz, frames: frames)
      case .flac: try FLACEncoder(url, format.encoding, sampleRateHz: sampleRateHz)
      }
    spoolPlace = url.appendingPathExtension("spool")
    spool = clipMode == .rescale ? try OutputFile(creating: spoolPlace, for: url) : nil
  }

  /// Writes the next frames, `[2, n]`.
  func write(_ block: Waveform) throws {
    frames += block.samples
    if let spool {
      peak = block.values.reduce(peak) { max($0, abs($1)) }
      return try spool.write(valuesOf: interleaved(block))
    }
    try encode(interleaved(block), gain: 1)
  }

  /// What happened to samples that did not fit.
  struct Losses: Equatable {
    /// Samples beyond full scale that were cut.
    var cutSamples = 0
    /// By how much the whole file was made quieter, in decibels; 0 where it was not.
    var attenuationDB = 0.0
  }

  /// Brings the file to the disk.
  ///
  /// - Throws: `AudioProcessingError.unwritable`, or `CancellationError`.
  func finish() throws -> Losses {
    precondition(frames == announcedFrames, "\(frames) frames were written where \(announcedFrames) were announced")
    var gain: Float = 1
    if let spool {
      gain = 1 / max(Self.rescaledHeadroom * peak, 1)
      try spool.readBack(8 * trackBlockSamples) {
        try Task.checkCancellation()
        try encode(Array($0.bindMemory(to: Float.self)), gain: gain)
      }
      try FileManager.default.removeItem(at: spoolPlace)
    }
    try encoder.finish()
    return Losses(cutSamples: cutSamples, attenuationDB: -20 * log10(Double(gain)))
  }

  /// Encodes interleaved samples.
  private func encode(_ samples: [Float], gain: Float) throws {
    var samples = samples
    if gain != 1 {
      samples.withUnsafeMutableBufferPointer { for index in $0.indices { $0[index] *= gain } }
    }
    if clipMode == .clamp {
      samples.withUnsafeMutableBufferPointer {
        for index in $0.indices { $0[index] = min(max($0[index], -Self.clampedPeak), Self.clampedPeak) }
      }
    }
    guard let bits = format.encoding.integerBits else { return try encoder.write(samples) }
    let fullScale = Float(1 << (bits - 1))
    cutSamples += samples.count { $0 < -1 || $0 * fullScale > fullScale - 0.5 }
    try encoder.write(samples)
  }
}

private func interleaved(_ block: Waveform) -> [Float] {
  let count = block.samples
  return [Float](unsafeUninitializedCapacity: 2 * count) { target, initialised in
    block.values.withUnsafeBufferPointer { values in
      for index in 0..<count {
        target[2 * index] = values[index]
        target[2 * index + 1] = values[count + index]
      }
    }
    initialised = 2 * count
  }
}
