import Foundation
import XCTest

@testable import HTDemucsCommand
@testable import HTDemucsKit

final class PackageChoiceTests: XCTestCase {
  private var folder = URL(filePath: "/")

  override func setUpWithError() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).resolvingSymlinksInPath()
    let packages = [
      "store/fixture.mixed.mlpackage", "store/fixture.mixed-7_8s.mlpackage",
      "other/song.mixed.mlpackage",
    ]
    for path in packages + ["repository/.build/debug"] {
      try FileManager.default.createDirectory(at: folder.appending(path: path), withIntermediateDirectories: true)
    }
    try FileManager.default.createSymbolicLink(
      at: folder.appending(path: "repository/.build/htdemucs-packages"),
      withDestinationURL: folder.appending(path: "store"))
  }

  override func tearDownWithError() throws { try FileManager.default.removeItem(at: folder) }

  private func choice(model: String? = nil, plan: ChunkPlan.Name? = nil) -> PackageChoice {
    var arguments = ParsedArguments()
    arguments.values["--model"] = model
    arguments.values["--plan"] = plan?.rawValue
    return PackageChoice(arguments)
  }

  private var executable: URL { folder.appending(path: "repository/.build/debug/htdemucs") }

  func testPackagesLieBesideTheBuildAndAreNoLinks() throws {
    let package = try choice().builtPackage([:], executable: executable)
    XCTAssertEqual(package.path, folder.appending(path: "store/fixture.mixed.mlpackage").path)
  }

  func testThePlanChoosesTheVariant() throws {
    for (plan, variant) in [(ChunkPlan.Name.design, "mixed"), (.demucs, "mixed-7_8s")] {
      let package = try choice(plan: plan).builtPackage([:], executable: executable)
      XCTAssertEqual(package.lastPathComponent, "fixture.\(variant).mlpackage")
    }
  }

  func testTheEnvironmentsFolderComesFirst() throws {
    let environment = [PackageChoice.variable: folder.appending(path: "other").path]
    let package = try choice(model: "song").builtPackage(environment, executable: executable)
    XCTAssertEqual(package.lastPathComponent, "song.mixed.mlpackage")
    XCTAssertThrowsError(try choice().builtPackage(environment, executable: executable)) {
      XCTAssertEqual(
        message(of: $0),
        "\(folder.path)/other, which HTDEMUCS_COREML_PACKAGES names, has no fixture.mixed.mlpackage. "
          + "Name another folder, or give --package PATH.")
    }
  }

  func testAMissingPackageIsAnErrorWithTheCommandToRun() {
    XCTAssertThrowsError(try choice(model: "none").builtPackage([:], executable: executable)) {
      XCTAssertTrue(message(of: $0).contains("Run `just build-swift`"), message(of: $0))
    }
  }
}
