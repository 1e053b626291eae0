import Foundation
import XCTest

@testable import HTDemucsKit

/// Damaged files are read to their end or refused by an error of the kit's; nothing else happens.
final class AudioMutationTests: XCTestCase {
  private var workspace: Workspace!

  override func setUpWithError() throws { workspace = try Workspace() }
  override func tearDown() { workspace = nil }

  func testMutationsOfWAVFilesAreHarmless() throws {
    try assertMutationsAreHarmless(Data(contentsOf: workspace.wav(stereoNoise(300))), seed: 1)
  }

  func testMutationsOfIntegerWAVFilesAreHarmless() throws {
    try assertMutationsAreHarmless(Data(contentsOf: written(AudioFileFormat(.wav, .int24))), seed: 2)
  }

  func testMutationsOfFLACFilesAreHarmless() throws {
    try assertMutationsAreHarmless(Data(contentsOf: written(AudioFileFormat(.flac, .int16))), seed: 3)
  }

  private func written(_ format: AudioFileFormat) throws -> URL {
    let url = workspace.url("original.\(format.container.rawValue)")
    let file = try StemFile(
      creating: url, format: format, clipMode: .none, sampleRateHz: 44_100, frames: 300)
    try file.write(stereoNoise(300))
    _ = try file.finish()
    return url
  }

  private func assertMutationsAreHarmless(_ original: Data, seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    let url = workspace.url("mutated")
    let count = mutationCount(otherwise: 300)
    var refused = 0
    for _ in 0..<count {
      try Data(mutated([UInt8](original), &random)).write(to: url)
      do {
        _ = try samples(of: url, allowsDownmix: true)
      } catch let error as AudioProcessingError {
        XCTAssertFalse(error.localizedDescription.isEmpty)
        refused += 1
      }
    }
    XCTAssertGreaterThan(refused, count / 20, "the mutations hardly touch anything")
  }
}
