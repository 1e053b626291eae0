import CLibcrypto
import Foundation

// The part of Apple's CryptoKit that this package uses, for systems that lack the framework. Names, types and behaviour
// are those of developer.apple.com/documentation/cryptokit/sha256; HashTests states them.

/// SHA-256 of bytes that may come in parts (FIPS 180-4).
///
/// A value: a copy goes on from where it was taken, and neither sees the other's updates.
public struct SHA256 {
  /// What a hash comes to.
  public typealias Digest = SHA256Digest

  /// Length of a digest in bytes.
  public static var byteCount: Int { SHA256Digest.byteCount }

  private var state = HashState()

  /// The hash of no bytes yet.
  public init() {}

  /// The digest of bytes that are all there.
  public static func hash<D: DataProtocol>(data: D) -> SHA256Digest {
    var hash = SHA256()
    hash.update(data: data)
    return hash.finalize()
  }

  /// Takes in further bytes.
  public mutating func update<D: DataProtocol>(data: D) {
    for region in data.regions { region.withUnsafeBytes { update(bufferPointer: $0) } }
  }

  /// Takes in further bytes; they are not referred to afterwards.
  public mutating func update(bufferPointer: UnsafeRawBufferPointer) {
    if !isKnownUniquelyReferenced(&state) { state = HashState(copyOf: state) }
    state.update(bufferPointer)
  }

  /// The digest of the bytes so far.
  ///
  /// More may follow: the value is not changed.
  public func finalize() -> SHA256Digest { SHA256Digest(bytes: HashState(copyOf: state).finish()) }
}

/// The 32 bytes that a hash comes to.
public struct SHA256Digest: Hashable, Sequence, Sendable {
  /// Length of a digest in bytes.
  public static var byteCount: Int { 32 }

  fileprivate let bytes: [UInt8]

  /// The bytes, first to last.
  public func makeIterator() -> Array<UInt8>.Iterator { bytes.makeIterator() }
}

/// Owns libcrypto's state of a hash.
private final class HashState {
  private let context: OpaquePointer

  init() {
    context = Self.made()
    require(EVP_DigestInit_ex(context, EVP_sha256(), nil))
  }

  init(copyOf other: HashState) {
    context = Self.made()
    require(EVP_MD_CTX_copy_ex(context, other.context))
  }

  deinit { EVP_MD_CTX_free(context) }

  func update(_ bytes: UnsafeRawBufferPointer) { require(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)) }

  func finish() -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: SHA256Digest.byteCount) { buffer, count in
      require(EVP_DigestFinal_ex(context, buffer.baseAddress, nil))
      count = SHA256Digest.byteCount
    }
  }

  private static func made() -> OpaquePointer {
    guard let context = EVP_MD_CTX_new() else { fatalError("libcrypto has no memory for a hash") }
    return context
  }
}

/// CryptoKit's hashes cannot fail, so a failure of libcrypto (no memory, SHA-256 disabled) ends the program.
private func require(_ result: CInt) { precondition(result == 1, "libcrypto could not compute SHA-256") }
