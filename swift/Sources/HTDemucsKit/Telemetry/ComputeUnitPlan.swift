import CoreML
import Foundation

/// Where Core ML means to run a model's operations; how many on each unit.
public struct ComputeUnitPlan: Codable, Equatable, Sendable {
  /// Operations that Core ML would rather run on the CPU.
  public var cpuOperations: Int
  /// Operations that Core ML would rather run on the GPU.
  public var gpuOperations: Int
  /// Operations that Core ML would rather run on the Neural Engine.
  public var neuralEngineOperations: Int

  /// All operations that run somewhere: constants do not.
  public var operations: Int { cpuOperations + gpuOperations + neuralEngineOperations }
}

#if canImport(Darwin)
  extension ComputeUnitPlan {
    /// Asks Core ML; nil for a model that is no program.
    ///
    /// Source: Apple's documentation of `MLComputePlan`.
    static func of(compiledModel: URL, units: ComputeUnits) async throws -> ComputeUnitPlan? {
      let configuration = MLModelConfiguration()
      configuration.computeUnits = units.coreML
      let plan = try await MLComputePlan.load(contentsOf: compiledModel, configuration: configuration)
      guard case .program(let program) = plan.modelStructure, let main = program.functions["main"] else { return nil }
      var counted = ComputeUnitPlan(cpuOperations: 0, gpuOperations: 0, neuralEngineOperations: 0)
      for operation in main.block.operations {
        guard let device = plan.deviceUsage(for: operation)?.preferred else { continue }
        switch device {
        case .cpu: counted.cpuOperations += 1
        case .gpu: counted.gpuOperations += 1
        case .neuralEngine: counted.neuralEngineOperations += 1
        @unknown default: break
        }
      }
      return counted
    }
  }
#else
  extension ComputeUnitPlan {
    /// Core ML's plan is told by Apple's systems only.
    static func of(compiledModel: URL, units: ComputeUnits) async throws -> ComputeUnitPlan? { nil }
  }
#endif
