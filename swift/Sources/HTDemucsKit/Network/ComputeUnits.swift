import CoreML

/// Where Core ML may run a model.
public enum ComputeUnits: String, CaseIterable, Codable, Sendable {
  /// Wherever Core ML likes: CPU, GPU and Neural Engine.
  case all
  /// CPU and GPU, the most predictable in precision: float32 stays float32.
  case cpuAndGPU
  /// CPU and Neural Engine, which computes in float16.
  case cpuAndNeuralEngine
  /// CPU only, the slowest, to compare with.
  case cpuOnly

  /// Phase 1 of the source design, validation: CPU and GPU, to show that a conversion meets its targets.
  public static let validation = ComputeUnits.cpuAndGPU
  /// Phase 2 of the source design: all units, once the Neural Engine is seen to keep the quality.
  public static let accelerated = ComputeUnits.all
  /// Phase 3 of the source design, deployment: all units, with a package of compressed weights.
  public static let deployment = ComputeUnits.all

  var coreML: MLComputeUnits {
    switch self {
    case .all: .all
    case .cpuAndGPU: .cpuAndGPU
    case .cpuAndNeuralEngine: .cpuAndNeuralEngine
    case .cpuOnly: .cpuOnly
    }
  }
}
