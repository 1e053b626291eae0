import Foundation

/// A model that makes predictions.
///
/// Here the project's interpreter makes them, in a child process that lives as long as the model. It is the program that
/// `HTDEMUCS_INTERPRETER` names, else `htdemucs-interpreter` in a folder above the running program's, where
/// `just build-swift` puts it.
open class MLModel: NSObject {
  private let predictions: PredictionQueue
  private let interface: InterpreterInterface

  private init(predictions: PredictionQueue, interface: InterpreterInterface) {
    self.predictions = predictions
    self.interface = interface
    super.init()
  }

  /// Compiles a package for this machine.
  ///
  /// - Parameter modelURL: The package.
  /// - Returns: The compiled model, a folder in a temporary place; move it to keep it.
  /// - Throws: An `NSError` if it is no package, or a link is in it.
  public class func compileModel(at modelURL: URL) async throws -> URL {
    try await withCheckedThrowingContinuation { continuation in
      DispatchQueue.global().async {
        continuation.resume(with: Result { try CompiledModel.make(from: modelURL) })
      }
    }
  }

  /// Loads a compiled model.
  ///
  /// - Parameters:
  ///   - url: What `compileModel(at:)` returned, or where it was moved to.
  ///   - configuration: How it is loaded.
  /// - Returns: The model.
  /// - Throws: An `NSError` if it is no compiled model or cannot be executed, or if there is no interpreter;
  ///   `CancellationError` if the task is cancelled.
  public class func load(
    contentsOf url: URL, configuration: MLModelConfiguration = MLModelConfiguration()
  ) async throws -> MLModel {
    let package = try CompiledModel.package(in: url)
    let predictions = PredictionQueue(executable: try InterpreterLocation.path(), package: package.path)
    return MLModel(predictions: predictions, interface: try await predictions.start())
  }

  /// Makes a prediction.
  ///
  /// Predictions of one model are made one after another.
  ///
  /// - Parameters:
  ///   - input: A value for every input of the model; others are ignored.
  ///   - options: How it is made.
  /// - Returns: A value for every output of the model; rows of arrays may be padded, see their strides.
  /// - Throws: An `NSError` if an input is missing or has another shape or type than declared, or if the prediction fails;
  ///   `CancellationError` as soon as the task is cancelled.
  public func prediction(
    from input: any MLFeatureProvider, options: MLPredictionOptions = MLPredictionOptions()
  ) async throws -> any MLFeatureProvider {
    let inputs = try interface.inputs.map { try Self.accept(input, $0) }
    let outputs = try await predictions.predict(inputs)
    let arrays = try outputs.map { ($0.value.name, try $0.multiArray()) }
    return try MLDictionaryFeatureProvider(dictionary: Dictionary(uniqueKeysWithValues: arrays))
  }

  private static func accept(_ input: any MLFeatureProvider, _ declared: InterpreterValue) throws -> InterpreterInput {
    guard let value = input.featureValue(for: declared.name) else {
      throw modelError(.generic, "feature \(declared.name) is required but not given")
    }
    guard let array = value.multiArrayValue, array.dataType == declared.dataType else {
      throw modelError(.featureType, "feature \(declared.name) is no multi-array of type \(declared.dtype)")
    }
    guard array.lengths == declared.shape else {
      throw modelError(
        .generic, "feature \(declared.name) has shape \(array.lengths); the model takes \(declared.shape)")
    }
    var announced = declared
    announced.bytes = array.count * array.dataType.bytes
    return InterpreterInput(value: announced, bytes: array.contiguousBytes())
  }

  /// The interpreter's process, if it runs.
  package var interpreterProcessIdentifier: Int32? { predictions.processIdentifier }
}

@available(*, unavailable)
extension MLModel: @unchecked Sendable {}
