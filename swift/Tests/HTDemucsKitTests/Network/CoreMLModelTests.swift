import CoreML
import XCTest

@testable import HTDemucsKit

final class CoreMLModelTests: XCTestCase {
  func testOutputsAreReadByTheirStrides() throws {
    let metadata = try metadata()
    let shape = metadata.outputs[2].shape
    var arrays = try arrays(metadata)
    // Rows 10 elements longer than the data in them, the last two axes' places exchanged in memory.
    let padded = try MLMultiArray(shape: [1, 6, shape[3] + 10, 2].map { NSNumber(value: $0) }, dataType: .float32)
    let strides = padded.strides.map(\.intValue)
    try padded.withUnsafeMutableBytes { bytes, _ in
      let start = try XCTUnwrap(bytes.baseAddress).assumingMemoryBound(to: Float.self)
      for source in 0..<6 {
        for channel in 0..<2 {
          start[source * strides[1] + channel + 7 * strides[2]] = Float(10 * source + channel)
        }
      }
      arrays["stems_waveform"] = try MLMultiArray(
        dataPointer: start, shape: shape.map { NSNumber(value: $0) }, dataType: .float32,
        strides: [strides[0], strides[1], 1, strides[2]].map { NSNumber(value: $0) },
        deallocator: nil)
      try CoreMLModel.output(provider(arrays), metadata).withStems { stems in
        XCTAssertEqual(stems.waveform.shape, Array(shape.dropFirst()))
        for source in 0..<6 {
          for channel in 0..<2 {
            XCTAssertEqual(stems.waveform.pointer(source, channel, 7).pointee, Float(10 * source + channel))
          }
        }
      }
    }
  }

  func testOutputsThatAreNotTheContractsAreRefused() throws {
    let metadata = try metadata()
    let whole = try arrays(metadata)
    XCTAssertNoThrow(try CoreMLModel.output(provider(whole), metadata))
    let shape = metadata.outputs[1].shape.map { NSNumber(value: $0) }
    let others: [(MLMultiArray?, String)] = [
      (nil, "it is missing"),
      (try MLMultiArray(shape: shape.dropLast() + [1], dataType: .float32), "its shape is"),
      (try MLMultiArray(shape: shape, dataType: .float16), "its type number \(MLMultiArrayDataType.float16.rawValue)"),
    ]
    for (other, reason) in others {
      var arrays = whole
      arrays["stems_imag"] = other
      XCTAssertThrowsError(try CoreMLModel.output(provider(arrays), metadata)) { error in
        guard case .unexpectedOutput("stems_imag", let actual)? = error as? AudioProcessingError else {
          return XCTFail("\(error)")
        }
        XCTAssertTrue(actual.contains(reason), actual)
      }
    }
  }

  func testComputeUnitsAreCoreMLs() {
    XCTAssertEqual(
      ComputeUnits.allCases.map(\.coreML), [.all, .cpuAndGPU, .cpuAndNeuralEngine, .cpuOnly] as [MLComputeUnits])
  }

  private func metadata() throws -> PackageMetadata { try ModelPackage(contentsOf: TestPackages.small()).metadata }

  private func arrays(_ metadata: PackageMetadata) throws -> [String: MLMultiArray] {
    try Dictionary(
      uniqueKeysWithValues: metadata.outputs.map {
        ($0.name, try MLMultiArray(shape: $0.shape.map { NSNumber(value: $0) }, dataType: .float32))
      })
  }

  private func provider(_ arrays: [String: MLMultiArray]) throws -> any MLFeatureProvider {
    try MLDictionaryFeatureProvider(dictionary: arrays.mapValues { MLFeatureValue(multiArray: $0) })
  }
}
