import Foundation
import XCTest

@testable import HTDemucsKit

final class PeakMemoryTests: XCTestCase {
  func testThePeakGrowsWithWhatIsUsedAndStaysThere() {
    let before = peakMemoryBytes()
    XCTAssertGreaterThan(before, 1 << 20)
    // More than has been used so far, touched so that it is resident.
    let bytes = before + (64 << 20)
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 4096)
    memory.initializeMemory(as: UInt8.self, repeating: 1)
    memory.deallocate()
    XCTAssertGreaterThan(peakMemoryBytes(), bytes)
    XCTAssertLessThan(peakMemoryBytes(), before + bytes + (64 << 20))
  }

  #if os(Linux)
    func testAProgramThatIsStartedByALargeOneIsNotLargeItself() throws {
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 512 << 20, alignment: 4096)
      memory.initializeMemory(as: UInt8.self, repeating: 1)
      defer { memory.deallocate() }
      let (program, output) = (Process(), Pipe())
      program.executableURL = URL(filePath: "/bin/grep")
      program.arguments = ["VmHWM", "/proc/self/status"]
      program.standardOutput = output
      try program.run()
      program.waitUntilExit()
      let line = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      let kilobytes = try XCTUnwrap(line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) })
      XCTAssertLessThan(kilobytes, 64 << 10)
    }
  #endif
}
