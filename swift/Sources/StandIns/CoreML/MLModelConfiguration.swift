import Foundation

/// Which processors a model may use.
public enum MLComputeUnits: Int, Sendable {
  case cpuOnly = 0
  case cpuAndGPU = 1
  case all = 2
  case cpuAndNeuralEngine = 3
}

/// How a model is loaded.
open class MLModelConfiguration: NSObject {
  /// Which processors the model may use; without effect here, where there is the interpreter only.
  public var computeUnits = MLComputeUnits.all
}

@available(*, unavailable)
extension MLModelConfiguration: @unchecked Sendable {}

/// How a prediction is made.
open class MLPredictionOptions: NSObject {}

@available(*, unavailable)
extension MLPredictionOptions: @unchecked Sendable {}
