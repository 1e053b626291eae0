import Foundation
import XCTest

@testable import HTDemucsCommand

final class TextTests: XCTestCase {
  func testWhatDoesNotPrintIsEscapedAsInPython() {
    for (text, printed) in [
      ("song.wav", "song.wav"), ("a b\\c", "a b\\c"), ("é 日本 🎵", "é 日本 🎵"), ("a\nb\r\t", "a\\nb\\r\\t"),
      ("\u{1B}[31m\u{7F}", "\\x1b[31m\\x7f"), ("a\u{A0}b", "a\\xa0b"), ("\u{202E}", "\\u202e"),
      ("\u{2028}", "\\u2028"), ("\u{E0001}", "\\U000e0001"), ("\r\n", "\\r\\n"), ("", ""),
    ] {
      XCTAssertEqual(printable(text), printed)
    }
  }

  func testWideCharactersTakeTwoColumnsAndMarksNone() {
    for (text, columns) in [("abc", 3), ("日本", 4), ("e\u{301}", 1), ("🎵", 2), ("…", 1)] {
      XCTAssertEqual(displayColumns(text), columns, text)
    }
  }

  func testShortenedTextFitsAndSaysThatItIsShortened() {
    XCTAssertEqual(shortened("song", toColumns: 4), "song")
    XCTAssertEqual(shortened("songs", toColumns: 4), "son…")
    XCTAssertEqual(shortened("日本語", toColumns: 4), "日…")
    XCTAssertEqual(shortened("song", toColumns: 0), "")
  }

  func testJSONIsWrittenAsPythonWritesIt() {
    let value = JSONValue.object([
      ("b", .string("a\"\\\n\u{1B}é🎵/")), ("a", .array([.integer(-1), .number(0.25), .number(3), .null])),
      ("c", .object([])), ("d", .serialised("{\"x\":1}")),
    ])
    XCTAssertEqual(
      value.line,
      "{\"b\": \"a\\\"\\\\\\n\\u001b\\u00e9\\ud83c\\udfb5/\", \"a\": [-1, 0.25, 3, null], \"c\": {}, \"d\": {\"x\":1}}")
    XCTAssertEqual(
      JSONValue.object([("a", .array([.integer(1), .integer(2)])), ("b", .null)]).indented,
      "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": null\n}")
  }

  func testAnyTextSurvivesJSON() throws {
    let text = String(String.UnicodeScalarView((0..<0x3000).compactMap { Unicode.Scalar(UInt32($0)) }))
    let line = JSONValue.array([.string(text)]).line
    XCTAssertTrue(line.unicodeScalars.allSatisfy { $0.isASCII && $0.value >= 0x20 })
    let back = try JSONDecoder().decode([String].self, from: Data(line.utf8))
    XCTAssertEqual(Array(back[0].unicodeScalars), Array(text.unicodeScalars))
  }

  func testAnErrorIsOneLineOfWhatHappenedAndWhatToDo() {
    struct Failure: LocalizedError {
      var errorDescription: String? { "It\nfailed\u{7}." }
      var recoverySuggestion: String? { "Try  again." }
    }
    XCTAssertEqual(message(of: Failure()), "It failed\\x07. Try again.")
  }
}
