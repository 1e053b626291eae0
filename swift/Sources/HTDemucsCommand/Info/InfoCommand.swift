import Foundation
import HTDemucsKit

/// `info`: what a package is.
struct InfoCommand {
  static let description = CommandDescription(
    name: "info", summary: "Say what a package is.",
    details: [
      "Say what a PACKAGE is: its metadata, inputs, outputs, sizes and digests, all checked.",
      "Fails if the layout is not a package's, the metadata is incomplete, or model.mlmodel or weight.bin is not the "
        + "file that the metadata names. Nothing of the package is run.",
    ],
    operands: .init(placeholder: "PACKAGE", count: 1...1),
    options: [CommandOption("--json", "Print one JSON object instead of a table.")],
    exclusions: [],
    examples: ["info htdemucs_6s.mixed.mlpackage", "info htdemucs_6s.mixed.mlpackage --json"])

  private let path: String
  private let asJSON: Bool

  init(_ arguments: ParsedArguments) {
    path = arguments.operands[0]
    asJSON = arguments.has("--json")
  }

  /// Reads the package and prints what it is.
  ///
  /// - Returns: The exit code.
  /// - Throws: `PackageError`, `TextOutputError` or `CancellationError`.
  func run(_ console: Console) throws -> Int32 {
    let package = try ModelPackage(contentsOf: URL(filePath: path))
    try Task.checkCancellation()
    try console.print(asJSON ? Self.json(package).indented : Self.table(package))
    return ExitCode.done
  }

  static func json(_ package: ModelPackage) -> JSONValue {
    let metadata = package.metadata
    return .object([
      (
        "metadata",
        .object(
          entries(metadata).map { key, value in
            (key, key == "sources" ? .strings(metadata.sources.map(\.rawValue)) : .string(value))
          })
      ),
      ("inputs", .object(metadata.inputs.map { ($0.name, .array($0.shape.map(JSONValue.integer))) })),
      ("outputs", .object(metadata.outputs.map { ($0.name, .array($0.shape.map(JSONValue.integer))) })),
      ("bytes", .integer(package.bytes)),
      ("sha256", .string(package.sha256)),
      ("files", .object(files(package).map { ($0, .string($1)) })),
    ])
  }

  static func table(_ package: ModelPackage) -> String {
    let metadata = package.metadata
    var rows = entries(metadata).map { key, value in
      (key, key == "sources" ? metadata.sources.map(\.rawValue).joined(separator: ", ") : value)
    }
    rows += metadata.inputs.map { ("input \($0.name)", "float32 \($0.shape)") }
    rows += metadata.outputs.map { ("output \($0.name)", "float32 \($0.shape)") }
    rows += [("size", String(format: "%.2f MB", Double(package.bytes) / 1e6)), ("sha256", package.sha256)]
    rows += files(package)
    let width = rows.map(\.0.count).max() ?? 0
    return rows.map { key, value in
      key + String(repeating: " ", count: width + 2 - key.count) + printable(value)
    }.joined(separator: "\n")
  }

  private static func entries(_ metadata: PackageMetadata) -> [(String, String)] {
    metadata.entries.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  private static func files(_ package: ModelPackage) -> [(String, String)] {
    package.fileSHA256.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }
}
