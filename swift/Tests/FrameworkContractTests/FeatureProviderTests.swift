import CoreML
import XCTest

/// What Apple documents of feature values, their providers and the configuration of models.
///
/// Sources: developer.apple.com/documentation/coreml, the page of each class, and their headers in Apple's SDKs.
final class FeatureProviderTests: XCTestCase {
  func testAFeatureValueHoldsTheArrayItself() throws {
    let array = try MLMultiArray(shape: [1], dataType: .float32)
    XCTAssertIdentical(MLFeatureValue(multiArray: array).multiArrayValue, array)
  }

  func testADictionaryProvidesValuesByName() throws {
    let array = try MLMultiArray(shape: [1], dataType: .float32)
    let value = MLFeatureValue(multiArray: array)
    let provider: any MLFeatureProvider = try MLDictionaryFeatureProvider(dictionary: ["a": value, "b": array])
    XCTAssertEqual(provider.featureNames, ["a", "b"])
    XCTAssertIdentical(provider.featureValue(for: "a")?.multiArrayValue, array)
    XCTAssertIdentical(provider.featureValue(for: "b")?.multiArrayValue, array)
    XCTAssertNil(provider.featureValue(for: "c"))
  }

  func testADictionaryOfSomethingElseIsAnError() {
    struct Something {}
    XCTAssertThrowsError(try MLDictionaryFeatureProvider(dictionary: ["a": Something()]))
  }

  func testComputeUnitsHaveApplesRawValuesAndAreAllUnlessSaidOtherwise() {
    XCTAssertEqual(MLComputeUnits.cpuOnly.rawValue, 0)
    XCTAssertEqual(MLComputeUnits.cpuAndGPU.rawValue, 1)
    XCTAssertEqual(MLComputeUnits.all.rawValue, 2)
    XCTAssertEqual(MLComputeUnits.cpuAndNeuralEngine.rawValue, 3)
    let configuration = MLModelConfiguration()
    XCTAssertEqual(configuration.computeUnits, .all)
    configuration.computeUnits = .cpuOnly
    XCTAssertEqual(configuration.computeUnits, .cpuOnly)
  }
}
