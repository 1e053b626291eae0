import Foundation
import HTDemucsKit

/// Which package runs, where, and by which plan: the options that concern neither inputs nor outputs.
struct PackageChoice: Sendable {
  static let variable = "HTDEMUCS_COREML_PACKAGES"
  static let embeddedModel = "fixture"

  /// Where `just build-swift` puts packages.
  private static let builtPackages = ".build/htdemucs-packages"

  let model: String?
  let package: URL?
  let fallbackPackage: URL?
  let plan: ChunkPlan.Name?
  let computeUnits: ComputeUnits

  static let packageOptions = [
    CommandOption(
      "--model", takes: .text("NAME"),
      "A model whose package was built beside this tool, or lies in the folder that \(variable) names. "
        + "[default: \(embeddedModel)]"),
    CommandOption("--package", takes: .path("PATH"), "An .mlpackage to use, in place of --model."),
  ]

  static let computeUnitsOption = CommandOption(
    "--compute-units", takes: .choice(ComputeUnits.allCases.map(\.rawValue)),
    "Where Core ML may run the model. cpuAndGPU: float32 stays float32, the most predictable. all, "
      + "cpuAndNeuralEngine: with the Neural Engine, which computes in float16. cpuOnly: the slowest, to compare with. "
      + "[default: \(ComputeUnits.validation.rawValue)]")

  static func planOption(default text: String) -> CommandOption {
    CommandOption(
      "--plan", takes: .choice(ChunkPlan.Name.allCases.map(\.rawValue)),
      "How the song is cut and blended. design: segments of 10 s every 8 s, fewer runs of the model. demucs: 7.8 s, "
        + "as the model was trained, every 5.85 s, and the same stems as upstream's. [default: \(text)]")
  }

  init(_ arguments: ParsedArguments) {
    model = arguments["--model"]
    package = arguments["--package"].map { URL(filePath: $0) }
    fallbackPackage = arguments["--fallback-package"].map { URL(filePath: $0) }
    plan = arguments["--plan"].flatMap(ChunkPlan.Name.init(rawValue:))
    computeUnits = arguments["--compute-units"].flatMap(ComputeUnits.init(rawValue:)) ?? .validation
  }

  /// What has to be said where nothing was chosen; nil where something was.
  var note: String? {
    guard model == nil, package == nil else { return nil }
    return "neither --model nor --package was given: this is the embedded model \(Self.embeddedModel), whose weights "
      + "are computed and not trained, so its stems are no separation"
  }

  /// Finds, reads and checks the package.
  ///
  /// - Throws: `PackageChoiceError` or `PackageError`.
  func load(_ environment: [String: String], _ services: Services) async throws -> any SongSeparator {
    let package = try self.package ?? builtPackage(environment, executable: services.executable)
    return try await services.separator(
      package, HTDemucsProcessor.Configuration(computeUnits: computeUnits, fallbackPackage: fallbackPackage))
  }

  /// The package of the model, in the variant that the plan needs.
  func builtPackage(_ environment: [String: String], executable: URL?) throws -> URL {
    let variant = (plan ?? .design).standardVariant
    let name = "\(model ?? Self.embeddedModel).\(variant).mlpackage"
    var folders: [URL] = []
    if let folder = environment[Self.variable], !folder.isEmpty {
      folders = [URL(filePath: folder)]
    } else if var folder = executable?.deletingLastPathComponent() {
      while folder.path != "/" {
        folders.append(folder.appending(path: Self.builtPackages))
        folder.deleteLastPathComponent()
      }
    }
    // Core ML refuses links, and built packages are behind some.
    let packages = folders.map { $0.appending(path: name).resolvingSymlinksInPath() }
    guard let package = packages.first(where: { FileManager.default.fileExists(atPath: $0.path) }) else {
      throw PackageChoiceError.notBuilt(
        name: name, folder: environment[Self.variable].flatMap { $0.isEmpty ? nil : $0 })
    }
    return package
  }
}

/// Why no package was found.
enum PackageChoiceError: Error, Equatable {
  /// There is no such package in the folder that the environment names or, without one, beside the tool.
  case notBuilt(name: String, folder: String?)
}

extension PackageChoiceError: LocalizedError {
  var errorDescription: String? {
    switch self {
    case .notBuilt(let name, let folder?): "\(folder), which \(PackageChoice.variable) names, has no \(name)."
    case .notBuilt(let name, nil): "There is no \(name) beside this tool."
    }
  }

  var recoverySuggestion: String? {
    switch self {
    case .notBuilt(_, _?): "Name another folder, or give --package PATH."
    case .notBuilt(_, nil):
      "Run `just build-swift`, name a folder of packages by \(PackageChoice.variable), or give --package PATH."
    }
  }
}
