import Foundation
import XCTest

@testable import HTDemucsCommand

final class InfoCommandTests: XCTestCase {
  /// The tests' small package, which `just test-swift` builds and links.
  private func smallPackage() throws -> String {
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardizedFileURL
    let link = root.appending(path: ".build/htdemucs-test-packages/small.mlpackage")
    let package = link.resolvingSymlinksInPath().path
    return try XCTUnwrap(
      FileManager.default.fileExists(atPath: package) ? package : nil,
      "\(link.path) is missing: run `just test-swift` once, which builds it")
  }

  func testTheTableHasMetadataTensorsSizeAndDigests() async throws {
    let tool = FakeTool()
    let code = await tool.run("info", try smallPackage())
    XCTAssertEqual(code, 0, tool.errors.text)
    let rows = tool.output.lines.map {
      $0.split(separator: "  ", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
    }
    XCTAssertEqual(
      rows.map(\.first),
      [
        "hop_length", "model", "model_sha256", "n_fft", "sample_rate", "segment_samples", "sources", "variant",
        "weight_bin_sha256", "weights_sha256", "input spectrogram_real", "input spectrogram_imag", "input waveform",
        "output stems_real", "output stems_imag", "output stems_waveform", "size", "sha256",
        "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin", "Manifest.json",
      ])
    let table = Dictionary(uniqueKeysWithValues: rows.map { ($0[0], $0[1]) })
    XCTAssertEqual(table["sources"], "drums, bass, other, vocals, guitar, piano")
    XCTAssertEqual(table["input waveform"], "float32 [1, 2, 11264]")
    XCTAssertEqual(table["output stems_real"], "float32 [1, 6, 2, 2048, 11]")
    XCTAssertEqual(Set(tool.output.lines.map { $0.count { $0 == "\n" } }), [0])
  }

  func testJSONHasTheKeysOfThePythonTool() async throws {
    let tool = FakeTool()
    let code = await tool.run("info", try smallPackage(), "--json")
    XCTAssertEqual(code, 0, tool.errors.text)
    let object = try JSONSerialization.jsonObject(with: Data(tool.output.text.utf8)) as? [String: Any] ?? [:]
    XCTAssertEqual(Set(object.keys), ["metadata", "inputs", "outputs", "bytes", "sha256", "files"])
    let metadata = object["metadata"] as? [String: Any] ?? [:]
    XCTAssertEqual(metadata["segment_samples"] as? String, "11264")
    XCTAssertEqual(metadata["sources"] as? [String], ["drums", "bass", "other", "vocals", "guitar", "piano"])
    XCTAssertEqual((object["inputs"] as? [String: [Int]])?["waveform"], [1, 2, 11264])
    XCTAssertEqual((object["files"] as? [String: String])?.count, 3)
    XCTAssertTrue(tool.output.text.hasPrefix("{\n  \"metadata\": {\n    \"hop_length\": \"1024\",\n"))
  }

  func testWhatIsNoPackageIsOneLineAndExitCode1() async {
    let tool = FakeTool()
    let code = await tool.run("info", "/nowhere.mlpackage")
    XCTAssertEqual(code, 1)
    XCTAssertEqual(
      tool.errors.lines, ["error: /nowhere.mlpackage is not a folder. Give the path of an .mlpackage."])
    XCTAssertEqual(tool.output.text, "")
  }
}
