import XCTest

@testable import HTDemucsKit

final class ProtobufReaderTests: XCTestCase {
  func testFieldsAreReadByTheirWireType() throws {
    // Field 1: 300; field 2: "ab"; field 3: fixed 32; field 4: fixed 64; field 1000: 1.
    let message: [UInt8] =
      [0x08, 0xAC, 0x02, 0x12, 0x02, 0x61, 0x62, 0x1D, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8, 0xC0, 0x3E, 0x01]
    var seen: [String] = []
    try ProtobufReader.forEachField(of: message[...]) { field, value in
      switch value {
      case .varint(let number): seen.append("\(field)=\(number)")
      case .bytes(let bytes): seen.append("\(field)=\(String(decoding: bytes, as: UTF8.self))")
      case .fixed: seen.append("\(field) fixed")
      }
    }
    XCTAssertEqual(seen, ["1=300", "2=ab", "3 fixed", "4 fixed", "1000=1"])
  }

  func testTheLargestNumberIsReadAndALargerOneIsRefused() throws {
    let largest = [0x08] + [UInt8](repeating: 0xFF, count: 9) + [0x01]
    try ProtobufReader.forEachField(of: largest[...]) { _, value in
      XCTAssertEqual(try ProtobufReader.varints(value), [UInt64.max])
    }
    for tooLarge in [
      [0x08] + [UInt8](repeating: 0xFF, count: 9) + [0x02], [0x08] + [UInt8](repeating: 0x80, count: 10) + [0x01],
    ] {
      XCTAssertThrowsError(try ProtobufReader.forEachField(of: tooLarge[...]) { _, _ in })
    }
  }

  func testWhatIsCutShortIsRefusedAtEveryLength() throws {
    let message: [UInt8] = [0x12, 0x03, 0x61, 0x62, 0x63]
    for count in 1..<message.count {
      XCTAssertThrowsError(try ProtobufReader.forEachField(of: message[..<count]) { _, _ in }, "\(count)")
    }
    XCTAssertNoThrow(try ProtobufReader.forEachField(of: message[...]) { _, _ in })
  }

  func testALengthThatExceedsEverythingIsRefused() {
    let message: [UInt8] = [0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0x00]
    XCTAssertThrowsError(try ProtobufReader.forEachField(of: message[...]) { _, _ in })
  }

  func testGroupsAndFieldZeroAreRefused() {
    for message: [UInt8] in [[0x0B], [0x0C], [0x00, 0x01], [0x0E, 0x01], [0x0F]] {
      XCTAssertThrowsError(try ProtobufReader.forEachField(of: message[...]) { _, _ in })
    }
  }

  func testPackedNumbersAreReadOneByOne() throws {
    XCTAssertEqual(try ProtobufReader.varints(.bytes([0x01, 0xAC, 0x02])), [1, 300])
    XCTAssertEqual(try ProtobufReader.varints(.varint(7)), [7])
    XCTAssertThrowsError(try ProtobufReader.varints(.bytes([0x01, 0xAC])))
    XCTAssertThrowsError(try ProtobufReader.varints(.fixed))
  }

  func testAListOfMoreNumbersThanAnyDescriptionHasIsRefused() {
    XCTAssertEqual(try ProtobufReader.varints(.bytes([UInt8](repeating: 1, count: 64)[...])).count, 64)
    XCTAssertThrowsError(try ProtobufReader.varints(.bytes([UInt8](repeating: 1, count: 65)[...])))
  }

  func testTextThatIsNotUTF8IsRefused() {
    XCTAssertThrowsError(try ProtobufReader.string(.bytes([0xC3, 0x28])))
  }
}
