import Foundation
import XCTest
import os

/// What Apple documents of `os.Logger`; on Linux it is the stand-in that has to comply.
///
/// Where lines go is the system's affair, so that what they say is checked on Linux only.
///
/// Sources: developer.apple.com/documentation/os/logger and …/os/generating-log-messages-from-your-code.
final class LoggerTests: XCTestCase {
  private let log = Logger(subsystem: "test.subsystem", category: "test")

  func testEveryLevelTakesLiteralsAndInterpolations() {
    let (count, seconds, share, isWhole, name) = (3, 1.5, Float(0.25), true, "song")
    log.debug("A line")
    log.info("\(count) lines, \(UInt8(7)), \(Int64(-1), privacy: .private)")
    log.notice("\(seconds) s, \(seconds, format: .fixed(precision: 1)) s, \(share, format: .fixed, privacy: .public)")
    log.warning("\(isWhole), \(isWhole, privacy: .auto)")
    log.error("\(name), \(name, privacy: .public), \(Character("c"), privacy: .private)")
  }

  func testALoggerMayBeUsedByManyTasksAtOnce() async {
    let log = log
    await withTaskGroup(of: Void.self) { group in
      for task in 0..<4 { group.addTask { log.debug("task \(task)") } }
    }
  }

  #if os(Linux)
    func testALineHasCategoryLevelAndMessage() {
      let lines = LogOutput.lines {
        log.debug("a")
        log.info("b")
        log.notice("c")
        log.warning("d")
        log.error("e")
      }
      let levels = ["debug: a", "info: b", "notice: c", "warning: d", "error: e"]
      XCTAssertEqual(lines, levels.map { "[test.subsystem:test] \($0)" })
    }

    func testNumbersAndTruthValuesArePublicUnlessTheyAreSaidToBePrivate() {
      XCTAssertEqual(message { log.info("\(1) \(2.5) \(Float(3)) \(true)") }, "1 2.500000 3.000000 true")
      XCTAssertEqual(message { log.info("\(1, privacy: .private)") }, "<private>")
      XCTAssertEqual(message { log.info("\(true, privacy: .private)") }, "<private>")
      XCTAssertEqual(message { log.info("\(2.5, privacy: .private)") }, "<private>")
    }

    func testOtherValuesArePrivateUnlessTheyAreSaidToBePublic() {
      let name = "song"
      XCTAssertEqual(message { log.info("file \(name)") }, "file <private>")
      XCTAssertEqual(message { log.info("file \(name, privacy: .auto)") }, "file <private>")
      XCTAssertEqual(message { log.info("file \(name, privacy: .public)") }, "file song")
      XCTAssertEqual(message { log.info("\([1, 2])") }, "<private>")
      XCTAssertEqual(message { log.info("\([1, 2], privacy: .public)") }, "[1, 2]")
    }

    func testPrecisionIsTheNumberOfDigitsAfterThePoint() {
      let digits = 2
      XCTAssertEqual(message { log.info("\(1.005e3, format: .fixed(precision: digits))") }, "1005.00")
      XCTAssertEqual(message { log.info("\(Float(0.125), format: .fixed(precision: 1))") }, "0.1")
    }

    func testAMessageIsOneLine() {
      XCTAssertEqual(message { log.info("first\nsecond\("\n", privacy: .public)") }, #"first\nsecond\n"#)
    }

    func testALineBeginsWithTheTime() {
      let time = Date(timeIntervalSince1970: 86_400.25)
      XCTAssertEqual(LogOutput.printed("[a:b] info: text", at: time), "1970-01-02T00:00:00.250Z [a:b] info: text\n")
    }

    func testALineIsPrintedAndItsValuesComputedOnlyIfTheEnvironmentSaysSo() throws {
      let isMirrored = ProcessInfo.processInfo.environment["OS_ACTIVITY_DT_MODE"] != nil
      var computed = 0
      let printed = try standardError {
        withUnsafeMutablePointer(to: &computed) { count in log.debug("\(self.one(count))") }
      }
      XCTAssertEqual(computed, isMirrored ? 1 : 0)
      XCTAssertEqual(printed.hasSuffix("Z [test.subsystem:test] debug: 1\n"), isMirrored, printed)
      XCTAssertEqual(printed.isEmpty, !isMirrored, printed)
    }

    private func message(_ body: () -> Void) -> String? {
      LogOutput.lines(while: body).first.map { String($0.drop { $0 != " " }.dropFirst("  info: ".count - 1)) }
    }

    private func one(_ count: UnsafeMutablePointer<Int>) -> Int {
      count.pointee += 1
      return count.pointee
    }
  #endif
}
