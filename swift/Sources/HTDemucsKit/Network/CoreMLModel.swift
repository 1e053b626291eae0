import CoreML
import Foundation

/// A package run by Core ML.
///
/// `@unchecked`: `MLModel` is not taken for sendable, whatever an SDK says. Nothing here changes after loading, and
/// whoever holds this makes one prediction after the other.
package final class CoreMLModel: SegmentModel, @unchecked Sendable {
  package let sources: [StemType]
  package let segmentSamples: Int
  private let metadata: PackageMetadata
  private let model: MLModel

  init(model: MLModel, metadata: PackageMetadata) {
    sources = metadata.sources
    segmentSamples = metadata.segmentSamples
    self.metadata = metadata
    self.model = model
  }

  /// Runs the network once.
  ///
  /// - Throws: `AudioProcessingError.unexpectedOutput` if an output is not what the contract says, or Core ML's errors.
  package func predict(_ input: SegmentInput) async throws -> any SegmentOutput {
    precondition(input.samples == segmentSamples, "an input of another length")
    let buffers = [input.real, input.imag, input.waveform]
    var features: [String: Any] = [:]
    for (feature, buffer) in zip(metadata.inputs, buffers) {
      features[feature.name] = MLFeatureValue(multiArray: try Self.array(feature.shape, over: buffer, owner: input))
    }
    let outputs = try await model.prediction(
      from: MLDictionaryFeatureProvider(dictionary: features), options: MLPredictionOptions())
    return try releasingObjects { try Self.output(outputs, metadata) }
  }

  /// The contract's outputs among what Core ML returned.
  ///
  /// - Throws: `AudioProcessingError.unexpectedOutput` if one is missing or of another shape or type.
  static func output(_ outputs: any MLFeatureProvider, _ metadata: PackageMetadata) throws -> any SegmentOutput {
    CoreMLOutput(try metadata.outputs.map { try array($0, of: outputs) })
  }

  private static func array(
    _ feature: ModelDescription.Feature, of outputs: any MLFeatureProvider
  ) throws -> MLMultiArray {
    guard let array = outputs.featureValue(for: feature.name)?.multiArrayValue else {
      throw AudioProcessingError.unexpectedOutput(output: feature.name, reason: "it is missing")
    }
    let shape = array.shape.map(\.intValue)
    guard shape == feature.shape, array.dataType == .float32 else {
      throw AudioProcessingError.unexpectedOutput(
        output: feature.name, reason: "its shape is \(shape), its type number \(array.dataType.rawValue)")
    }
    return array
  }

  private static func array(
    _ shape: [Int], over buffer: UnsafeMutableBufferPointer<Float>, owner: SegmentInput
  ) throws -> MLMultiArray {
    guard let start = buffer.baseAddress else { preconditionFailure("an input without elements") }
    return try MLMultiArray(
      dataPointer: start, shape: shape.map { NSNumber(value: $0) }, dataType: .float32,
      strides: StridedTensor.denseStrides(shape).map { NSNumber(value: $0) },
      deallocator: { _ in withExtendedLifetime(owner) {} })
  }
}

/// Core ML's arrays.
///
/// `@unchecked`: `MLMultiArray` is mutable; these are only read from here on.
private struct CoreMLOutput: SegmentOutput, @unchecked Sendable {
  private let arrays: [MLMultiArray]

  init(_ arrays: [MLMultiArray]) {
    self.arrays = arrays
  }

  func withStems<Result>(_ body: (StemTensors) throws -> Result) throws -> Result {
    try withTensor(0) { real in
      try withTensor(1) { imag in
        try withTensor(2) { waveform in
          try body(StemTensors(real: real, imag: imag, waveform: waveform))
        }
      }
    }
  }

  /// Lends an output without its batch axis.
  private func withTensor<Result>(_ index: Int, _ body: (StridedTensor) throws -> Result) throws -> Result {
    let array = arrays[index]
    let shape = array.shape.map(\.intValue)
    let strides = array.strides.map(\.intValue)
    return try array.withUnsafeBytes { bytes in
      let last = zip(shape, strides).reduce(0) { $0 + ($1.0 - 1) * $1.1 }
      guard let start = bytes.baseAddress, strides.allSatisfy({ $0 >= 0 }),
        (last + 1) * MemoryLayout<Float>.stride <= bytes.count
      else {
        throw AudioProcessingError.unexpectedOutput(
          output: "number \(index)", reason: "strides \(strides) leave its \(bytes.count) bytes")
      }
      return try body(
        StridedTensor(
          start: start.assumingMemoryBound(to: Float.self), shape: Array(shape.dropFirst()),
          strides: Array(strides.dropFirst())))
    }
  }
}
