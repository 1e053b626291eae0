import Foundation

/// What a package says of itself, so that hosts never hard-code it.
public struct PackageMetadata: Equatable, Sendable {
  /// Name of the model in the registry, such as `htdemucs_6s`.
  public let model: String
  /// Precision and segment, such as `mixed` or `mixed-7_8s`.
  public let variant: String
  /// The stems in the order of the outputs' second axis.
  public let sources: [StemType]
  /// Sample rate of the waveform in hertz.
  public let sampleRateHz: Double
  /// What the network reads at once, in samples.
  public let segmentSamples: Int
  /// Length of the STFT's window in samples.
  public let transformSamples: Int
  /// Distance between the STFT's frames in samples.
  public let hopSamples: Int
  /// Digest of the weights that were converted, over their canonical tensors.
  public let weightsSHA256: String
  /// Digest of the package's `weight.bin`.
  public let weightBinSHA256: String
  /// Digest of the package's `model.mlmodel`, this very value written as 64 zeros in it.
  public let modelSHA256: String

  /// The entries as a package stores them, by name.
  public let entries: [String: String]

  struct Malformed: Error, Equatable {
    let reason: String
  }

  private static let keys = [
    "hop_length", "model", "model_sha256", "n_fft", "sample_rate", "segment_samples", "sources", "variant",
    "weight_bin_sha256", "weights_sha256",
  ]
  private static let supported = (sampleRate: 44_100, window: 4096, hop: 1024)
  /// A minute: far more than any network reads, for which its inputs take 106 MB of memory.
  private static let largestSegmentSamples = 60 * 44_100
  /// Far more than any network separates.
  private static let mostSources = 64

  /// Checks the entries of a package.
  ///
  /// - Parameter entries: The model's user-defined metadata.
  /// - Throws: `Malformed` if an entry is missing or malformed, or asks for an STFT that the kit does not compute.
  init(entries: [String: String]) throws {
    func text(_ key: String) throws -> String {
      guard let value = entries[key] else { throw Malformed(reason: "lacks \(key)") }
      return value
    }
    func number(_ key: String) throws -> Int {
      guard let value = Int(try text(key)) else { throw Malformed(reason: "has no number as \(key)") }
      return value
    }
    func digest(_ key: String) throws -> String {
      let value = try text(key)
      guard value.utf8.count == 64, value.utf8.allSatisfy({ isDigit($0) || (97...102).contains($0) }) else {
        throw Malformed(reason: "has no sha256 as \(key)")
      }
      return value
    }
    model = try text("model")
    variant = try text("variant")
    sources = try Self.sources(try text("sources"))
    let sampleRate = try number("sample_rate")
    segmentSamples = try number("segment_samples")
    transformSamples = try number("n_fft")
    hopSamples = try number("hop_length")
    weightsSHA256 = try digest("weights_sha256")
    weightBinSHA256 = try digest("weight_bin_sha256")
    modelSHA256 = try digest("model_sha256")
    guard (sampleRate, transformSamples, hopSamples) == Self.supported,
      (transformSamples...Self.largestSegmentSamples).contains(segmentSamples)
    else {
      throw Malformed(
        reason: "asks for sample rate, STFT window and hop \(sampleRate), \(transformSamples), \(hopSamples) and "
          + "segments of \(segmentSamples) samples; this version computes \(Self.supported) and segments of "
          + "\(Self.supported.window) to \(Self.largestSegmentSamples) samples")
    }
    sampleRateHz = Double(sampleRate)
    self.entries = entries.filter { Self.keys.contains($0.key) }
  }

  /// Number of frames of a segment's spectrogram.
  public var segmentFrames: Int { (segmentSamples + hopSamples - 1) / hopSamples }

  /// Shapes of the network's inputs, in the order of the contract.
  package var inputs: [ModelDescription.Feature] {
    let spectrogram = [1, 2, transformSamples / 2, segmentFrames]
    return [
      .init(name: "spectrogram_real", shape: spectrogram, isFloat32: true),
      .init(name: "spectrogram_imag", shape: spectrogram, isFloat32: true),
      .init(name: "waveform", shape: [1, 2, segmentSamples], isFloat32: true),
    ]
  }

  /// Shapes of the network's outputs, in the order of the contract.
  package var outputs: [ModelDescription.Feature] {
    let spectrograms = [1, sources.count, 2, transformSamples / 2, segmentFrames]
    return [
      .init(name: "stems_real", shape: spectrograms, isFloat32: true),
      .init(name: "stems_imag", shape: spectrograms, isFloat32: true),
      .init(name: "stems_waveform", shape: [1, sources.count, 2, segmentSamples], isFloat32: true),
    ]
  }

  private static func sources(_ json: String) throws -> [StemType] {
    guard let names = try? JSONDecoder().decode([String].self, from: Data(json.utf8)), !names.isEmpty,
      Set(names).count == names.count
    else { throw Malformed(reason: "has no list of different names as sources") }
    guard names.count <= mostSources else {
      throw Malformed(reason: "has \(names.count) sources; more than \(mostSources) are refused")
    }
    for name in names where !isStemName(name) {
      throw Malformed(reason: "has a stem \(name.debugDescription); a name is made of a to z, 0 to 9, - and _")
    }
    return names.map(StemType.init(rawValue:))
  }

  /// A name that can be a file's on every system.
  private static func isStemName(_ name: String) -> Bool {
    (1...64).contains(name.utf8.count)
      && name.utf8.allSatisfy { (97...122).contains($0) || isDigit($0) || $0 == 45 || $0 == 95 }
  }
}

private func isDigit(_ character: UInt8) -> Bool { (48...57).contains(character) }
