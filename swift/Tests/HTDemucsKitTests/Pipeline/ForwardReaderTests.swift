import XCTest

@testable import HTDemucsKit

final class ForwardReaderTests: XCTestCase {
  func testWindowsAtPositionsThatNeverMoveBackAreThoseOfTheWholeStream() throws {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      let samples = Int.random(in: 0...300, using: &random)
      let left = (0..<samples).map { Float($0 + 1) }
      var blocks: [Waveform] = []
      var position = 0
      while position < samples {
        let count = min(Int.random(in: 1...40, using: &random), samples - position)
        let part = Array(left[position..<position + count])
        blocks.append(try Waveform(part + part.map { -$0 }, signals: 2))
        position += count
      }
      var reader = ForwardReader { blocks.isEmpty ? nil : blocks.removeFirst() }
      var start = Int.random(in: -30...30, using: &random)
      for _ in 0..<20 {
        let range = start..<start + Int.random(in: 1...60, using: &random)
        var window = [Float](repeating: .nan, count: 2 * range.count)
        try window.withUnsafeMutableBufferPointer { try reader.read(range, into: XCTUnwrap($0.baseAddress)) }
        let expected = range.map { left.indices.contains($0) ? left[$0] : 0 }
        XCTAssertEqual(Array(window[..<range.count]), expected, "\(range) of \(samples)")
        XCTAssertEqual(Array(window[range.count...]), expected.map { -$0 })
        start += Int.random(in: 0...50, using: &random)
      }
    }
  }

  func testAnErrorOfTheStreamComesThrough() {
    struct Torn: Error, Equatable {}
    var reader = ForwardReader { throw Torn() }
    var window = [Float](repeating: 0, count: 8)
    assertThrows(Torn()) {
      try window.withUnsafeMutableBufferPointer { try reader.read(0..<4, into: XCTUnwrap($0.baseAddress)) }
    }
  }
}
