import Foundation
import XCTest

/// The documentation says what is there: its code compiles, and it lists every public symbol.
final class DocumentationTests: XCTestCase {
  private static let swiftFolder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    .standardizedFileURL
  private static let kit = swiftFolder.appending(path: "Sources/HTDemucsKit")
  private static let catalogue = kit.appending(path: "HTDemucsKit.docc")

  func testEverySampleOccursInCodeThatCompiles() throws {
    let app = Self.swiftFolder.appending(path: "Example/StemSeparator")
    let tests = Self.swiftFolder.appending(path: "Tests/HTDemucsKitTests")
    let code = try [
      tests.appending(path: "DocumentationSamples.swift"), app.appending(path: "SeparationModel.swift"),
    ].map { unindented(try String(contentsOf: $0, encoding: .utf8)) }
    for page in ["HTDemucsKit.md", "UsingHTDemucsKitInAnApp.md"] {
      let samples = swiftBlocks(try String(contentsOf: Self.catalogue.appending(path: page), encoding: .utf8))
      XCTAssertFalse(samples.isEmpty, "\(page) has no sample")
      for sample in samples {
        XCTAssertTrue(code.contains { $0.contains(unindented(sample)) }, "\(page): this stands in no code:\n\(sample)")
      }
    }
  }

  func testTheLandingPageListsEveryPublicType() throws {
    let page = try String(contentsOf: Self.catalogue.appending(path: "HTDemucsKit.md"), encoding: .utf8)
    let declaration = /^public (?:final )?(?:actor|class|enum|func|let|protocol|struct|typealias|var) (\w+)/
      .anchorsMatchLineEndings()
    var names: [String] = []
    for path in try FileManager.default.subpathsOfDirectory(atPath: Self.kit.path) where path.hasSuffix(".swift") {
      let source = try String(contentsOf: Self.kit.appending(path: path), encoding: .utf8)
      names += source.matches(of: declaration).map { String($0.1) }
    }
    XCTAssertTrue(names.contains("HTDemucsProcessor"), "no declarations were found")
    for name in names {
      XCTAssertTrue(page.contains("\n- ``\(name)``\n"), "\(name) is missing")
    }
  }

  /// Contents of fenced blocks that are marked as Swift.
  private func swiftBlocks(_ page: String) -> [String] {
    page.matches(of: /```swift\n((?s:.*?))```/).map { String($0.1) }
  }

  /// Lines without what they begin with.
  private func unindented(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { $0.drop(while: { $0 == " " }) }
      .joined(separator: "\n")
  }
}
