import CryptoKit
import Foundation
import XCTest

/// What Apple documents of CryptoKit's SHA-256; on Linux it is the stand-in that has to comply.
///
/// Sources: developer.apple.com/documentation/cryptokit/sha256; FIPS 180-4's examples
/// (csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values).
final class HashTests: XCTestCase {
  func testDigestsAreThoseOfTheStandardsExamples() {
    let examples = [
      "": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq":
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
      String(repeating: "a", count: 1_000_000):
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    ]
    for (message, digest) in examples { XCTAssertEqual(hex(SHA256.hash(data: Data(message.utf8))), digest) }
  }

  func testBytesMayComeInPartsOfAnyLength() {
    let message = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 167) }
    let whole = SHA256.hash(data: message)
    for count in [1, 7, 55, 56, 63, 64, 65, 999, 1000] {
      var hash = SHA256()
      for start in stride(from: 0, to: message.count, by: count) {
        hash.update(data: message[start..<min(start + count, message.count)])
      }
      XCTAssertEqual(hash.finalize(), whole, "\(count) bytes at a time")
    }
  }

  func testBytesMayBeInAnyKindOfMemory() {
    let message = [UInt8]("To be, or not to be".utf8)
    let whole = SHA256.hash(data: message)
    XCTAssertEqual(SHA256.hash(data: Data(message)), whole)
    XCTAssertEqual(SHA256.hash(data: message[...]), whole)
    var hash = SHA256()
    message.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<5])) }
    message.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[5...])) }
    hash.update(bufferPointer: UnsafeRawBufferPointer(start: nil, count: 0))
    XCTAssertEqual(hash.finalize(), whole)
  }

  func testACopyGoesItsOwnWay() {
    var first = SHA256()
    first.update(data: Data("ab".utf8))
    var second = first
    first.update(data: Data("c".utf8))
    XCTAssertEqual(second.finalize(), SHA256.hash(data: Data("ab".utf8)))
    second.update(data: Data("d".utf8))
    XCTAssertEqual(first.finalize(), SHA256.hash(data: Data("abc".utf8)))
    XCTAssertEqual(second.finalize(), SHA256.hash(data: Data("abd".utf8)))
  }

  func testMoreMayFollowADigest() {
    var hash = SHA256()
    hash.update(data: Data("ab".utf8))
    XCTAssertEqual(hash.finalize(), hash.finalize())
    hash.update(data: Data("c".utf8))
    XCTAssertEqual(hash.finalize(), SHA256.hash(data: Data("abc".utf8)))
  }

  func testADigestIsASequenceOfItsBytes() {
    let digest = SHA256.hash(data: Data("abc".utf8))
    XCTAssertEqual(SHA256.byteCount, 32)
    XCTAssertEqual(Array(digest).count, 32)
    XCTAssertEqual(Array(digest).first, 0xba)
    XCTAssertEqual(Set([digest, SHA256.hash(data: Data("abc".utf8)), SHA256.hash(data: Data())]).count, 2)
  }
}

private func hex(_ digest: SHA256.Digest) -> String { digest.map { String(format: "%02x", $0) }.joined() }
