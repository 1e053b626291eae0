import CoreML
import XCTest

/// What Apple documents of compiling, loading and predicting, with a package of the core's form.
///
/// Sources: developer.apple.com/documentation/coreml/mlmodel, "Downloading and compiling a model on the user's device",
/// and the headers of Apple's SDKs.
final class ModelTests: XCTestCase {
  private var folder: URL { temporaryFolder.url }
  private var temporaryFolder: TemporaryFolder!

  override func setUpWithError() throws { temporaryFolder = try TemporaryFolder() }

  override func tearDown() { temporaryFolder.remove() }

  func testCompilingGivesAFolderInATemporaryPlaceThatCanBeMoved() async throws {
    let package = try SmallModel.package()
    let compiled = try await MLModel.compileModel(at: package)
    XCTAssertEqual(compiled.pathExtension, "mlmodelc")
    XCTAssertFalse(compiled.path.hasPrefix(package.deletingLastPathComponent().path))
    var isFolder: ObjCBool = false
    XCTAssertTrue(FileManager.default.fileExists(atPath: compiled.path, isDirectory: &isFolder))
    XCTAssertTrue(isFolder.boolValue)
    let place = folder.appendingPathComponent("elsewhere.mlmodelc")
    try FileManager.default.moveItem(at: compiled, to: place)
    _ = try await MLModel.load(contentsOf: place, configuration: MLModelConfiguration())
  }

  func testWhatIsNoPackageIsNotCompiled() async throws {
    let empty = folder.appendingPathComponent("empty.mlpackage")
    try FileManager.default.createDirectory(at: empty, withIntermediateDirectories: true)
    for url in [folder.appendingPathComponent("absent.mlpackage"), empty] {
      await assertThrowsError(try await MLModel.compileModel(at: url))
    }
  }

  func testAPackageWithALinkInItIsNotCompiled() async throws {
    let package = try SmallModel.copy(in: folder)
    let weights = package.appendingPathComponent("Data/com.apple.CoreML/weights")
    let elsewhere = folder.appendingPathComponent("weights")
    try FileManager.default.moveItem(at: weights, to: elsewhere)
    try FileManager.default.createSymbolicLink(at: weights, withDestinationURL: elsewhere)
    await assertThrowsError(try await MLModel.compileModel(at: package))
  }

  func testOnlyCompiledModelsAreLoaded() async throws {
    for url in [try SmallModel.package(), folder, folder.appendingPathComponent("absent.mlmodelc")] {
      await assertThrowsError(try await MLModel.load(contentsOf: url, configuration: MLModelConfiguration()))
    }
  }

  func testPredictionsAreThePackages() async throws {
    let outputs = try await loaded().prediction(from: SmallModel.inputs(), options: MLPredictionOptions())
    XCTAssertEqual(outputs.featureNames, Set(SmallModel.outputShapes.keys))
    // What the project's interpreter in Python gives for the same inputs.
    let expected: [(String, [Int], Float)] = [
      ("stems_real", [0, 0, 0, 100, 3], -0.47531784),
      ("stems_real", [0, 5, 1, 2047, 10], -0.03377295),
      ("stems_real", [0, 3, 1, 7, 0], -0.24444339),
      ("stems_imag", [0, 0, 0, 100, 3], -0.08095331),
      ("stems_imag", [0, 5, 1, 2047, 10], -0.00733244),
      ("stems_imag", [0, 3, 1, 7, 0], 0.16417500),
      ("stems_waveform", [0, 0, 0, 100], -0.06156221),
      ("stems_waveform", [0, 5, 1, 11263], -0.33673471),
      ("stems_waveform", [0, 3, 1, 5000], 0.31486005),
    ]
    for (name, index, value) in expected {
      let array = try XCTUnwrap(outputs.featureValue(for: name)?.multiArrayValue)
      XCTAssertEqual(array.float(at: index), value, accuracy: 1e-4, "\(name) at \(index)")
    }
  }

  func testOutputsHaveTheirShapesAndStridesThatReachEveryElement() async throws {
    let outputs = try await loaded().prediction(from: SmallModel.inputs(), options: MLPredictionOptions())
    for (name, shape) in SmallModel.outputShapes {
      let array = try XCTUnwrap(outputs.featureValue(for: name)?.multiArrayValue)
      XCTAssertEqual(array.shape, shape as [NSNumber])
      XCTAssertEqual(array.dataType, .float32)
      XCTAssertEqual(array.strides.count, shape.count)
      XCTAssertEqual(array.floats.count, array.count)
      XCTAssertTrue(array.floats.allSatisfy(\.isFinite), name)
    }
  }

  func testInputsMayHaveStrides() async throws {
    let model = try await loaded()
    let whole = try await model.prediction(from: SmallModel.inputs(), options: MLPredictionOptions())
    let shape = try XCTUnwrap(SmallModel.inputShapes["waveform"])
    let (length, row) = (shape[2], shape[2] + 5)
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: 2 * row)
    memory.update(repeating: .nan, count: 2 * row)
    for (index, value) in noise(2 * length).enumerated() { memory[index / length * row + index % length] = value }
    let padded = try MLMultiArray(
      dataPointer: memory, shape: shape as [NSNumber], dataType: .float32, strides: [2 * row, row, 1] as [NSNumber],
      deallocator: { $0.deallocate() })
    var values = try valuesOfInputs()
    values["waveform"] = padded
    let strided = try await model.prediction(
      from: MLDictionaryFeatureProvider(dictionary: values), options: MLPredictionOptions())
    for name in SmallModel.outputShapes.keys {
      let (a, b) = (whole.featureValue(for: name)?.multiArrayValue, strided.featureValue(for: name)?.multiArrayValue)
      XCTAssertTrue(try XCTUnwrap(a).floats == XCTUnwrap(b).floats, name)
    }
  }

  func testPredictionsCanBeRepeatedAndAreNotMixedUp() async throws {
    let model = try await loaded()
    let first = try await model.prediction(from: SmallModel.inputs(), options: MLPredictionOptions())
    let other = try await model.prediction(from: SmallModel.inputs(scale: 0.5), options: MLPredictionOptions())
    let again = try await model.prediction(from: SmallModel.inputs(), options: MLPredictionOptions())
    let arrays = try [first, other, again].map {
      try XCTUnwrap($0.featureValue(for: "stems_waveform")?.multiArrayValue).floats
    }
    XCTAssertTrue(arrays[0] == arrays[2])
    XCTAssertFalse(arrays[0] == arrays[1])
  }

  func testMissingAndWrongInputsAreErrorsOfThatPredictionOnly() async throws {
    let model = try await loaded()
    let changes: [(String, MLMultiArray?)] = [
      ("waveform", nil),
      ("waveform", try SmallModel.multiArray(of: [1, 2, 11263])),
      ("waveform", try SmallModel.multiArray(of: [2, 11264])),
      ("spectrogram_imag", try SmallModel.multiArray(of: [1, 2, 2048, 12])),
    ]
    for (name, array) in changes {
      var values = try valuesOfInputs()
      values[name] = array
      let inputs = try MLDictionaryFeatureProvider(dictionary: values)
      await assertThrowsError(try await model.prediction(from: inputs, options: MLPredictionOptions())) {
        XCTAssertEqual(($0 as NSError).domain, MLModelErrorDomain)
        #if os(Linux)
          XCTAssertTrue($0.localizedDescription.contains(name), $0.localizedDescription)
        #endif
      }
    }
    _ = try await model.prediction(from: SmallModel.inputs(), options: MLPredictionOptions())
  }

  func testFeaturesThatTheModelDoesNotKnowAreIgnored() async throws {
    var values = try valuesOfInputs()
    values["another"] = try SmallModel.multiArray(of: [1])
    _ = try await loaded().prediction(
      from: MLDictionaryFeatureProvider(dictionary: values), options: MLPredictionOptions())
  }

  private func loaded() async throws -> MLModel {
    let configuration = MLModelConfiguration()
    configuration.computeUnits = .cpuOnly
    return try await MLModel.load(contentsOf: SmallModel.compiled(in: folder), configuration: configuration)
  }

  private func valuesOfInputs() throws -> [String: MLMultiArray] {
    try SmallModel.inputShapes.mapValues { try SmallModel.multiArray(of: $0) }
  }
}

func assertThrowsError<Result>(
  _ expression: @autoclosure () async throws -> Result, file: StaticString = #filePath, line: UInt = #line,
  _ check: (any Error) -> Void = { _ in }
) async {
  do {
    _ = try await expression()
    XCTFail("no error", file: file, line: line)
  } catch {
    check(error)
  }
}
